"""One HR service for all tests of a run, with its peers' desk; each test has an agency of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis.local.databases import ServiceDatabase, prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.settings import ServiceSettings
from chassis.testing import RunningService, TestKeys, running
from services.hr.service import HrService
from tests.integration.hr.office import Office
from tests.integration.hr.peer_desk import PeerDesk, peer_desk


@dataclass
class Building:
    """The running service with its desk and database."""

    service: RunningService
    desk: PeerDesk
    keys: TestKeys
    database: ServiceDatabase
    superuser_url: str

    def office(self) -> Office:
        """A fresh agency."""
        return Office(self.service, self.desk, self.keys, self.database.reader_url, self.superuser_url)


@pytest.fixture(scope="session")
def building(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    """HR on a fresh database, beside a desk that speaks for identity and finance."""
    database = prepare(postgres, "hr", name="hr_office")
    upgrade(database.settings())
    folder: Path = tmp_path_factory.mktemp("keys")
    keys = TestKeys(folder)
    with peer_desk() as (desk, address):
        settings = ServiceSettings(
            **keys.settings_values("hr"),
            database_app_url=database.app_url,
            database_owner_url=database.owner_url,
            database_reader_url=database.reader_url,
            peers={"finance": address, "identity": address},
        )
        with running(HrService, settings) as service:
            yield Building(service, desk, keys, database, postgres.url("hr_office"))


@pytest.fixture
def office(building: Building) -> Office:
    """A fresh agency; the desk has forgotten what others asked."""
    building.desk.asked.clear()
    return building.office()
