"""One session a call, one transaction a session: what a service does to its database, and as whom.

    db = Database(FinanceTable)                  # on the service class

    with self.db.begin(call) as work:            # claims call.request_id; a repeat raises Replayed
        entry = usecases.post(work.session, ...)
        work.reply(wire.entry_message(entry))    # once: its bytes are kept with the request_id
    return work.answer                           # after the commit

Each transaction sees the agencies it was begun for (row-level security), stops at its deadline, and waits for
locks only briefly. No call leaves the process while one is open (`chassis.transaction_flag`).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from google.protobuf.message import Message
from nameko.extensions import DependencyProvider
from opentelemetry import metrics
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlmodel import Session, SQLModel

from chassis import audit, database_errors, idempotency, sql_batch, sql_spans, telemetry
from chassis.call import Call, Principal
from chassis.errors import DeadlineExceeded, Unavailable
from chassis.settings import ServiceSettings
from chassis.sql_batch import Outcome, Statement
from chassis.transaction_flag import open_transaction, transaction_is_open

if TYPE_CHECKING:
    from chassis.cloudevent import Event
    from chassis.saga import Step

log = structlog.get_logger("chassis.database")

_CONNECT_SECONDS = 5
# A server that vanished without a word is noticed within this time, also while it is waited for.
SILENCE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 15_000}
# A transaction whose program hangs gives its locks back.
_IDLE_IN_TRANSACTION_SECONDS = 10
# What a transaction without a caller may take: a timer's, an event's, a saga step's.
WORK_SECONDS = 30.0
# How long a start waits for a database that is itself starting.
_START_SECONDS = 15.0
# Without these a commit that was reported may be gone after a crash (trust: PostgreSQL).
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


class Work:
    """A mutation's transaction: its session, and the reply that is kept with its request_id."""

    def __init__(self, session: Session, call: Call) -> None:
        self.session = session
        self._call = call
        self._answer: bytes | None = None

    @property
    def answer(self) -> bytes:
        """The reply's bytes. Return them after the block, that is, after the commit."""
        assert self._answer is not None, "work.reply(message) was not called"
        return self._answer

    def reply(self, message: Message, *, resource: str | None = None, agency_id: UUID | None = None) -> None:
        """Keep `message` as the answer, and write the audit row. To be called once, as the block's last act.

        The audit row names the reply's `name` and `agency_id`, where it has them; give them when it has not.
        """
        assert self._answer is None, "work.reply(message) was called twice"
        self.session.flush()
        self._answer = message.SerializeToString(deterministic=True)
        if self._call.request_id is not None:
            idempotency.answer(self.session, self._call, self._answer)
        named, agency = reply_subject(message, self._call)
        named, agency = resource or named, agency_id or agency
        audit.record(self.session, self._call, resource=named, agency_id=agency)
        # The id alone, as sagas and consumers show it, so that one search finds all of a document's journey.
        about = {"document": named and named.rpartition("/")[2], "agency": agency and str(agency)}
        telemetry.annotate(**{name: value for name, value in about.items() if value})


class Transactions:
    """The transactions of one service on one database. Threads share it; each takes a connection of its own."""

    def __init__(self, engine: Engine, *, pool_size: int, pool_wait_seconds: float) -> None:
        self.engine = engine
        self._free = threading.BoundedSemaphore(pool_size)
        self._in_use = metrics.get_meter("kelola").create_up_down_counter("db.client.connection.count")
        self._pool_wait_seconds = pool_wait_seconds

    @contextmanager
    def begin(self, call: Call) -> Iterator[Work]:
        """One transaction for a mutation; its first statement claims (subject, method, request_id).

        Commits at the end of the block, rolls back on any exception. Raises Replayed, IdempotencyMismatch,
        RequestInFlight from the claim; TransactionConflict when the database undid it (run it again);
        Unavailable, DeadlineExceeded, Aborted from the database's state.
        """
        with self._transaction(
            call.agencies,
            deadline=call.deadline,
            claim=call if call.request_id is not None else None,
            act=call.method.rpartition(".")[2],
            person_id=call.principal.person_id,
        ) as (session, outcomes):
            if call.request_id is not None:
                idempotency.judge(session, call, outcomes[0])
            work = Work(session, call)
            yield work
            if work._answer is None:
                raise RuntimeError(f"{call.method} ended its transaction without work.reply(message)")

    @contextmanager
    def read(self, call: Call, *, snapshot: bool = False) -> Iterator[Session]:
        """A read-only transaction. With `snapshot` all its statements see one state (for reports)."""
        options: dict[str, Any] = {"postgresql_readonly": True}
        if snapshot:
            options["isolation_level"] = "REPEATABLE READ"
        with self._transaction(call.agencies, deadline=call.deadline, options=options) as (session, _):
            yield session

    @contextmanager
    def work(self, agencies: Iterable[UUID], *, subject: str, seconds: float = WORK_SECONDS) -> Iterator[Session]:
        """A plain transaction for what no call asked for (a timer): it sees `agencies`, and says who it is."""
        deadline = time.monotonic() + seconds
        with self._transaction(agencies, deadline=deadline, subject=subject, act=subject) as (session, _):
            yield session

    @contextmanager
    def begin_event(self, event: Event) -> Iterator[Session]:
        """A consumer's transaction: it sees the event's agency alone. For `chassis.events`."""
        agencies = () if event.agency_id is None else (event.agency_id,)
        with self._transaction(
            agencies,
            deadline=time.monotonic() + WORK_SECONDS,
            subject=event.source,
            act=event.type.rpartition(".")[2],
        ) as (session, _):
            yield session

    @contextmanager
    def step(self, step: Step) -> Iterator[Session]:
        """A saga step's second transaction: the row's agency, and the step's lease checked first.

        The block calls `step.finish(session)` or `step.proceed(session, ...)`.
        """
        agencies = () if step.agency_id is None else (step.agency_id,)
        subject = f"saga:{step.kind}"
        with self._transaction(agencies, deadline=time.monotonic() + WORK_SECONDS, subject=subject, act=subject) as (
            session,
            _,
        ):
            step.hold(session)
            yield session
            step.check_ended(session)

    @contextmanager
    def group(self, agencies: Iterable[UUID], *, seconds: float, first: Statement) -> Iterator[tuple[Session, Outcome]]:
        """The transaction of several calls that share a commit, and what `first` answered. For `chassis.committer`."""
        # Its statements look rows up by key. A plan that a connection made while a table was short, and keeps, must
        # not scan that table when it has grown; nor is planning anew for each group worth its time.
        with self._transaction(
            agencies, deadline=time.monotonic() + seconds, subject="committer", keyed=True, first=(first,)
        ) as (session, outcomes):
            yield session, outcomes[0]

    def audit_denied(
        self,
        *,
        method: str,
        permission: str | None,
        principal: Principal | None,
        agency_id: UUID | None = None,
        reason: str,
    ) -> None:
        """Record a decision against a caller, in a transaction of its own.

        A database that is away must not turn the refusal into another answer: then the log has it.
        """
        row = audit.denied_row(
            method=method, permission=permission, principal=principal, agency_id=agency_id, reason=reason
        )
        try:
            with self.work((), subject="audit", seconds=_CONNECT_SECONDS) as session:
                audit.record_all(session, [row])
        except Exception:
            log.exception("a denied decision could not be audited", **{k: str(v) for k, v in row.items()})

    def answers(self) -> bool:
        """Whether the database answers now: for readiness, never for liveness."""
        try:
            with self.work((), subject="readiness", seconds=2.0) as session:
                session.execute(text("select 1"))
        except Exception:
            return False
        return True

    @contextmanager
    def _transaction(
        self,
        agencies: Iterable[UUID],
        *,
        deadline: float,
        claim: Call | None = None,
        options: dict[str, Any] | None = None,
        subject: str | None = None,
        keyed: bool = False,
        act: str = "",
        person_id: UUID | None = None,
        first: Sequence[Statement] = (),
    ) -> Iterator[tuple[Session, Sequence[Outcome]]]:
        if transaction_is_open():
            raise RuntimeError("this thread has a transaction open: a second one could wait for it for ever")
        with self._permit(deadline), open_transaction(), database_errors.translated():
            session, outcomes = self._open(
                agencies, deadline, options, claim=claim, keyed=keyed, act=act, person_id=person_id, first=first
            )
            try:
                if subject is not None:
                    telemetry.annotate(subject=subject)
                sql_batch.gather(session)
                yield session, outcomes
                session.flush()
                sql_batch.send(session)
                if time.monotonic() > deadline:
                    raise DeadlineExceeded("the deadline passed before the commit; nothing was changed")
                session.commit()
            finally:
                # After a commit this does nothing; after a failure the connection goes back clean.
                session.close()

    @contextmanager
    def _permit(self, deadline: float) -> Iterator[None]:
        """One of the pool's connections: waited for until the deadline, and never longer than the pool's wait."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("the deadline passed before the work began; nothing was changed")
        if not self._free.acquire(timeout=min(remaining, self._pool_wait_seconds)):
            if time.monotonic() >= deadline:
                raise DeadlineExceeded("the deadline passed while all database connections were in use")
            raise Unavailable(
                "every database connection is in use; retry with the same request_id", retry_after_seconds=1
            )
        self._in_use.add(1, {"db.client.connection.state": "used"})
        try:
            yield
        finally:
            self._in_use.add(-1, {"db.client.connection.state": "used"})
            self._free.release()

    def _open(
        self,
        agencies: Iterable[UUID],
        deadline: float,
        options: dict[str, Any] | None,
        *,
        claim: Call | None,
        keyed: bool,
        act: str,
        person_id: UUID | None,
        first: Sequence[Statement],
    ) -> tuple[Session, Sequence[Outcome]]:
        """A session whose transaction has begun, with its agencies and time limits set, and what is done by whom; what
        the claim and the `first` statements answered, which travel with these settings.

        A connection that broke while it lay in the pool is replaced once: nothing was done on it yet.
        """
        milliseconds = max(1, int((deadline - time.monotonic()) * 1000))
        values = {
            "agencies": ",".join(sorted(str(agency) for agency in agencies)),
            "statement_timeout": str(milliseconds),
            "scans": "off" if keyed else "on",
            "plans": "force_generic_plan" if keyed else "auto",
            "act": act,
            "person_id": "" if person_id is None else str(person_id),
            # A claim waits for its twin until the deadline; what follows waits for locks only briefly.
            "lock_timeout": str(milliseconds if claim else min(milliseconds, idempotency.LOCK_TIMEOUT_MILLISECONDS)),
        }
        claims = () if claim is None else (idempotency.claim(claim),)
        for last in (False, True):
            session = Session(self.engine, expire_on_commit=False)
            try:
                session.connection(execution_options=options)
                with idempotency.in_flight(claim):
                    _, *outcomes = sql_batch.run(session, [Statement(_SETTINGS, values), *claims, *first])
                return session, outcomes
            except BaseException as failure:
                session.close()
                if not isinstance(failure, DBAPIError):
                    raise
                if last or not database_errors.connection_lost(failure):
                    raise
        raise AssertionError("unreachable")


_SETTINGS = text(
    """
    select set_config('kelola.agencies', :agencies, true),
           set_config('statement_timeout', :statement_timeout, true),
           set_config('lock_timeout', :lock_timeout, true),
           set_config('enable_seqscan', :scans, true),
           set_config('plan_cache_mode', :plans, true),
           set_config('kelola.act', :act, true),
           set_config('kelola.person_id', :person_id, true)
    """
)


class Database(DependencyProvider):
    """`db = Database(FinanceTable)` on a service: methods then use `self.db.begin(call)` and `self.db.read(call)`.

    `durable=False` lets a service run on a server that may forget commits after a crash: none that keeps money.
    """

    def __init__(self, base: type[SQLModel], *, durable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.durable = durable
        self.transactions: Transactions | None = None
        # The relay's own: it ends after the last call, and sends what that told.
        self._drained = threading.Event()

    def setup(self) -> None:
        """Connect, and refuse a server or a role that the service must not run on."""
        settings: ServiceSettings = self.container.settings
        self.transactions = connect(settings)
        wait_until_reachable(self.transactions.engine)
        check_server(self.transactions.engine, durable=self.durable)

    def start(self) -> None:
        """Start the relay, unless it is a process of its own."""
        settings: ServiceSettings = self.container.settings
        if settings.relay_enabled and settings.broker_servers and settings.database_reader_url:
            from chassis import relay

            self.container.spawn_managed_thread(lambda: relay.run(settings, self.base, self._drained), "relay")

    def stop(self) -> None:
        """Let the relay send the rest, give the connections back."""
        self._drained.set()
        if self.transactions is not None:
            self.transactions.engine.dispose()

    def get_dependency(self, worker_ctx: object) -> Transactions:
        """The service's transactions, the same for every worker."""
        assert self.transactions is not None, "the container was not started"
        return self.transactions


def transactions_of(container: Any) -> Transactions:
    """The transactions of the service in `container`, for extensions that need them beside its methods."""
    for dependency in container.dependencies:
        if isinstance(dependency, Database):
            assert dependency.transactions is not None, "the database is set up before anything starts"
            return dependency.transactions
    raise RuntimeError(f"{container.service_name} has no `db = Database(...)`")


def connect(settings: ServiceSettings) -> Transactions:
    """The transactions of `settings`' database as its `app` role; nothing is connected before the first use."""
    if settings.database_app_url is None:
        raise ValueError("set KELOLA_DATABASE_APP_URL: the service's own role, for instance finance_app")
    engine = make_engine(
        settings.database_app_url, application_name=settings.service, pool_size=settings.database_pool_size
    )
    return Transactions(
        engine,
        pool_size=settings.database_pool_size,
        pool_wait_seconds=settings.database_pool_wait_seconds,
    )


def sqlalchemy_url(url: str) -> str:
    """A libpq URL as SQLAlchemy wants it for psycopg 3."""
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", url)


def make_engine(url: str, *, application_name: str, pool_size: int) -> Engine:
    """An engine for psycopg 3 whose sessions wait for locks briefly and do not stay idle in a transaction."""
    session_settings = {
        "timezone": "UTC",
        "jit": "off",
        "lock_timeout": f"{idempotency.LOCK_TIMEOUT_MILLISECONDS}ms",
        "idle_in_transaction_session_timeout": f"{_IDLE_IN_TRANSACTION_SECONDS}s",
    }
    engine = create_engine(
        sqlalchemy_url(url),
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        # Permits are given before a connection is asked for, so this wait only covers a hand-over.
        pool_timeout=_CONNECT_SECONDS,
        connect_args={
            "application_name": application_name,
            "connect_timeout": _CONNECT_SECONDS,
            **SILENCE,
            "options": " ".join(f"-c {name}={value}" for name, value in session_settings.items()),
        },
    )
    sql_spans.install(engine)
    return engine


def reply_subject(message: Message, call: Call) -> tuple[str | None, UUID | None]:
    """The resource's name and agency that a reply shows; the call's only agency when the reply has none."""
    fields = message.DESCRIPTOR.fields_by_name
    name = message.name if "name" in fields and isinstance(message.name, str) else None  # type: ignore[attr-defined]  # a field that its descriptor has
    agency: UUID | None = next(iter(call.agencies)) if len(call.agencies) == 1 else None
    if "agency_id" in fields and isinstance(message.agency_id, str) and message.agency_id:  # type: ignore[attr-defined]  # a field that its descriptor has
        agency = UUID(message.agency_id)  # type: ignore[attr-defined]  # a field that its descriptor has
    return name or None, agency


def wait_until_reachable(engine: Engine, *, seconds: float = _START_SECONDS) -> None:
    """Until the database takes a connection, or the last failure."""
    end = time.monotonic() + seconds
    while True:
        try:
            with engine.connect():
                return
        except DBAPIError as failure:
            if time.monotonic() > end or not database_errors.connection_lost(failure):
                raise
            log.warning("the database does not answer yet", error=type(failure).__name__)
            time.sleep(0.3)


def check_server(engine: Engine, *, durable: bool) -> None:
    """Refuse a role that sees past row-level security, and (`durable`) a server that may forget commits."""
    with engine.connect() as connection:
        role = connection.execute(
            text("select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user")
        ).one()
        if role.rolsuper or role.rolbypassrls:
            raise RuntimeError(f"the role {role.rolname} sees past row-level security: run as the service's app role")
        owned = connection.execute(
            text(
                "select relname from pg_class where relkind in ('r', 'p') and relowner = current_user::regrole limit 1"
            )
        ).scalar()
        if owned is not None:
            raise RuntimeError(f"the role {role.rolname} owns {owned}: run as the service's app role, not its owner")
        if durable:
            for name in _DURABLE:
                value = connection.execute(text("select current_setting(:name)"), {"name": name}).scalar_one()
                if value == "off":
                    raise RuntimeError(
                        f"the database runs with {name}=off, so it may lose commits that it reported: set it on"
                    )
