"""The running identity service, with a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.identity.identity_service import Identity, identity


@pytest.fixture
def service(database: Any, tmp_path: Path) -> Iterator[Identity]:
    """The identity service on a fresh database."""
    with identity(database("identity"), tmp_path) as running_service:
        yield running_service
