"""One finance service for all ledger tests of a run: its chart is loaded once, through the public API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.local.databases import prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.testing import TestKeys, running
from cli.load.chart import regional
from services.finance.service import FinanceService
from tests.integration.finance.books import Agency, Books


@pytest.fixture(scope="session")
def books(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """The service with the regional chart in its books."""
    database = prepare(postgres, "finance", name="finance_books")
    upgrade(database.settings())
    folder: Path = tmp_path_factory.mktemp("keys")
    keys = TestKeys(folder)
    settings = keys.settings(
        "finance",
        database_app_url=database.app_url,
        database_owner_url=database.owner_url,
        database_reader_url=database.reader_url,
    )
    with running(FinanceService, settings) as service:
        made = Books(service, database, postgres.url("finance_books"), keys)
        made.load(regional())
        yield made


@pytest.fixture
def agency(books: Books) -> Agency:
    """A fresh agency with open books of 2025."""
    return books.agency()
