"""Fixtures that start real parts. Nothing outlives a run: the kernel ends the children when pytest dies.

    def test_a_thing(database, broker):
        finance = database("finance")                 # a fresh database, migrated, of this test alone
        with running(FinanceService, finance.settings(broker_servers=broker.bootstrap)) as service: ...

- `postgres`: one PostgreSQL server a run (chassis.local.postgres.PostgresServer).
- `database(service)`: a fresh database of that service with its three roles, migrated; `migrate=False` leaves it
  empty (chassis tests bring their own tables). `.settings(**more)`, `.owner_url`, `.app_url`, `.reader_url`,
  `.superuser_url`.
- `broker`: one broker a run, with `bootstrap`, `kind`, `keeps_records`; KELOLA_TEST_BROKER is `embedded`
  (default), `kafka`, or `auto`. Topics are shared by all tests of a run: use ids of your own.
- `system`: everything, as `kelola run` starts it (chassis.local.platform.Platform), one a run.
- `fresh_broker()` and `fresh_postgres()`: servers of this test alone, to be killed at will.
- `seed`: the seed of this run's random tests, printed at its start; KELOLA_TEST_SEED repeats it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from chassis.local.broker import Broker, BrokerKind, embedded_broker, kafka_missing
from chassis.local.databases import ServiceDatabase, prepare
from chassis.local.kafka_home import KAFKA_VERSION, kafka_libraries
from chassis.local.platform import Platform
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.settings import ServiceSettings

# `auto` (what `make test` says): Apache Kafka where Java and Maven are, else the embedded one.
_WANTED = os.environ.get("KELOLA_TEST_BROKER", "embedded")
BROKER = ("embedded" if kafka_missing() else "kafka") if _WANTED == "auto" else _WANTED
_BROKER_FIXTURES = {"broker", "fresh_broker", "system"}
_NAMES = {"embedded": "the embedded broker (Tansu)", "kafka": f"Apache Kafka {KAFKA_VERSION}"}
_broker_tests: set[str] = set()
# Processes that share a run (`make test`) share its seed: the first one leaves it for those that it starts.
SEED = int(os.environ.setdefault("KELOLA_TEST_SEED", str(secrets.randbelow(2**31))))
_PREFIX = "kelola-test-"
# No test asserts a time, and a busy machine is slow now and then.
hypothesis.settings.register_profile("kelola", deadline=None, print_blob=True)
hypothesis.settings.load_profile("kelola")


@dataclass(frozen=True)
class FreshDatabase(ServiceDatabase):
    """A service's database of one test."""

    superuser_url: str

    def settings(self, kind: type[ServiceSettings] = ServiceSettings, **more: Any) -> ServiceSettings:
        """The service's settings (of `kind`) with this database's URLs, and whatever `more` says."""
        urls = {
            "database_owner_url": self.owner_url,
            "database_app_url": self.app_url,
            "database_reader_url": self.reader_url,
        }
        return kind(**{"service": self.service, **urls, **more})


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder of this run for the servers' data; folders of runs that were killed are swept away."""
    # In memory where the system has room there: fsync stays on, as services insist, and costs nothing.
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 4 * 2**30
    parent = Path(os.environ.get("KELOLA_TEST_DATA") or (shm if roomy else tempfile.gettempdir()))
    for old in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (old / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    with (made / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # It takes the name that others sweep by once it is locked: they may begin at this moment.
        folder = made.rename(parent / made.name[1:])
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[PostgresServer]:
    """The run's PostgreSQL server."""
    with PostgresServer(scratch / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def broker(scratch: Path) -> Iterator[Broker]:
    """The run's broker, of the kind that KELOLA_TEST_BROKER names."""
    with embedded_broker(cast("BrokerKind", BROKER), scratch / "broker") as server:
        yield server


@pytest.fixture(scope="session")
def _templates(postgres: PostgresServer) -> Callable[[str], str]:
    """Per service: the name of a migrated database that fresh ones are copied from."""
    made: dict[str, str] = {}

    def template(service: str) -> str:
        if service not in made:
            name = f"{service}_template"
            upgrade(prepare(postgres, service, name=name).settings())
            made[service] = name
        return made[service]

    return template


@pytest.fixture
def database(postgres: PostgresServer, _templates: Callable[[str], str]) -> Iterator[Callable[..., FreshDatabase]]:
    """A maker of fresh databases: `database("finance")`. They are dropped when the test ends."""
    names: list[str] = []

    def fresh(service: str, *, migrate: bool = True) -> FreshDatabase:
        name = f"{service}_{next(_numbers)}"
        names.append(name)
        template = _templates(service) if migrate else None
        made = prepare(postgres, service, name=name, template=template)
        return FreshDatabase(**vars(made), superuser_url=postgres.url(name))

    yield fresh
    for name in names:
        postgres.drop_database(name)


_numbers = itertools.count(1)


@pytest.fixture
def fresh_postgres(scratch: Path) -> Iterator[Callable[[], PostgresServer]]:
    """A maker of servers of this test alone; `server.child.kill()` is a crash, `server.restart()` recovers."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(PostgresServer(scratch / f"postgres-{next(_numbers)}"))


@pytest.fixture
def fresh_broker(scratch: Path) -> Iterator[Callable[[], Broker]]:
    """A maker of brokers of this test alone, of the run's kind."""
    with ExitStack() as stack:
        kind = cast("BrokerKind", BROKER)
        yield lambda: stack.enter_context(embedded_broker(kind, scratch / f"broker-{next(_numbers)}"))


@pytest.fixture(scope="session")
def system(scratch: Path) -> Iterator[Platform]:
    """The whole system as `kelola run` starts it, on the run's broker kind, shared by the run's system tests.

    `cli.connect.system_of(system)` gives addresses, channels and tokens. Who kills a part restarts it:
    `system.children["finance"].kill(); system.start_service("finance"); system.wait_until_serving("finance")`.
    """
    with Platform(scratch / "system", broker=cast("BrokerKind", BROKER)) as platform:
        yield platform


@pytest.fixture(scope="session")
def broker_kind() -> BrokerKind:
    """Which broker this run is on, for tests that start a platform of their own."""
    return cast("BrokerKind", BROKER)


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of this run's random tests."""
    return SEED


def pytest_report_header() -> list[str]:
    """What a reader of a failed run needs to repeat it."""
    return [f"kelola: seed {SEED} (KELOLA_TEST_SEED={SEED} repeats it), broker {BROKER}"]


# These have a system of their own, though their folder shares one.
_ALONE = {"tests/system/test_demo_year.py"}


class _Together(LoadScopeScheduling):
    """What shares a system or a service stays in one process, in its order: a folder of tests, else a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        shared = file.startswith(("tests/integration/", "tests/system/")) and file not in _ALONE
        return file.rpartition("/")[0] if shared else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal tests out to the processes of `make test`."""
    return _Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first; mark what uses a broker; skip what rests on Apache Kafka and does not have it."""
    # So that the processes of a run end at about the same time.
    items.sort(key=lambda item: not item.path.is_relative_to(Path(__file__).parent / "system"))
    for item in items:
        if _BROKER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)
        if BROKER != "kafka" and item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.skip(reason="rests on Apache Kafka; KELOLA_TEST_BROKER=kafka runs it"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the tests that ran with a broker."""
    if report.when == "call" and report.passed and "broker" in report.keywords:
        _broker_tests.add(report.nodeid)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which brokers the run covered."""
    terminalreporter.section("brokers")
    used = f"{len(_broker_tests)} tests passed on {_NAMES[BROKER]}" if _broker_tests else "no test used a broker"
    terminalreporter.line(f"brokers covered: {used}")
    if BROKER == "embedded" and _WANTED == "auto":
        terminalreporter.line(f"Apache Kafka was not covered: {kafka_missing()}")


def pytest_configure() -> None:
    """Refuse a broker that is not there, before anything runs."""
    if BROKER not in _NAMES:
        raise pytest.UsageError(f"KELOLA_TEST_BROKER={BROKER!r} is none of auto, embedded, kafka")
    required = BROKER == "kafka" or os.environ.get("KELOLA_REQUIRE_KAFKA") == "1"
    if required and (missing := kafka_missing()):
        raise pytest.UsageError(f"Apache Kafka is required: {missing}")
    if required:
        kafka_libraries()
