"""A service without business for tests of the chassis: parcels that move, and a consumer that notes it.

Its proto is compiled here, outside `protos/`.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

from tests.integration.chassis.compiled import make_importable

MIGRATIONS = Path(__file__).with_name("parcels_migrations")

make_importable(Path(__file__).with_suffix(".proto"), "kelola.parcels.v1")

from sqlalchemy import MetaData, text  # noqa: E402
from sqlalchemy.orm import registry  # noqa: E402
from sqlmodel import Session, SQLModel  # noqa: E402

from chassis import migrate, outbox, relay, tables  # noqa: E402
from chassis.call import Call, Principal  # noqa: E402
from chassis.container import NativeContainer  # noqa: E402
from chassis.database import Database, Transactions, connect  # noqa: E402
from chassis.errors import FailedPrecondition  # noqa: E402
from chassis.events import on_event  # noqa: E402
from chassis.settings import ServiceSettings  # noqa: E402
from kelola.parcels.v1 import parcels_pb2 as pb  # noqa: E402

TOPIC = "kelola.parcels.post.v1"
AGENCY = UUID("0b5c1f52-8a30-4e55-9f0a-5f2f3a6b7c01")
OTHER_AGENCY = UUID("0b5c1f52-8a30-4e55-9f0a-5f2f3a6b7c02")


class ParcelsTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=dict(tables.NAMING)))):
    """The base of the tests' tables."""


class Parcel(ParcelsTable, table=True):
    """A thing with versions."""

    parcel_id: UUID = tables.uuid_key()
    agency_id: UUID
    version: int = tables.bigint_field()
    price_minor: int = tables.minor_field()


class Outbox(ParcelsTable, tables.OutboxMixin, table=True):
    """The tests' outbox."""


@dataclass(frozen=True)
class Moved:
    """The domain event."""

    parcel_id: UUID
    version: int
    agency_id: UUID = AGENCY
    padding: int = 0


@outbox.translates(Moved)
def _(event: Moved) -> outbox.Envelope:
    message = pb.ParcelMoved(
        parcel_id=str(event.parcel_id),
        agency_id=str(event.agency_id),
        version=event.version,
        padding=bytes(event.padding),
    )
    return outbox.Envelope(message, event.parcel_id, event.agency_id, event.version)


class ParcelsService:
    """Takes in what it sends itself."""

    name = "parcels"
    db = Database(ParcelsTable)
    # Keys that the tests have refused, and for how many tries more.
    refused: ClassVar[dict[str, int]] = {}

    @on_event(pb.ParcelMoved)
    def on_parcel_moved(self, event: Any, session: Session) -> None:
        """Note the arrival."""
        session.execute(
            text("insert into arrival (parcel_id, agency_id, version) values (:parcel_id, :agency_id, :version)"),
            {
                "parcel_id": UUID(event.message.parcel_id),
                "agency_id": event.agency_id,
                "version": event.message.version,
            },
        )
        left = self.refused.get(event.message.parcel_id, 0)
        if left > 0:
            self.refused[event.message.parcel_id] = left - 1
            raise FailedPrecondition("the post office is closed")


def migrated(database: Callable[..., Any], **more: Any) -> ServiceSettings:
    """Settings of a fresh database with the tests' tables."""
    settings: ServiceSettings = database("parcels", migrate=False).settings(relay_enabled=False, **more)
    migrate.run(settings, ParcelsTable, migrations=MIGRATIONS)
    return settings


@contextmanager
def transactions(settings: ServiceSettings) -> Iterator[Transactions]:
    """The app role's transactions."""
    made = connect(settings)
    try:
        yield made
    finally:
        made.engine.dispose()


def principal(subject: str | None = None) -> Principal:
    """Somebody."""
    person_id = uuid4()
    return Principal(subject or str(person_id), person_id, ())


def call(
    *,
    who: Principal | None = None,
    request_id: str | None = "",
    content: bytes = b"content",
    agencies: frozenset[UUID] = frozenset({AGENCY}),
    seconds: float = 10.0,
    method: str = "kelola.parcels.v1.ParcelService.MoveParcel",
) -> Call:
    """A call under way; a fresh request_id unless one is given, none with None."""
    return Call(
        method=method,
        permission="parcels.parcel.move",
        principal=who or principal(),
        agencies=agencies,
        request_id=str(uuid4()) if request_id == "" else request_id,
        request_hash=hashlib.sha256(content).digest(),
        now=datetime.now(UTC),
        deadline=time.monotonic() + seconds,
    )


def move(session: Session, parcel_id: UUID, *, agency_id: UUID = AGENCY) -> int:
    """Lock the parcel (or make it), give it its next version, tell of it; the version."""
    row = session.execute(
        text(
            "insert into parcel (parcel_id, agency_id, version) values (:parcel_id, :agency_id, 1)"
            " on conflict (parcel_id) do update set version = parcel.version + 1 returning version"
        ),
        {"parcel_id": parcel_id, "agency_id": agency_id},
    ).one()
    outbox.emit(session, Moved(parcel_id, int(row.version), agency_id))
    return int(row.version)


def send(settings: ServiceSettings, *parcel_ids: UUID) -> None:
    """Move each parcel in a transaction of its own."""
    with transactions(settings) as db:
        for parcel_id in parcel_ids:
            with db.work([AGENCY], subject="test") as session:
                move(session, parcel_id)


@contextmanager
def relaying(settings: ServiceSettings, **more: Any) -> Iterator[None]:
    """A relay runs for the block, as a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: relay.run(settings, ParcelsTable, stop, **more), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def consuming(settings: ServiceSettings, service: type = ParcelsService) -> Iterator[NativeContainer]:
    """The service runs for the block, in its container."""
    container = NativeContainer(service, settings)
    container.start()
    try:
        yield container
    finally:
        assert container.stop(20)


def query(settings: ServiceSettings, statement: str, **values: Any) -> list[Any]:
    """Rows, as the reader, who sees all."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    from chassis.database import sqlalchemy_url

    assert settings.database_reader_url
    engine = create_engine(sqlalchemy_url(settings.database_reader_url), poolclass=NullPool)
    with engine.begin() as connection:
        return list(connection.execute(text(statement), values).all())


def until(condition: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """Wait until the condition holds; what it returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
    return found


def unsent(settings: ServiceSettings) -> int:
    """How many events wait in the outbox."""
    return int(query(settings, "select count(*) from outbox where sent_at is null and parked_at is null")[0][0])


def arrivals(settings: ServiceSettings, parcel_id: UUID) -> list[int]:
    """The versions that arrived, in the order of their arrival."""
    rows = query(settings, "select version from arrival where parcel_id = :id order by arrival_id", id=parcel_id)
    return [row.version for row in rows]
