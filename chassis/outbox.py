"""Events leave by the outbox: their rows commit with the change that they tell of; the relay sends them later.

    @outbox.translates(InvoiceApproved)                  # in wire.py: domain event -> protobuf
    def _(event): return outbox.Envelope(message=pb.InvoiceApproved(...), aggregate_id=event.invoice_id, ...)

    outbox.emit(session, invoice_approved)               # in the use case, after the aggregate was saved

The order of one key's events rests on this: the aggregate's row is locked (or new) before its outbox row is
inserted. `emit` therefore flushes the session first; SQLAlchemy would otherwise insert before it updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson
import protovalidate
from google.protobuf.message import Message
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from chassis import sql_batch, telemetry
from chassis.ids import new_id
from kelola.type.v1 import options_pb2

# Half of what a broker takes by default, so that headers and batching never push a record over its limit.
EVENT_BYTES_MAX = 512 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True)
class Envelope:
    """An event ready to be written: its protobuf message and how it travels.

    `aggregate_id` is the Kafka key, so one aggregate's events keep their order. `sequence` is the aggregate's
    version (1, 2, 3 …), by which any consumer can tell a late repeat. `agency_id` is all that a consumer's
    transaction may see; None for events of no agency.
    """

    message: Message
    aggregate_id: UUID | str
    agency_id: UUID | None
    sequence: int


_translations: dict[type, Callable[[Any], Envelope]] = {}


def translates(event_class: type[_T]) -> Callable[[Callable[[_T], Envelope]], Callable[[_T], Envelope]]:
    """Register the function that turns `event_class` into its envelope. One function a class."""

    def register(translate: Callable[[_T], Envelope]) -> Callable[[_T], Envelope]:
        before = _translations.get(event_class)
        if before is not None and before.__module__ != translate.__module__:
            raise RuntimeError(f"{event_class.__name__} is translated twice: {before.__module__} has it already")
        _translations[event_class] = translate
        return translate

    return register


def topic_of(descriptor: Any) -> str:
    """The topic on which a message travels: package plus area: kelola.finance.payables.v1."""
    options = descriptor.GetOptions()
    if not options.HasExtension(options_pb2.event):
        raise ValueError(f"{descriptor.full_name} is no event: its message lacks option (kelola.type.v1.event)")
    *package, version = descriptor.file.package.split(".")
    return ".".join([*package, options.Extensions[options_pb2.event].area, version])


def emit(session: Session | Connection, event: object) -> UUID:
    """Write `event` (a domain event with a translation, or an Envelope) to the outbox; its event id."""
    return emit_all(session, [event])[0]


def emit_all(session: Session | Connection, events: Iterable[object]) -> list[UUID]:
    """Write several events, in their order, in few statements; their event ids."""
    envelopes = [_envelope(event) for event in events]
    if not envelopes:
        return []
    if isinstance(session, Session):
        session.flush()
    with telemetry.span(f"create {topic_of(envelopes[0].message.DESCRIPTOR)}"):
        traceparent = telemetry.traceparent()
    rows = [row_of(envelope, traceparent) for envelope in envelopes]
    # One statement, in which the rows are numbered in the order given.
    for start in range(0, len(rows), _ROWS_MAX):
        part = rows[start : start + _ROWS_MAX]
        values = {"bodies": b"".join(row["body"] for row in part), "rows": _heads(part)}
        if isinstance(session, Session):
            sql_batch.later(session, _INSERT, values)
        else:
            session.execute(_INSERT, values)
    return [row["event_id"] for row in rows]


_ROWS_MAX = 1_000

# The bodies come as one run of bytes, each with its place in it, and all else as JSON: as arrays they cost ten times as
# much in the making.
_INSERT = text(
    """
    insert into outbox (event_id, type, topic, key, agency_id, sequence, body, traceparent)
    select event_id, type, topic, key, agency_id, sequence,
           substring(cast(:bodies as bytea) from starts_at for length), traceparent
    from rows from (json_to_recordset(cast(:rows as json))
                    as (event_id uuid, type text, topic text, key text, agency_id uuid, sequence bigint,
                        starts_at integer, length integer, traceparent text))
         with ordinality
         as event (event_id, type, topic, key, agency_id, sequence, starts_at, length, traceparent, nth)
    order by nth
    """
)


def _heads(rows: Sequence[Mapping[str, Any]]) -> str:
    """All but the bodies, and where each body stands in their run: 1 is its first byte."""
    heads, starts_at = [], 1
    for row in rows:
        length = len(row["body"])
        heads.append({**row, "body": None, "starts_at": starts_at, "length": length})
        starts_at += length
    return orjson.dumps(heads).decode()


def _envelope(event: object) -> Envelope:
    if isinstance(event, Envelope):
        return event
    translate = _translations.get(type(event))
    if translate is None:
        raise RuntimeError(f"no translation for {type(event).__name__}: register one with @outbox.translates")
    return translate(event)


def row_of(envelope: Envelope, traceparent: str | None = None) -> dict[str, Any]:
    """The columns that the envelope fills; a ValueError or ValidationError when it is no event to be sent."""
    message = envelope.message
    # An event that breaks its own contract would be parked by every consumer: better fail where it is made.
    protovalidate.validate(message)
    body = message.SerializeToString(deterministic=True)
    if len(body) > EVENT_BYTES_MAX:
        raise ValueError(
            f"{message.DESCRIPTOR.full_name} {envelope.aggregate_id} has {len(body)} bytes; "
            f"an event holds at most {EVENT_BYTES_MAX}: split it, or carry ids and let consumers ask"
        )
    return {
        "event_id": new_id(),
        "type": message.DESCRIPTOR.full_name,
        "topic": topic_of(message.DESCRIPTOR),
        "key": str(envelope.aggregate_id),
        "agency_id": envelope.agency_id,
        "sequence": envelope.sequence,
        "body": body,
        "traceparent": traceparent,
    }
