"""The consumer: one thread and one group a service, which hands each event to the methods that want it.

For each record and method: one transaction that notes the event in the inbox and has the effect; the offset is
committed afterwards. So an event is taken in exactly once, whatever dies in between. While the database is away
the thread waits; while the broker is away it knocks again every second.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaError
from nameko.extensions import SharedExtension

from chassis import broker
from chassis.cloudevent import Record
from chassis.database import transactions_of
from chassis.intake import Intake, Stopped
from chassis.settings import ServiceSettings

if TYPE_CHECKING:
    from chassis.events import OnEvent

log = structlog.get_logger("chassis.consumer")

_POLL_MILLISECONDS = 200
_KNOCK_SECONDS = 1.0
_PARKED_EVERY_SECONDS = 0.5
_CLOSE_MILLISECONDS = 2_000
# Apache Kafka ends a join within this time; the embedded broker needs 3 s, 8 s after a member that died.
_SETTLE_SECONDS = 1.0
_STRANDED_SECONDS = 15.0


class Stranded(Exception):
    """The join of this member's group does not end."""


class EventConsumer(SharedExtension):
    """Runs every `@on_event` method of the service."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._handlers: list[OnEvent] = []
        self._stopping = threading.Event()

    def register(self, handler: OnEvent) -> None:
        """Take a method in."""
        if handler not in self._handlers:
            self._handlers.append(handler)

    def start(self) -> None:
        """Start the thread; without a broker in the settings nothing is consumed."""
        settings: ServiceSettings = self.container.settings
        if not self._handlers or not settings.broker_servers:
            return
        container = self.container
        intake = Intake(
            settings.service,
            self._handlers,
            transactions_of(container),
            stopping=self._stopping,
            worker=container.worker,
        )
        container.spawn_managed_thread(lambda: run(settings, intake, self._stopping), "consumer")

    def stop(self) -> None:
        """The event under way is finished, then the thread leaves its group."""
        self._stopping.set()


def run(settings: ServiceSettings, intake: Intake, stopping: threading.Event) -> None:
    """Consume until `stopping`; every failure of the broker ends in a new connection."""
    while not stopping.is_set():
        try:
            _consume(settings, intake, stopping)
        except Stopped:
            return
        except Stranded:
            _rescue(settings)
        except (KafkaError, OSError, UnicodeDecodeError) as failure:
            log.warning("the broker is away; trying again", error=type(failure).__name__, detail=str(failure)[:200])
            stopping.wait(_KNOCK_SECONDS)


def _consume(settings: ServiceSettings, intake: Intake, stopping: threading.Event) -> None:
    client = broker.admin(settings)
    try:
        broker.ensure_topics(client, intake.topics, days=settings.topic_retention_days)
    finally:
        client.close()
    consumer, membership = broker.consumer(settings, f"kelola-{settings.service}"), _Membership()
    try:
        consumer.subscribe(topics=sorted(intake.topics), listener=membership)
        looked = 0.0
        while not stopping.is_set():
            polled = consumer.poll(timeout_ms=_POLL_MILLISECONDS)
            if polled:
                _take_all(consumer, polled, intake)
            if time.monotonic() - looked > _PARKED_EVERY_SECONDS:
                intake.retry_parked()
                intake.lag = _lag(consumer)
                looked = time.monotonic()
            if membership.joining_seconds > _STRANDED_SECONDS:
                raise Stranded
        end = time.monotonic() + _SETTLE_SECONDS
        while membership.joining and time.monotonic() < end:
            consumer.poll(timeout_ms=_POLL_MILLISECONDS, max_records=1, update_offsets=False)
        if membership.joining:
            # A member that leaves in the midst of its join may strand its group (see `_rescue`); one that goes
            # without a word only lets the group wait for it, a session long.
            _forget_membership(consumer)
    finally:
        with suppress(KafkaError, OSError):
            consumer.close(timeout_ms=_CLOSE_MILLISECONDS)


class _Membership(ConsumerRebalanceListener):
    """Whether this member is between having no partitions any more and having been given some (or none)."""

    def __init__(self) -> None:
        self.joining = True
        self._since = time.monotonic()

    @property
    def joining_seconds(self) -> float:
        """How long the join under way has taken; 0 when none is."""
        return time.monotonic() - self._since if self.joining else 0.0

    def on_partitions_revoked(self, revoked: Any) -> None:
        """A join begins."""
        if not self.joining:
            self.joining, self._since = True, time.monotonic()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """The join has ended."""
        self.joining = False


def _forget_membership(consumer: KafkaConsumer) -> None:
    """Let `close` send no LeaveGroup; kafka-python 3.0.12 has no argument for that."""
    consumer._coordinator.reset_generation()


def _rescue(settings: ServiceSettings) -> None:
    """Free a group that a member stranded by leaving in the midst of its join.

    The embedded broker then never ends the rebalance (seen: nobody had partitions for 90 s) until the group is
    deleted; its offsets go with it, and the inbox knows what was taken in. Apache Kafka refuses to delete a group
    that has members: then others are only slow, and joining again is all there is to do.
    """
    group = f"kelola-{settings.service}"
    with suppress(KafkaError, OSError), closing(broker.admin(settings)) as client:
        log.warning("the group gave out no partitions", group=group, deleted=client.delete_groups([group])[group])


def _take_all(consumer: KafkaConsumer, polled: Mapping[TopicPartition, Sequence[Any]], intake: Intake) -> None:
    """The records of each partition in order, the partitions merged by time; then the offsets of what was done.

    An event often rests on one of another topic; in the order of time it seldom comes before it.
    """
    after: dict[TopicPartition, OffsetAndMetadata] = {}
    try:
        records = [_record(raw) for raw in heapq.merge(*polled.values(), key=lambda raw: raw.timestamp)]
        intake.look_up(records)
        for record in records:
            intake.take(record)
            after[TopicPartition(record.topic, record.partition)] = OffsetAndMetadata(record.offset + 1, "", -1)
    finally:
        if after:
            # A rebalance gave a partition away: its new owner takes the records again and finds them noted.
            with suppress(CommitFailedError):
                consumer.commit(after)


def _record(raw: Any) -> Record:
    key = raw.key.decode("utf-8", "backslashreplace") if raw.key is not None else None
    return Record(raw.topic, raw.partition, raw.offset, key, tuple(raw.headers), raw.value)


def _lag(consumer: KafkaConsumer) -> int:
    """How many records of the assigned partitions are not taken in yet, as far as the last answers tell."""
    lag = 0
    for partition in consumer.assignment():
        high = consumer.highwater(partition)
        if high is not None:
            lag += max(0, high - consumer.position(partition, timeout_ms=_POLL_MILLISECONDS))
    return lag
