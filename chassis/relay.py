"""The relay: one a service sends what the outbox holds, in order, and chains the audit.

    relay.run(settings, base, stop)          # a thread of the service, or `kelola relay SERVICE`

It reads what is unsent and visible, by id: never "beyond the last id" (ids commit out of order, so that loses
events) and never by transaction id (given before the aggregate's lock, so that breaks the order of keys). An
advisory lock keeps a second relay waiting; a relay that lost its lock unawares is fenced by its transactional id.
A crash between the broker's answer and the mark sends a row twice; consumers note what they took in.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka.errors import KafkaError, ProducerFencedError
from opentelemetry import metrics
from sqlalchemy import Connection, RowMapping, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chassis import audit, audit_heads, outbox_days, telemetry
from chassis.database import SILENCE, sqlalchemy_url
from chassis.relay_sender import (
    CONNECTION_OPTIONS,
    POISON,
    LogLost,
    Sender,
    check_offsets,
    mark,
    note_failure,
    send_everything_again,
    unsent,
)
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.relay")

# Any number, the same for all relays of a database.
_LOCK = 5_107_003
_LOCK_EVERY_SECONDS = 0.5
_KNOCK_SECONDS = 1.0
# The pause doubles from the first to the second while nothing happens.
_IDLE_FIRST_SECONDS, _IDLE_LAST_SECONDS = 0.01, 0.1
# A pass costs nearly the same for one row as for a hundred: after a short one the next waits for more to come.
_MANY, _GATHER_SECONDS = 200, 0.025
_CHECK_EVERY_SECONDS = 2.0
_FLUSH_SECONDS = 3.0
_HEAD_EVERY_SECONDS = 600.0
_SWEEP_EVERY_SECONDS = 60.0
# A row that the broker refuses this often is parked; its key stays blocked until a person decides.
TRIES_MAX = 5
_REFUSED_PAUSE_SECONDS = 0.2

# Names the place between two acts where a test may strike.
Failpoint = Callable[[str], None]


def _nowhere(_: str) -> None:
    """Strike nowhere."""


def run(
    settings: ServiceSettings,
    base: Any,
    stop: threading.Event,
    *,
    signing_key: Ed25519PrivateKey | None = None,
    failpoint: Failpoint = _nowhere,
) -> None:
    """Relay until `stop`. Without a broker in the settings it only chains the audit.

    `base` is the service's table base (the shared tables have fixed names, so only its presence is asked for).
    `failpoint` is called with "read", "sent" (between the broker's answer and the mark) and "marked".
    """
    Relay(settings, signing_key=signing_key or head_key(settings), failpoint=failpoint).run(stop)


def serve(settings: ServiceSettings) -> int:
    """The relay as a process: until SIGTERM or SIGINT; its exit status."""
    stop = threading.Event()
    news: list[int] = []
    telemetry.start(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # A list's append takes no lock that the interrupted thread could hold.
        signal.signal(number, lambda signum, frame: news.append(signum))
    failures: list[BaseException] = []

    def body() -> None:
        try:
            run(settings, None, stop)
        except BaseException as failure:
            failures.append(failure)
            log.exception("the relay failed")

    thread = threading.Thread(target=body, name="relay")
    thread.start()
    while thread.is_alive() and not news:
        thread.join(0.1)
    stop.set()
    thread.join(settings.grace_seconds)
    telemetry.stop()
    return 1 if failures else 2 if thread.is_alive() else 0


def head_key(settings: ServiceSettings) -> Ed25519PrivateKey | None:
    """The key that signs the audit's heads: the service's own, if it is an Ed25519 key."""
    if settings.service_key_file is None:
        return None
    from chassis import auth

    key = auth.load_key(settings.service_key_file).private_key
    return key if isinstance(key, Ed25519PrivateKey) else None


class Relay:
    """One relay; `run` may be called once."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        signing_key: Ed25519PrivateKey | None = None,
        failpoint: Failpoint = _nowhere,
    ) -> None:
        if settings.database_reader_url is None:
            raise ValueError("set KELOLA_DATABASE_READER_URL: the relay works as the reader role")
        self._settings = settings
        self._key = signing_key
        self._failpoint = failpoint
        self._engine = create_engine(
            sqlalchemy_url(settings.database_reader_url),
            poolclass=NullPool,
            connect_args={
                "application_name": f"{settings.service}-relay",
                "connect_timeout": 5,
                # No prepared statements: a plan made while the outbox was short would be kept as it grows, and scan
                # the whole table once for every event.
                "prepare_threshold": None,
                "options": CONNECTION_OPTIONS,
                **SILENCE,
            },
        )
        self._sender: Sender | None = None
        self._keep = timedelta(days=settings.outbox_retention_days)
        self._head_file = (
            audit_heads.HeadFile(settings.service, settings.audit_head_file) if settings.audit_head_file else None
        )
        if signing_key is not None:
            # Heads that could not be published are found out now, not in ten minutes.
            audit_heads.event_class(settings.service)
        self._knock_at = self._check_at = self._sweep_at = 0.0
        self._head_at = time.monotonic() + _HEAD_EVERY_SECONDS
        self._figures = {"unsent": 0, "age_seconds": 0.0, "unchained": 0, "parked": 0, "late": 0, "days_held": 0}
        _gauges(settings.service, self._figures)

    def run(self, stop: threading.Event) -> None:
        """Lead as soon as the lock is free, until `stop`; a database that is away is waited for."""
        while not stop.is_set():
            try:
                with self._engine.connect() as connection:
                    if self._locked(connection):
                        log.info("relay leads", service=self._settings.service)
                        self._lead(connection, stop)
                    else:
                        stop.wait(_LOCK_EVERY_SECONDS)
            except DBAPIError as failure:
                log.warning("the database is away; trying again", error=type(failure.orig).__name__)
                stop.wait(_KNOCK_SECONDS)
            finally:
                self._drop_sender()

    def _locked(self, connection: Connection) -> bool:
        with connection.begin():
            return bool(connection.execute(text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar())

    def _lead(self, connection: Connection, stop: threading.Event) -> None:
        if self._head_file is not None:
            self._head_file.add(connection)
        pause = _IDLE_FIRST_SECONDS
        while not stop.is_set():
            worked = self._chain(connection)
            worked += self._pass(connection)
            self._housekeep(connection)
            if worked >= _MANY:
                pause = _IDLE_FIRST_SECONDS
            elif worked:
                pause = _IDLE_FIRST_SECONDS
                stop.wait(_GATHER_SECONDS)
            else:
                stop.wait(pause)
                pause = min(pause * 2, _IDLE_LAST_SECONDS)
        # What was told while we were asked to end goes out too; what the broker does not take now waits for the next.
        self._flush(connection)
        self._chain(connection)
        self._sign_head(connection)
        self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        end = time.monotonic() + _FLUSH_SECONDS
        while self._pass(connection) and time.monotonic() < end:
            pass

    def _chain(self, connection: Connection) -> int:
        with connection.begin():
            return audit.chain(connection)

    def _pass(self, connection: Connection) -> int:
        """Send one batch, if there is one and the broker takes it; how many rows were sent."""
        if not self._settings.broker_servers or time.monotonic() < self._knock_at:
            return 0
        try:
            if self._sender is None:
                self._sender = Sender(self._settings, connection)
            if time.monotonic() > self._check_at:
                self._sender.check()
                self._check_at = time.monotonic() + _CHECK_EVERY_SECONDS
            with connection.begin():
                rows = unsent(connection)
            if not rows:
                return 0
            self._failpoint("read")
            return self._send(connection, self._sender, rows)
        except LogLost as failure:
            with connection.begin():
                send_everything_again(connection, str(failure))
            self._drop_sender()
            return 1
        except ProducerFencedError:
            # Another relay leads with our name: its lock is newer than ours, so ours must be gone.
            log.warning("this relay was fenced by a newer one")
            self._knock_later()
            return 0
        except (KafkaError, OSError) as failure:
            log.warning("the broker is away; trying again", error=type(failure).__name__)
            self._knock_later()
            return 0

    def _send(self, connection: Connection, sender: Sender, rows: Sequence[RowMapping]) -> int:
        try:
            sent = sender.send(rows)
        except POISON as failure:
            if len(rows) > 1:
                return self._send_singly(connection, sender, rows)
            self._refused(connection, rows[0], failure)
            return 0
        self._failpoint("sent")
        with connection.begin():
            check_offsets(connection, sent)
            mark(connection, sent)
        self._failpoint("marked")
        return len(sent)

    def _send_singly(self, connection: Connection, sender: Sender, rows: Sequence[RowMapping]) -> int:
        """Row by row, since one of them is refused; a refused one holds its key back."""
        held: set[tuple[str, str]] = set()
        count = 0
        for row in rows:
            if (row["topic"], row["key"]) in held:
                continue
            if self._send(connection, sender, [row]):
                count += 1
            else:
                held.add((row["topic"], row["key"]))
        return count

    def _refused(self, connection: Connection, row: RowMapping, failure: KafkaError) -> None:
        with connection.begin():
            parked = note_failure(connection, row, type(failure).__name__, tries_max=TRIES_MAX)
        known = {"event_id": str(row["event_id"]), "topic": row["topic"], "error": type(failure).__name__}
        if parked:
            log.error("an event is parked in the outbox; its key is blocked", **known)
        else:
            log.warning("the broker refused an event", **known)
            time.sleep(_REFUSED_PAUSE_SECONDS)

    def _housekeep(self, connection: Connection) -> None:
        now = time.monotonic()
        if now > self._head_at:
            self._sign_head(connection)
            self._head_at = now + _HEAD_EVERY_SECONDS
        if now > self._sweep_at:
            more = self._sweep(connection)
            self._sweep_at = now + (0.0 if more else _SWEEP_EVERY_SECONDS)

    def _sign_head(self, connection: Connection) -> None:
        """Sign the chain's head and publish it: one transaction, and then the file."""
        if self._key is None:
            return
        with connection.begin():
            head = audit.sign_head(connection, self._key)
            if head is not None:
                audit_heads.publish(connection, self._settings.service, head)
        if head is not None:
            log.info("audit head signed", position=head.position)
        if self._head_file is not None:
            self._head_file.add(connection)

    def _sweep(self, connection: Connection) -> bool:
        """Keep the outbox's days, and see how far behind we are; whether there is more to do at once."""
        more = outbox_days.keep_up(connection, keep=self._keep)
        with connection.begin():
            self._figures.update(connection.execute(_LAG).one()._mapping)
            self._figures["days_held"] = outbox_days.days_held(connection, keep=self._keep)
        if self._figures["days_held"]:
            log.warning("old outbox days stay, since they hold unsent events", days=self._figures["days_held"])
        return more

    def _knock_later(self) -> None:
        self._drop_sender()
        self._knock_at = time.monotonic() + _KNOCK_SECONDS

    def _drop_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None


_LAG = text(
    """
    select (select count(*) from outbox where sent_at is null) as unsent,
           coalesce((select extract(epoch from clock_timestamp() - min(recorded_at)) from outbox
                     where sent_at is null), 0)::float as age_seconds,
           (select count(*) from audit where position is null) as unchained,
           (select count(*) from outbox where parked_at is not null) as parked,
           -- As PostgreSQL estimates it: the rows themselves would have to be looked through.
           (select n_live_tup from pg_stat_user_tables where schemaname = 'outbox_day' and relname = 'late') as late
    """
)


def _gauges(service: str, figures: dict[str, Any]) -> None:
    """Show the figures as metrics; they are as old as the last sweep."""
    meter = metrics.get_meter("kelola")

    def observe(name: str) -> Callable[[Any], list[metrics.Observation]]:
        return lambda _: [metrics.Observation(figures[name], {"kelola.service": service})]

    meter.create_observable_gauge("kelola.outbox.unsent", [observe("unsent")], unit="{event}")
    meter.create_observable_gauge("kelola.outbox.age", [observe("age_seconds")], unit="s")
    meter.create_observable_gauge("kelola.outbox.parked", [observe("parked")], unit="{event}")
    meter.create_observable_gauge("kelola.outbox.late", [observe("late")], unit="{event}")
    meter.create_observable_gauge("kelola.outbox.days_held", [observe("days_held")], unit="{day}")
    meter.create_observable_gauge("kelola.audit.unchained", [observe("unchained")], unit="{row}")
