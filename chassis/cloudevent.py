"""CloudEvents 1.0 on Kafka in binary mode: attributes in `ce_*` headers, the protobuf message as the body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import protovalidate
from google.protobuf.message import DecodeError, Message

from chassis.outbox import EVENT_BYTES_MAX

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/protobuf"

# A clock may be wrong by a while; an event of a later day is a mistake of its sender.
_AHEAD_MAX = timedelta(days=1)


class Malformed(Exception):
    """A record that is no event of ours: parked at once, since no retry makes it one."""


@dataclass(frozen=True)
class Event:
    """One CloudEvent, with its message parsed and checked."""

    id: UUID
    type: str  # the message's full name
    source: str  # service:<name> of the sender
    time: datetime  # when the sender's transaction began, UTC
    agency_id: UUID | None
    sequence: int  # the aggregate's version
    key: str | None  # the aggregate's id
    traceparent: str | None
    message: Any


@dataclass(frozen=True)
class Record:
    """What came from the broker, or was kept in the parking lot."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: tuple[tuple[str, bytes | None], ...]
    body: bytes | None

    def header(self, name: str) -> str | None:
        """A header's text; None when it is absent. Malformed when it is not UTF-8."""
        for given, value in self.headers:
            if given == name:
                try:
                    return value.decode("utf-8") if value is not None else None
                except UnicodeDecodeError:
                    raise Malformed(f"header {name} is not UTF-8") from None
        return None

    def header_text(self, name: str) -> str | None:
        """A header's text; None when it is absent or not UTF-8."""
        try:
            return self.header(name)
        except Malformed:
            return None


def headers(
    *,
    event_id: UUID,
    source: str,
    type_name: str,
    time: datetime,
    key: str,
    sequence: int,
    agency_id: UUID | None,
    traceparent: str | None,
) -> list[tuple[str, bytes]]:
    """The headers of an event of the service `source`."""
    given = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(event_id),
        "ce_source": f"/kelola/{source}",
        "ce_type": type_name,
        "ce_time": time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "ce_partitionkey": key,
        # Padded, so that texts sort as the numbers do (CloudEvents extension `sequence`).
        "ce_sequence": f"{sequence:019d}",
        "ce_agency": str(agency_id) if agency_id is not None else None,
        "traceparent": traceparent,
        "content-type": CONTENT_TYPE,
    }
    return [(name, value.encode()) for name, value in given.items() if value is not None]


def decode(record: Record, classes: Mapping[str, type[Message]]) -> Event | None:
    """The event in `record`; None when its type is none of `classes`; Malformed when it is broken."""
    type_name = record.header("ce_type")
    if not type_name:
        raise Malformed("header ce_type is missing")
    message_class = classes.get(type_name)
    if message_class is None:
        return None
    version = record.header("ce_specversion")
    if version != SPEC_VERSION:
        raise Malformed(f"ce_specversion is {version!r}, not {SPEC_VERSION}")
    if record.body is None:
        raise Malformed("the record has no body (a tombstone)")
    if len(record.body) > EVENT_BYTES_MAX:
        raise Malformed(f"the body has {len(record.body)} bytes; an event holds at most {EVENT_BYTES_MAX}")
    event_id = _uuid(record, "ce_id")
    if event_id is None:
        raise Malformed("header ce_id is missing")
    return Event(
        id=event_id,
        type=type_name,
        source=_source(record),
        time=_time(record),
        agency_id=_uuid(record, "ce_agency"),
        sequence=_sequence(record),
        key=record.key,
        traceparent=record.header("traceparent"),
        message=_message(record.body, message_class),
    )


def _uuid(record: Record, name: str) -> UUID | None:
    value = record.header(name)
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise Malformed(f"header {name} is no UUID") from None


def _source(record: Record) -> str:
    source = record.header("ce_source")
    if not source:
        raise Malformed("header ce_source is missing")
    return f"service:{source.rstrip('/').rpartition('/')[2]}"


def _time(record: Record) -> datetime:
    value = record.header("ce_time") or ""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise Malformed("header ce_time is no RFC 3339 time") from None
    if time.tzinfo is None:
        raise Malformed("header ce_time has no offset from UTC")
    if time > datetime.now(UTC) + _AHEAD_MAX:
        raise Malformed(f"ce_time {value} is more than a day ahead")
    return time.astimezone(UTC)


def _sequence(record: Record) -> int:
    value = record.header("ce_sequence") or ""
    # The CloudEvents extension's sequence is a text; ours are whole numbers, padded or not.
    if not value.isascii() or not value.isdigit():
        raise Malformed("header ce_sequence is no whole number")
    return int(value)


def _message(body: bytes, message_class: type[Message]) -> Message:
    try:
        message = message_class.FromString(body)
    except DecodeError:
        raise Malformed(f"the body is no {message_class.DESCRIPTOR.full_name}") from None
    try:
        protovalidate.validate(message)
    except protovalidate.ValidationError as failure:
        # The violations name fields and rules, no values.
        rules = ", ".join(sorted({violation.proto.rule_id for violation in failure.violations}))
        raise Malformed(f"the body breaks the contract of {message_class.DESCRIPTOR.full_name}: {rules}") from None
    return message
