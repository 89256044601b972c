"""Field makers and the shared tables as mixins: one registry and MetaData a service.

    # services/finance/tables.py
    class FinanceTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))): ...
    class Outbox(FinanceTable, OutboxMixin, table=True): ...

A mixin names its table (`outbox`), so a subclass is one line. The migrations make the shared tables with
`migrate.shared_tables(op, service)`; a test holds the two against each other. None of the shared tables is behind
the agency wall: they are written for the service by the chassis, and read by it across agencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, LargeBinary, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

# Names of constraints, so that a migration can speak of them whatever database made them.
NAMING: Mapping[str, str] = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


_INSTANT = DateTime(timezone=True)


def uuid_key() -> Any:
    """The primary key: a UUID that the use case makes (`chassis.ids`)."""
    return Field(sa_type=Uuid, primary_key=True)


def minor_field(*, nullable: bool = False) -> Any:
    """An amount in minor units: bigint, since SQLModel's plain `int` would be 32 bits. The name ends in `_minor`."""
    if nullable:
        return Field(default=None, sa_type=BigInteger, nullable=True)
    return Field(sa_type=BigInteger, nullable=False)


def bigint_field(*, nullable: bool = False) -> Any:
    """A 64-bit count or number that is no amount."""
    return minor_field(nullable=nullable)


def instant_field(*, nullable: bool = False) -> Any:
    """An instant: timestamptz, aware UTC in Python."""
    if nullable:
        return Field(default=None, sa_type=_INSTANT, nullable=True)
    return Field(sa_type=_INSTANT, nullable=False)


def json_field(*, nullable: bool = False) -> Any:
    """A jsonb document. Facts that rules decide on get columns of their own."""
    if nullable:
        return Field(default=None, sa_type=JSONB, nullable=True)
    return Field(sa_type=JSONB, nullable=False)


def _text(*, nullable: bool = False) -> Any:
    if nullable:
        return Field(default=None, sa_type=Text, nullable=True)
    return Field(sa_type=Text, nullable=False)


def _bytes(*, nullable: bool = False) -> Any:
    if nullable:
        return Field(default=None, sa_type=LargeBinary, nullable=True)
    return Field(sa_type=LargeBinary, nullable=False)


def _since(clock: str, *, primary_key: bool = False) -> Any:
    """An instant that the database fills: `transaction_timestamp()` or `clock_timestamp()`."""
    return Field(
        default=None,
        sa_type=_INSTANT,
        nullable=False,
        primary_key=primary_key,
        sa_column_kwargs={"server_default": text(clock)},
    )


def _identity() -> Any:
    # CACHE 1 (PostgreSQL's default, written down because the outbox's order rests on it): a session that kept
    # numbers back would give a later row of a key a lower id.
    return Field(
        default=None,
        sa_type=BigInteger,
        primary_key=True,
        sa_column_args=(Identity(always=True, cache=1),),
        sa_column_kwargs={"autoincrement": True},
    )


class _Shared(SQLModel):
    """A mixin that names its table."""

    shared_name: ClassVar[str]

    @declared_attr.directive
    def __tablename__(cls) -> str:
        return cls.shared_name


class OutboxMixin(_Shared):
    """Events on their way to the broker. The business transaction writes a row; the relay sends and marks it.

    Partitioned by the UTC day of `recorded_at`; `chassis.outbox_days` makes the days and drops the old ones. Sent
    rows stay for `outbox_retention_days` (at least the topics' retention), so that a broker that lost its log is
    filled again.

    A unique index of a partitioned table must hold the partition key, so the primary key does, and `event_id` and
    `position` are unique within each day only, by indexes of the day's own table. That is enough: ids come from
    one sequence, event ids are UUIDv7 that carry their millisecond, and positions come from one counter, which the
    relay locks as it counts on. A repeat across days could only be made by hand, and `verify` finds it (I6).
    """

    shared_name = "outbox"

    id: int | None = _identity()
    event_id: UUID = Field(sa_type=Uuid)
    type: str = _text()  # the message's full name, which is ce_type
    topic: str = _text()
    key: str = _text()  # the aggregate's id: events of one key keep their order
    agency_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    sequence: int = bigint_field()  # the aggregate's version
    body: bytes = _bytes()
    traceparent: str | None = _text(nullable=True)
    # When its transaction began; the day of that instant is the row's partition.
    recorded_at: datetime | None = _since("transaction_timestamp()", primary_key=True)
    sent_at: datetime | None = instant_field(nullable=True)
    position: int | None = bigint_field(nullable=True)  # 1, 2, 3 … by the relay: the order of replays
    tries: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    error: str | None = _text(nullable=True)
    parked_at: datetime | None = instant_field(nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            Index("ix_outbox_unsent", "id", postgresql_where=text("sent_at is null")),
            Index("ix_outbox_parked", "topic", "key", postgresql_where=text("parked_at is not null")),
            {"postgresql_partition_by": "range (recorded_at)"},
        )


class RelayStateMixin(_Shared):
    """The relay's one row: which broker it knows, and the next numbers it gives."""

    shared_name = "relay_state"

    singleton: bool = Field(default=True, primary_key=True)
    cluster_id: str | None = _text(nullable=True)
    position: int = bigint_field()  # the last one given to an outbox row
    # Replays are whole above it: a row at or below may have gone with its day.
    outbox_floor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    audit_position: int = bigint_field()
    audit_hash: bytes = _bytes()  # of the last chained audit row; 32 zero bytes at the beginning
    seen_at: datetime | None = instant_field(nullable=True)


class BrokerOffsetMixin(_Shared):
    """Where each partition ended after the relay's last send: a smaller end means that the broker lost its log."""

    shared_name = "broker_offset"

    topic: str = Field(sa_type=Text, primary_key=True)
    partition: int = Field(primary_key=True)
    end_offset: int = bigint_field()


class InboxMixin(_Shared):
    """Events that a consumer has taken in: a repeat finds its row and is skipped."""

    shared_name = "inbox"

    consumer: str = Field(sa_type=Text, primary_key=True)
    event_id: UUID = Field(sa_type=Uuid, primary_key=True)
    taken_at: datetime | None = _since("transaction_timestamp()")

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (Index("ix_inbox_taken_at", "taken_at"),)


class ParkedMixin(_Shared):
    """Events that a consumer could not take in, and later ones of their key, in order.

    `state` is PARKED, DONE (a retry succeeded) or DROPPED (by a person, with the reason).
    """

    shared_name = "parked"

    parked_id: int | None = _identity()
    consumer: str = _text()
    topic: str = _text()
    partition: int
    record_offset: int = bigint_field()
    key: str | None = _text(nullable=True)
    event_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    type: str | None = _text(nullable=True)
    headers: list[Any] = json_field()  # [[name, base64 of the value], …] as they came
    body: bytes | None = _bytes(nullable=True)
    digest: bytes = _bytes()  # SHA-256 of headers and body: tells records apart when a broker numbers anew
    malformed: bool
    error: str = _text()
    tries: int
    state: str = _text()
    parked_at: datetime | None = _since("clock_timestamp()")
    retry_at: datetime = instant_field()
    resolved_at: datetime | None = instant_field(nullable=True)
    resolved_by: str | None = _text(nullable=True)
    resolved_reason: str | None = _text(nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            Index(
                "uq_parked_record",
                *("consumer", "topic", "partition", "record_offset", "digest"),
                unique=True,
            ),
            Index("ix_parked_event", "event_id", "consumer"),
            Index(
                "ix_parked_open",
                *("consumer", "topic", "key", "parked_id"),
                postgresql_where=text("state = 'PARKED'"),
            ),
        )


class IdempotencyMixin(_Shared):
    """Request ids and their first answers, byte for byte."""

    shared_name = "idempotency"

    subject: str = Field(sa_type=Text, primary_key=True)
    method: str = Field(sa_type=Text, primary_key=True)
    request_id: UUID = Field(sa_type=Uuid, primary_key=True)
    request_hash: bytes = _bytes()
    answer: bytes | None = _bytes(nullable=True)  # null only inside the transaction that claimed the key
    claimed_at: datetime | None = _since("transaction_timestamp()")

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (Index("ix_idempotency_claimed_at", "claimed_at"),)


class AuditMixin(_Shared):
    """Who did what, when, to which resource. Added, never edited; the relay fills position, prev_hash and hash.

    Rows without a position are the chain's unchained tail: committed, not yet sealed.
    """

    shared_name = "audit"

    id: int | None = _identity()
    audit_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime | None = _since("transaction_timestamp()")
    action: str = _text()  # the RPC's or event's full name, or service.resource.verb
    outcome: str = _text()  # DONE or DENIED
    subject: str = _text()  # the principal, as in the idempotency namespace
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    service: str | None = _text(nullable=True)
    agency_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    resource: str | None = _text(nullable=True)
    request_id: str | None = _text(nullable=True)
    trace_id: str | None = _text(nullable=True)
    details: dict[str, Any] = json_field()
    position: int | None = bigint_field(nullable=True)
    prev_hash: bytes | None = _bytes(nullable=True)
    hash: bytes | None = _bytes(nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("audit_id"),
            Index("ix_audit_unchained", "id", postgresql_where=text("position is null")),
            Index("uq_audit_position", "position", unique=True),
            Index("ix_audit_person", "person_id", "recorded_at"),
        )


class AuditHeadMixin(_Shared):
    """The chain's head, signed every ten minutes: proof against a rewritten or shortened chain.

    A copy of each goes out as an event and into a file, since whoever rewrites the chain can rewrite this as well.
    """

    shared_name = "audit_head"

    position: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    hash: bytes = _bytes()
    signed_at: datetime = instant_field()
    key_id: str = _text()
    signature: bytes = _bytes()


class SagaMixin(_Shared):
    """Acts across services that are under way. `status`: RUNNING, COMPENSATING, DONE, COMPENSATED or STUCK."""

    shared_name = "saga"

    saga_id: UUID = uuid_key()
    kind: str = _text()  # the step to run next
    round: int  # how many steps are behind it
    document_id: UUID = Field(sa_type=Uuid)
    agency_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    state: dict[str, Any] = json_field()
    status: str = _text()
    started_at: datetime | None = _since("transaction_timestamp()")
    deadline_at: datetime = instant_field()
    retry_at: datetime = instant_field()
    tries: int  # of the step that is next
    failures: int  # of those, the ones that repeating does not explain away
    error: str | None = _text(nullable=True)
    lease_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    leased_until: datetime | None = instant_field(nullable=True)
    ended_at: datetime | None = instant_field(nullable=True)
    traceparent: str | None = _text(nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            Index(
                "ix_saga_due",
                "retry_at",
                postgresql_where=text("status in ('RUNNING', 'COMPENSATING')"),
            ),
            Index("ix_saga_document", "document_id"),
            Index("ix_saga_ended_at", "ended_at", postgresql_where=text("ended_at is not null")),
        )


class OperationMixin(_Shared):
    """Long runs that clients follow (google.longrunning.Operation)."""

    shared_name = "operation"

    operation_id: UUID = uuid_key()
    kind: str = _text()
    agency_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    subject: str = _text()
    permission: str | None = _text(nullable=True)
    metadata_type: str | None = _text(nullable=True)
    metadata_body: bytes | None = _bytes(nullable=True)
    done: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    response_type: str | None = _text(nullable=True)
    response_body: bytes | None = _bytes(nullable=True)
    error_code: int | None = Field(default=None, nullable=True)
    error_reason: str | None = _text(nullable=True)
    error_message: str | None = _text(nullable=True)
    started_at: datetime | None = _since("transaction_timestamp()")
    updated_at: datetime | None = _since("transaction_timestamp()")

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            Index("ix_operation_agency", "agency_id", "operation_id"),
            Index("ix_operation_done", "updated_at", postgresql_where=text("done")),
        )


# The names of the shared tables: none of them is behind the agency wall.
SHARED_TABLES = (
    "outbox",
    "relay_state",
    "broker_offset",
    "inbox",
    "parked",
    "idempotency",
    "audit",
    "audit_head",
    "saga",
    "operation",
)
