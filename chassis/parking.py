"""The parking lot: events that a consumer could not take in, kept in order until they are done or dropped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis.cloudevent import Record
from chassis.errors import NotFound

_ERROR_CHARACTERS_MAX = 2_000
# How often an event is tried before it is parked.
TRIES_MAX = 5
# Pauses between the tries of an event that is parked: it may only have come before what it rests on.
RETRY_AFTER_SECONDS = (2, 10, 60, 300, 1_800)


@dataclass(frozen=True)
class Parked:
    """One event in the parking lot."""

    parked_id: int
    consumer: str
    topic: str
    partition: int
    offset: int
    key: str | None
    event_id: UUID | None
    type: str | None
    error: str
    tries: int
    malformed: bool
    parked_at: datetime
    retry_at: datetime


_COLUMNS = "parked_id, consumer, topic, partition, record_offset, key, event_id, type, error, tries, malformed, "


def parked(session: Session, *, limit: int = 100) -> list[Parked]:
    """What is parked, the oldest first."""
    rows = session.execute(
        text(
            f"select {_COLUMNS} parked_at, retry_at from parked"  # noqa: S608  # constant text
            " where state = 'PARKED' order by parked_id limit :limit"
        ),
        {"limit": limit},
    )
    return [Parked(*row) for row in rows]


def retry(session: Session, *, parked_ids: Sequence[int] | None = None) -> int:
    """Have these (or all) parked events tried now, by the running consumer; how many there are.

    Malformed records are left out: no retry makes an event of them.
    """
    return _count(
        session,
        "update parked set retry_at = clock_timestamp(), tries = 0"
        " where state = 'PARKED' and not malformed and (cast(:ids as bigint[]) is null or parked_id = any (:ids))",
        {"ids": list(parked_ids) if parked_ids is not None else None},
    )


def drop(session: Session, *, parked_id: int, reason: str, by: str) -> None:
    """Give an event up for good; those behind it may go on. NOT_FOUND when it is not parked (any more)."""
    if not reason.strip():
        raise ValueError("say why the event is dropped: the record is kept")
    dropped = _count(
        session,
        "update parked set state = 'DROPPED', resolved_at = clock_timestamp(), resolved_by = :by,"
        " resolved_reason = :reason where parked_id = :id and state = 'PARKED'",
        {"id": parked_id, "by": by, "reason": reason},
    )
    if not dropped:
        raise NotFound.resource("parked event", parked_id)


# --- for the consumer ----------------------------------------------------------------------------------------


def park(
    session: Session,
    record: Record,
    *,
    consumer: str,
    event_id: UUID | None,
    type_name: str | None,
    error: str,
    tries: int,
    malformed: bool = False,
) -> None:
    """Keep a record aside; a repeat of the record, or of its event, changes nothing.

    A replay brings an event at another offset, and a retry may be having its effect at this moment. So the event is
    kept once while it is parked, and not any more once it was taken in. A malformed record has no usable id: its
    headers and body are what it is, and what a person has dropped of it stays dropped.
    """
    headers = [
        [name, base64.b64encode(value).decode() if value is not None else None] for name, value in record.headers
    ]
    digest = hashlib.sha256(json.dumps(headers).encode() + (record.body or b"")).digest()
    # Two consumers may hold the partition for a moment, each with its own copy: the second one waits for the first.
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('parked:' || :consumer || ':' || :what, 0))"),
        {"consumer": consumer, "what": str(event_id) if event_id is not None else digest.hex()},
    )
    session.execute(
        text(
            """
            insert into parked (consumer, topic, partition, record_offset, key, event_id, type, headers, body,
                                digest, malformed, error, tries, state, retry_at)
            select :consumer, :topic, :partition, :offset, :key, :event_id, :type, cast(:headers as jsonb),
                   cast(:body as bytea), :digest, :malformed, :error, :tries, 'PARKED',
                   clock_timestamp() + make_interval(secs => :pause)
            where not exists (select 1 from parked where consumer = :consumer and event_id = :event_id
                                                         and state = 'PARKED')
                  and not exists (select 1 from inbox where consumer = :consumer and event_id = :event_id)
                  and not (:malformed
                           and exists (select 1 from parked
                                       where consumer = :consumer and topic = :topic and digest = :digest
                                             and key is not distinct from :key and malformed
                                             and state in ('PARKED', 'DROPPED')))
            on conflict do nothing
            """
        ),
        {
            "consumer": consumer,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key,
            "event_id": event_id,
            "type": type_name,
            "headers": json.dumps(headers),
            "body": record.body,
            "digest": digest,
            "malformed": malformed,
            "error": error[:_ERROR_CHARACTERS_MAX],
            "tries": tries,
            "pause": RETRY_AFTER_SECONDS[0] if tries else 0,
        },
    )


def next_due(session: Session, consumers: Sequence[str]) -> Any | None:
    """The first parked event that is due and the oldest of its key, locked; None when none is.

    Malformed ones wait for a person.
    """
    return (
        session.execute(
            text(
                """
                select * from parked as head
                where state = 'PARKED' and not malformed and retry_at <= clock_timestamp()
                      and consumer = any (:consumers)
                      and not exists (select 1 from parked as earlier
                                      where earlier.state = 'PARKED' and earlier.topic = head.topic
                                            and earlier.key = head.key and earlier.parked_id < head.parked_id
                                            and (earlier.consumer = head.consumer or earlier.malformed))
                order by parked_id limit 1 for update skip locked
                """
            ),
            {"consumers": list(consumers)},
        )
        .mappings()
        .first()
    )


def hold(session: Session, parked_id: int) -> bool:
    """Lock a parked event for this transaction; False when somebody else resolved it meanwhile."""
    statement = text("select 1 from parked where parked_id = :id and state = 'PARKED' for update")
    return session.execute(statement, {"id": parked_id}).first() is not None


def done(session: Session, parked_id: int) -> None:
    """A parked event has had its effect."""
    session.execute(
        text(
            "update parked set state = 'DONE', resolved_at = clock_timestamp(), resolved_by = 'retry'"
            " where parked_id = :id"
        ),
        {"id": parked_id},
    )


def failed_again(session: Session, parked_id: int, *, error: str, tries: int) -> None:
    """The `tries`th try failed: the next one comes after a pause, the last pause again and again."""
    nth = max(0, tries - TRIES_MAX)
    session.execute(
        text(
            "update parked set tries = :tries, error = :error,"
            " retry_at = clock_timestamp() + make_interval(secs => :pause)"
            " where parked_id = :id and state = 'PARKED'"
        ),
        {
            "id": parked_id,
            "tries": tries,
            "error": error[:_ERROR_CHARACTERS_MAX],
            "pause": RETRY_AFTER_SECONDS[min(nth, len(RETRY_AFTER_SECONDS) - 1)],
        },
    )


def record_of(row: Any) -> Record:
    """The record of a parked row."""
    headers = tuple((name, base64.b64decode(value) if value is not None else None) for name, value in row["headers"])
    body = bytes(row["body"]) if row["body"] is not None else None
    return Record(row["topic"], row["partition"], row["record_offset"], row["key"], headers, body)


def _count(session: Session, statement: str, values: dict[str, Any]) -> int:
    result = session.execute(text(statement), values)
    return int(result.rowcount)  # type: ignore[attr-defined]  # an update's result has it
