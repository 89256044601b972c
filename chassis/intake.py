"""What is done with each record that a consumer gets: its effects, or the parking lot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import metrics
from opentelemetry.trace import SpanKind
from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis import audit, cloudevent, parking, telemetry
from chassis.cloudevent import Event, Malformed, Record
from chassis.database import Transactions
from chassis.database_errors import is_transient
from chassis.errors import KelolaError

if TYPE_CHECKING:
    from chassis.events import OnEvent

log = structlog.get_logger("chassis.consumer")

# Between the tries of one event. Together below a second: so long do other keys of the partition wait for it.
_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4)
# Between tries while the database is away, or other transactions were in the way.
_WAIT_SECONDS = (0.1, 0.2, 0.5, 1.0)

_TAKE = text(
    """
    insert into inbox (consumer, event_id)
    select :consumer, :event_id
    where not exists (select 1 from parked
                      where state = 'PARKED' and topic = :topic and key = :key
                            and (consumer = :consumer or malformed))
          and not exists (select 1 from parked
                          where consumer = :consumer and event_id = :event_id and state = 'DROPPED')
    on conflict do nothing
    returning true
    """
)

# What a person dropped stays dropped, also when its topic is read again.
_TAKEN = text(
    """
    select 1 from inbox where consumer = :consumer and event_id = :event_id
    union all
    select 1 from parked where consumer = :consumer and event_id = :event_id and state = 'DROPPED'
    """
)

# Ids that are no UUIDs are looked at when their record's turn comes.
_BEFORE = text(
    """
    select consumer, event_id from inbox
    where event_id in (select cast(id as uuid) from unnest(cast(:ids as text[])) as given (id)
                       where pg_input_is_valid(id, 'uuid'))
    """
)


class Stopped(Exception):
    """The service ends while an event waits: it will be delivered again."""


class Intake:
    """Takes records in: what is done with each, apart from where it came from."""

    def __init__(
        self,
        service: str,
        handlers: Iterable[OnEvent],
        transactions: Transactions,
        *,
        stopping: threading.Event,
        worker: Callable[[OnEvent, tuple[Any, ...]], Any],
    ) -> None:
        self._service = service
        self._handlers: dict[str, list[OnEvent]] = {}
        for handler in sorted(handlers, key=lambda handler: str(handler.method_name)):
            self._handlers.setdefault(handler.type_name, []).append(handler)
        self._classes = {name: found[0].message_class for name, found in self._handlers.items()}
        self._by_name = {handler.method_name: handler for found in self._handlers.values() for handler in found}
        self._transactions = transactions
        self._stopping = stopping
        self._worker = worker
        self._before: set[tuple[Any, ...]] = set()
        self.lag = 0
        self._parked = metrics.get_meter("kelola").create_counter("kelola.events.parked", unit="{event}")
        metrics.get_meter("kelola").create_observable_gauge(
            "kelola.consumer.lag",
            [lambda _: [metrics.Observation(self.lag, {"kelola.service": service})]],
            unit="{event}",
        )

    @property
    def topics(self) -> set[str]:
        """Where the events come from."""
        return {handler.topic for found in self._handlers.values() for handler in found}

    def look_up(self, records: Sequence[Record]) -> None:
        """Note which of the records were taken in before, so that a replay costs one query for many."""
        ids = [record.header_text("ce_id") for record in records]
        try:
            with self._transactions.work((), subject="inbox") as session:
                self._before = {tuple(row) for row in session.execute(_BEFORE, {"ids": ids})}
        except Exception as failure:
            if not is_transient(failure):
                raise
            self._before = set()

    def take(self, record: Record) -> None:
        """Have the record's effects, or park it. Returns when that is committed; raises only Stopped."""
        try:
            event = cloudevent.decode(record, self._classes)
        except Malformed as failure:
            self._park_malformed(record, str(failure))
            return
        if event is None:
            return
        for handler in self._handlers[event.type]:
            self._take_by(handler, event, record)

    def retry_parked(self) -> None:
        """Try each parked event that is due, in order."""
        while not self._stopping.is_set():
            try:
                if not self._retry_one():
                    return
            except Exception as failure:
                if not is_transient(failure):
                    log.exception("parked events could not be looked through")
                return

    def _take_by(self, handler: OnEvent, event: Event, record: Record) -> None:
        if (handler.method_name, event.id) in self._before:
            return
        failures = waits = 0
        while True:
            try:
                with self._processing(handler, event, record):
                    self._effect(handler, event, record)
                return
            except Exception as failure:
                if is_transient(failure):
                    # Nobody's fault, and no try is counted: the database is away or others were in the way.
                    self._wait(_WAIT_SECONDS[min(waits, len(_WAIT_SECONDS) - 1)])
                    waits += 1
                    continue
                failures += 1
                _log_failure(handler, event, failure, failures)
                if failures < parking.TRIES_MAX:
                    self._wait(_PAUSES_SECONDS[failures - 1])
                    continue
                self._park(handler, event, record, _words(failure), failures)
                return

    def _effect(self, handler: OnEvent, event: Event, record: Record) -> None:
        name = handler.method_name
        with self._transactions.begin_event(event) as session:
            values = {"consumer": name, "event_id": event.id, "topic": record.topic, "key": record.key}
            if session.execute(_TAKE, values).first() is None:
                if session.execute(_TAKEN, values).first() is None:
                    parking.park(
                        session,
                        record,
                        consumer=name,
                        event_id=event.id,
                        type_name=event.type,
                        error="an earlier event of this key is parked",
                        tries=0,
                    )
                return
            self._call(handler, event, session)

    def _call(self, handler: OnEvent, event: Event, session: Session) -> None:
        with self._worker(handler, (event, session)) as method:
            method(event, session)
        session.flush()
        audit.record(session, event, agency_id=event.agency_id, details={"handler": handler.method_name})

    def _retry_one(self) -> bool:
        """Try the first parked event that is due; whether there was one."""
        with self._transactions.work((), subject="parking") as session:
            row = parking.next_due(session, list(self._by_name))
        if row is None:
            return False
        record, handler = parking.record_of(row), self._by_name[row["consumer"]]
        try:
            event = cloudevent.decode(record, self._classes)
            if event is None:
                raise Malformed(f"{row['type']} is no longer taken in")
            with self._processing(handler, event, record), self._transactions.begin_event(event) as session:
                if not parking.hold(session, row["parked_id"]):
                    return True
                values = {"consumer": handler.method_name, "event_id": event.id}
                if session.execute(_TAKE_PARKED, values).first() is not None:
                    self._call(handler, event, session)
                parking.done(session, row["parked_id"])
        except Exception as failure:
            if is_transient(failure):
                raise
            with self._transactions.work((), subject="parking") as session:
                parking.failed_again(session, row["parked_id"], error=_words(failure), tries=row["tries"] + 1)
            log.warning("a parked event failed again", parked_id=row["parked_id"], error=_words(failure))
        return True

    def _park(self, handler: OnEvent, event: Event, record: Record, error: str, tries: int) -> None:
        self._insist(
            lambda session: parking.park(
                session,
                record,
                consumer=handler.method_name,
                event_id=event.id,
                type_name=event.type,
                error=error,
                tries=tries,
            )
        )
        self._parked.add(1, {"kelola.consumer": str(handler.method_name)})
        log.error("an event is parked", consumer=handler.method_name, event_id=str(event.id), type=event.type)

    def _park_malformed(self, record: Record, error: str) -> None:
        """Under its place, since it has no usable id; its key, if it has one, stays blocked."""
        type_name: str | None = None
        with suppress(Malformed):
            type_name = record.header("ce_type")
        self._insist(
            lambda session: parking.park(
                session,
                record,
                consumer=self._service,
                event_id=None,
                type_name=type_name,
                error=error,
                tries=parking.TRIES_MAX,
                malformed=True,
            )
        )
        self._parked.add(1, {"kelola.consumer": self._service})
        log.error(
            "a malformed record is parked",
            **{"topic": record.topic, "partition": record.partition, "offset": record.offset, "error": error},
        )

    def _insist(self, act: Callable[[Session], None]) -> None:
        """Do it, however long the database is away."""
        waits = 0
        while True:
            try:
                with self._transactions.work((), subject="parking") as session:
                    act(session)
                return
            except Exception as failure:
                if not is_transient(failure):
                    raise
                self._wait(_WAIT_SECONDS[min(waits, len(_WAIT_SECONDS) - 1)])
                waits += 1

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped

    @contextmanager
    def _processing(self, handler: OnEvent, event: Event, record: Record) -> Iterator[None]:
        """The span of one try, in the trace that began with the sender's call."""
        attributes: dict[str, Any] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.consumer.group.name": f"kelola-{self._service}",
            "messaging.message.id": str(event.id),
            "messaging.kafka.message.key": record.key or "",
            "kelola.event.type": event.type,
            "kelola.agency": str(event.agency_id or ""),
        }
        with (
            telemetry.continue_trace(event.traceparent),
            telemetry.span(f"process {record.topic}", kind=SpanKind.CONSUMER, attributes=attributes),
        ):
            yield


_TAKE_PARKED = text(
    "insert into inbox (consumer, event_id) values (:consumer, :event_id) on conflict do nothing returning true"
)


def _words(failure: Exception) -> str:
    """What the parking lot shows of a failure: our own words, and only the type of what is not ours."""
    if isinstance(failure, KelolaError):
        return f"{failure.reason}: {failure.message}"
    if isinstance(failure, Malformed):
        return str(failure)
    return f"{type(failure).__name__} (see the log)"


def _log_failure(handler: OnEvent, event: Event, failure: Exception, tries: int) -> None:
    known: dict[str, Any] = {"consumer": handler.method_name, "event_id": str(event.id), "type": event.type}
    if isinstance(failure, KelolaError):
        log.warning("an event was refused", **known, tries=tries, reason=failure.reason, detail=failure.message)
    else:
        log.error("an event failed", **known, tries=tries, exc_info=failure)
