"""The running logistics service, with a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.logistics.store_house import House, house


@pytest.fixture
def logistics(database: Any) -> Iterator[House]:
    """Logistics on a fresh database."""
    with house(database) as running_house:
        yield running_house
