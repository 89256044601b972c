"""The relay's two sides: the outbox rows that are to be sent, and the broker that takes them.

A row is marked only after the broker's answer, and gets its `position` in the same statement. A broker that came
back empty (another cluster id, a smaller end) makes every kept row unsent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    CorruptRecordError,
    InvalidRecordError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from sqlalchemy import Connection, RowMapping, text

from chassis import broker, cloudevent, telemetry
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.relay")

BATCH_MAX = 500

# Refusals of one record: sending it again is refused again. Everything else is the broker's trouble.
POISON = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidRecordError,
    InvalidTimestampError,
    CorruptRecordError,
    InvalidTopicError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

# For the relay's connection: rows are merged from the days' partial indexes, which have them in order, and marked one
# by one by their keys. The planner's figures are from before an outage: it takes the rows that wait to be few, and
# would read and sort, or hash, all of them for every batch (tried: 230 ms a batch instead of 2, with 200,000 waiting).
CONNECTION_OPTIONS = "-c enable_sort=off -c enable_hashjoin=off -c enable_mergejoin=off"

_UNSENT = text(
    """
    select id, event_id, type, topic, key, agency_id, sequence, body, traceparent, recorded_at, position, tries
    from outbox
    where sent_at is null and parked_at is null
          and not exists (select 1 from outbox as ahead
                          where ahead.parked_at is not null and ahead.topic = outbox.topic
                                and ahead.key = outbox.key)
    order by id limit :batch
    """
)

_MARK = text(
    """
    update outbox set sent_at = clock_timestamp(), position = given.position, error = null
    from unnest(cast(:ids as bigint[]), cast(:days as timestamptz[]), cast(:positions as bigint[]))
         as given (id, recorded_at, position)
    where outbox.id = given.id and outbox.recorded_at = given.recorded_at and sent_at is null
    """
)

_ENDS = text(
    """
    insert into broker_offset (topic, partition, end_offset)
    select topic, partition, end_offset
    from unnest(cast(:topics as text[]), cast(:partitions as int[]), cast(:ends as bigint[]))
         as given (topic, partition, end_offset)
    on conflict (topic, partition) do update set end_offset = excluded.end_offset
    """
)


class LogLost(Exception):
    """The broker no longer has what it had confirmed."""


@dataclass(frozen=True)
class Sent:
    """A row that the broker has taken, and where."""

    row: RowMapping
    partition: int
    offset: int


def unsent(connection: Connection) -> Sequence[RowMapping]:
    """The next rows to send: visible and unsent now, by id; none whose key waits for a parked one."""
    return connection.execute(_UNSENT, {"batch": BATCH_MAX}).mappings().all()


def mark(connection: Connection, sent: Sequence[Sent]) -> None:
    """Note what the broker has taken: each row's position, and where the partitions end now."""
    if not sent:
        return
    position = int(connection.execute(text("select position from relay_state for update")).scalar_one())
    ids, days, positions = [], [], []
    for one in sent:
        ids.append(one.row["id"])
        # Finds the row's day, so that no other one is looked through.
        days.append(one.row["recorded_at"])
        # A row that is sent again keeps its place in the order of replays.
        if one.row["position"] is None:
            position += 1
        positions.append(one.row["position"] or position)
    marked = connection.execute(_MARK, {"ids": ids, "days": days, "positions": positions}).rowcount
    if marked != len(ids):
        raise RuntimeError(f"{len(ids)} events were sent and {marked} marked: another relay writes this outbox")
    connection.execute(text("update relay_state set position = :position"), {"position": position})
    ends = {(one.row["topic"], one.partition): one.offset + 1 for one in sorted(sent, key=lambda one: one.offset)}
    connection.execute(
        _ENDS,
        {
            "topics": [topic for topic, _ in ends],
            "partitions": [partition for _, partition in ends],
            "ends": list(ends.values()),
        },
    )


def note_failure(connection: Connection, row: RowMapping, error: str, *, tries_max: int) -> bool:
    """Count a refusal of one row; from the `tries_max`th on it is parked. Whether it is parked now."""
    parked = connection.execute(
        text(
            "update outbox set tries = tries + 1, error = :error,"
            " parked_at = case when tries + 1 >= :tries_max then clock_timestamp() end"
            " where id = :id and recorded_at = :recorded_at returning parked_at is not null"
        ),
        {"id": row["id"], "recorded_at": row["recorded_at"], "error": error[:500], "tries_max": tries_max},
    ).scalar_one()
    return bool(parked)


class Sender:
    """A connection to the broker. Any KafkaError from it means: close it and connect anew."""

    def __init__(self, settings: ServiceSettings, connection: Connection) -> None:
        """Connect, fence whoever sent for this service before, and see whether the broker still has its log."""
        self._settings = settings
        self._source = settings.service
        self._admin: KafkaAdminClient = broker.admin(settings)
        self._producer: broker.Producer | None = None
        try:
            self._cluster = broker.cluster_id(self._admin)
            self._topics = set(self._admin.list_topics())
            with connection.begin():
                self._compare(connection)
            self._producer = broker.producer(settings, transactional_id=f"kelola-relay-{settings.service}")
            self._producer.init_transactions()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        # What was under way is sent again by the next sender, which fences this one.
        if self._producer is not None:
            self._producer.abandon()
        with suppress(KafkaError, OSError):
            self._admin.close()

    def check(self) -> None:
        """See whether it is still the same broker; LogLost when it is not."""
        now = broker.cluster_id(self._admin)
        if now != self._cluster:
            raise LogLost(f"the broker is now {now}, it was {self._cluster}")

    def send(self, rows: Sequence[RowMapping]) -> list[Sent]:
        """Send the rows in one transaction and wait for the answers; all or none."""
        assert self._producer is not None
        missing = {row["topic"] for row in rows} - self._topics
        if missing:
            broker.ensure_topics(self._admin, missing, days=self._settings.topic_retention_days)
            self._topics |= missing
        self._producer.begin_transaction()
        spans: list[Span] = []
        try:
            futures = []
            for row in rows:
                span = _publish_span(row)
                spans.append(span)
                futures.append(
                    self._producer.send(
                        row["topic"],
                        key=row["key"].encode(),
                        value=bytes(row["body"]),
                        headers=_headers(row, self._source, span),
                    )
                )
            self._producer.flush(broker.ANSWER_SECONDS)
            answers = [future.get(timeout=broker.ANSWER_SECONDS) for future in futures]
            self._producer.commit_transaction()
        except BaseException as failure:
            for span in spans:
                span.set_attribute("error.type", type(failure).__qualname__)
                span.set_status(StatusCode.ERROR)
            # After a refused record this sender goes on; after anything else it is closed.
            if isinstance(failure, POISON):
                self._producer.abort_transaction()
            raise
        finally:
            for span in spans:
                span.end()
        return [Sent(row, answer.partition, answer.offset) for row, answer in zip(rows, answers, strict=True)]

    def _compare(self, connection: Connection) -> None:
        """Make all rows unsent when the broker is another one, or ends before what it had confirmed."""
        known = connection.execute(text("select cluster_id from relay_state for update")).scalar_one()
        lost = None
        if known is not None and known != self._cluster:
            lost = f"the broker was {known} and is {self._cluster}"
        else:
            kept = connection.execute(text("select topic, partition, end_offset from broker_offset")).all()
            ends = self._ends({TopicPartition(row.topic, row.partition) for row in kept})
            for row in kept:
                end = ends.get(TopicPartition(row.topic, row.partition), 0)
                if end < row.end_offset:
                    lost = f"{row.topic}/{row.partition} ends at {end} and had {row.end_offset}"
        if lost is not None:
            send_everything_again(connection, lost)
        connection.execute(
            text("update relay_state set cluster_id = :cluster, seen_at = clock_timestamp()"),
            {"cluster": self._cluster},
        )

    def _ends(self, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
        known = {partition for partition in partitions if partition.topic in self._topics}
        if not known:
            return {}
        try:
            offsets = self._admin.list_partition_offsets(dict.fromkeys(known, OffsetSpec.LATEST))
        except UnknownTopicOrPartitionError:
            return {}
        return {partition: int(found.offset) for partition, found in offsets.items()}


def send_everything_again(connection: Connection, why: str) -> None:
    """The broker has lost its log: every kept row is unsent again, and keeps its position."""
    count = connection.execute(text("update outbox set sent_at = null where sent_at is not null")).rowcount
    connection.execute(text("delete from broker_offset"))
    log.warning("the broker lost its log; everything kept is sent again", why=why, events=count)


def check_offsets(connection: Connection, sent: Sequence[Sent]) -> None:
    """LogLost when an answer names an offset that lies before the end that was known."""
    rows = connection.execute(text("select topic, partition, end_offset from broker_offset"))
    ends = {(row.topic, row.partition): row.end_offset for row in rows}
    for one in sent:
        end = ends.get((one.row["topic"], one.partition), 0)
        if one.offset < end:
            raise LogLost(f"{one.row['topic']}/{one.partition} gave offset {one.offset} and had ended at {end}")


def _publish_span(row: RowMapping) -> Span:
    """The span of sending one event, in the trace of the call that wrote it."""
    return trace.get_tracer("kelola").start_span(
        f"send {row['topic']}",
        context=telemetry.context_of(row["traceparent"]),
        kind=SpanKind.PRODUCER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": row["topic"],
            "messaging.message.id": str(row["event_id"]),
            "messaging.kafka.message.key": row["key"],
            "kelola.event.type": row["type"],
        },
    )


def _headers(row: RowMapping, source: str, span: Span) -> list[tuple[str, bytes]]:
    with trace.use_span(span):
        traceparent: Any = telemetry.traceparent()
    return cloudevent.headers(
        event_id=row["event_id"],
        source=source,
        type_name=row["type"],
        time=row["recorded_at"],
        key=row["key"],
        sequence=row["sequence"],
        agency_id=row["agency_id"],
        traceparent=traceparent,
    )
