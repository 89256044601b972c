"""Calls that share a commit: they pass the whole chain on their own threads, then queue; one thread takes what
waits and runs it as one transaction. On a durable database that is worth a factor of four and more.

    postings = Committer(run=post_entries)        # on the service class, beside `db = Database(...)`

    def create_journal_entry(self, request, call):
        return self.postings.post(wire.order(request), call)      # the reply's bytes

`run(session, orders)` gets a list of orders and returns one verdict each, in their order: the reply (a message or
its bytes), or the KelolaError that refuses the order. A refusal is a value, never an exception: an exception
undoes the whole group, which is then run again in halves until the culprit stands alone. What `run` does for a
refused order must leave no trace, since its neighbours commit.

Promises: a call whose deadline passed before its group began is not done. Once its group began it is finished and
its answer kept under its request_id, whatever its client does. Equal calls of one group are done once.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
import structlog
from google.protobuf.message import Message
from nameko.extensions import DependencyProvider
from opentelemetry import trace
from sqlalchemy import text
from sqlmodel import Session

from chassis import audit, idempotency, sql_batch, telemetry
from chassis.call import Call, TransactionConflict
from chassis.database import Transactions, reply_subject, transactions_of
from chassis.errors import DeadlineExceeded, KelolaError, ResourceExhausted, Unavailable
from chassis.sql_batch import Outcome, Statement

log = structlog.get_logger("chassis.committer")

Verdict = Message | bytes | KelolaError
Run = Callable[[Session, list[Any]], Sequence[Verdict]]

GROUP_MAX = 100
# Calls that may wait: a few groups, so that none waits long before it is refused.
WAITING_MAX = 400
# A group's own time limit; the callers' deadlines count only until their group begins.
GROUP_SECONDS = 10.0
# How long a group insists after the database undid it or went away.
_INSIST_SECONDS = 10.0
_CONFLICTS_MAX = 4
_STOP_SECONDS = 30.0


@dataclass
class _Waiting:
    """One call in the queue, and all callers that wait for its outcome."""

    order: Any
    call: Call
    span: trace.SpanContext
    # Held until the outcome is there. A plain lock: the one who waits needs nothing else to wake up, while an event's
    # condition would have him queue for its lock behind the committer and all others.
    done: threading.Lock = field(default_factory=threading.Lock)
    settled: bool = False
    answer: bytes | None = None
    failure: BaseException | None = None
    twins: list[_Waiting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.done.acquire()

    @cached_property
    def key(self) -> tuple[str, str, UUID]:
        key = idempotency.key_of(self.call)
        return str(key["subject"]), str(key["method"]), UUID(str(key["request_id"]))

    def settle(self, *, answer: bytes | None = None, failure: BaseException | None = None) -> None:
        for waiting in (self, *self.twins):
            waiting.answer, waiting.failure = answer, failure
            waiting.settled = True
            waiting.done.release()


class GroupCommit:
    """The queue and the thread that empties it. `Committer` makes one for a service."""

    def __init__(self, run: Run, transactions: Transactions) -> None:
        self._run = run
        self._transactions = transactions
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(WAITING_MAX)
        self._closed = threading.Event()

    def post(self, order: Any, call: Call) -> bytes:
        """Have `order` done in a group; the reply's bytes.

        Raises the verdict's error, IdempotencyMismatch, ResourceExhausted (the queue is full), DeadlineExceeded
        (nothing was done), Unavailable (ask again with the same request_id).
        """
        if call.request_id is None:
            raise ValueError(f"{call.method} has no request_id: its outcome could not be found again")
        waiting = _Waiting(order, call, trace.get_current_span().get_span_context())
        idempotency.key_of(call)  # a malformed request_id is refused here, not in the group
        if self._closed.is_set():
            raise Unavailable("the service is stopping; retry with the same request_id", retry_after_seconds=1)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise ResourceExhausted(
                f"{WAITING_MAX} calls wait already; retry with the same request_id", retry_after_seconds=1
            ) from None
        # Once its group began a call is finished; the group's own limits bound the wait.
        waiting.done.acquire()
        if waiting.failure is not None:
            raise waiting.failure
        assert waiting.answer is not None
        return waiting.answer

    def post_all(self, orders: Sequence[tuple[Any, Call]]) -> list[bytes | KelolaError]:
        """Have the orders of a stream done, in their order; the reply's bytes or the refusal of each.

        They wait for room in the queue, up to their deadline, instead of being refused.
        """
        waiting = [_Waiting(order, call, trace.get_current_span().get_span_context()) for order, call in orders]
        for one in waiting:
            idempotency.key_of(one.call)
        for one in waiting:
            if self._closed.is_set():
                raise Unavailable("the service is stopping; retry with the same request_ids", retry_after_seconds=1)
            try:
                self._queue.put(one, timeout=max(0.0, one.call.deadline - time.monotonic()))
            except queue.Full:
                raise DeadlineExceeded(
                    "the deadline passed before there was room; retry with the same request_ids"
                ) from None
        outcomes: list[bytes | KelolaError] = []
        for one in waiting:
            one.done.acquire()
            if one.failure is None:
                assert one.answer is not None
                outcomes.append(one.answer)
            elif isinstance(one.failure, KelolaError):
                outcomes.append(one.failure)
            else:
                raise one.failure
        return outcomes

    def loop(self) -> None:
        """Take what waits, again and again, until `close`."""
        while True:
            first = self._queue.get()
            if first is None:
                return
            group, ended = [first], False
            while len(group) < GROUP_MAX:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    ended = True
                    break
                group.append(following)
            self._do(group)
            if ended:
                return

    def close(self) -> None:
        """What waits is done; what comes later is refused."""
        if not self._closed.is_set():
            self._closed.set()
            self._queue.put(None, timeout=_STOP_SECONDS)

    def _do(self, group: list[_Waiting]) -> None:
        try:
            leaders = _fold(_in_time(group))
            if leaders:
                self._commit(leaders)
        except BaseException as failure:
            # Nobody may wait for ever, whatever went wrong here.
            log.exception("a group failed")
            for waiting in group:
                if not waiting.settled:
                    waiting.settle(failure=failure)

    def _commit(self, group: list[_Waiting]) -> None:
        """Do the group; in halves when an error stands in the way, so that only its cause is refused."""
        try:
            outcomes = self._insist(group)
        except Exception as failure:
            if len(group) == 1 or isinstance(failure, Unavailable):
                for waiting in group:
                    waiting.settle(failure=failure)
                return
            log.warning("a group is run in halves", calls=len(group), error=type(failure).__name__)
            middle = len(group) // 2
            self._commit(group[:middle])
            self._commit(group[middle:])
            return
        for waiting, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                waiting.settle(failure=outcome)
            else:
                waiting.settle(answer=outcome)

    def _insist(self, group: list[_Waiting]) -> list[bytes | KelolaError]:
        """Run the group until the database has settled it.

        A connection that was lost at COMMIT leaves the outcome unknown. Running the group again finds it: the
        answers of a transaction that has committed are there, and the keys of one that is still committing are
        waited for.
        """
        end, conflicts = time.monotonic() + _INSIST_SECONDS, 0
        while True:
            try:
                return self._transact(group)
            except TransactionConflict:
                conflicts += 1
                if conflicts >= _CONFLICTS_MAX:
                    raise
                time.sleep(random.uniform(0.005, 0.02) * conflicts)  # noqa: S311  # no secret
            except Unavailable:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _transact(self, group: list[_Waiting]) -> list[bytes | KelolaError]:
        agencies = frozenset[UUID]().union(*(waiting.call.agencies for waiting in group))
        links = [trace.Link(waiting.span) for waiting in group if waiting.span.is_valid]
        with (
            telemetry.span("commit group", links=links, attributes={"kelola.calls": len(group)}),
            self._transactions.group(agencies, seconds=GROUP_SECONDS, first=_asked(group)) as (session, found),
        ):
            outcomes = _answered(found, group)
            fresh = [waiting for waiting in group if waiting.key not in outcomes]
            if fresh:
                verdicts = list(self._run(session, [waiting.order for waiting in fresh]))
                if len(verdicts) != len(fresh):
                    raise RuntimeError(f"{len(verdicts)} verdicts for {len(fresh)} orders")
                session.flush()
                outcomes |= _keep(session, fresh, verdicts)
            return [outcomes[waiting.key] for waiting in group]


def _in_time(group: list[_Waiting]) -> list[_Waiting]:
    now, kept = time.monotonic(), []
    for waiting in group:
        if waiting.call.deadline <= now:
            waiting.settle(failure=DeadlineExceeded("the deadline passed before the call's turn; nothing was changed"))
        else:
            kept.append(waiting)
    return kept


def _fold(group: list[_Waiting]) -> list[_Waiting]:
    """One of each (principal, method, request_id), in order: a statement would do equal ones twice."""
    leaders: dict[tuple[str, str, UUID], _Waiting] = {}
    for waiting in group:
        leader = leaders.setdefault(waiting.key, waiting)
        if leader is waiting:
            continue
        if leader.call.request_hash == waiting.call.request_hash:
            leader.twins.append(waiting)
        else:
            try:
                idempotency.raise_if_other_input(waiting.call, leader.call.request_hash)
            except KelolaError as failure:
                waiting.settle(failure=failure)
    return list(leaders.values())


# Key by key, whatever the planner thinks of a table that was small when the plan was made: what has a limit of its own
# is looked up for each row. As JSON, which costs a tenth of as many arrays in the making.
_ANSWERED = text(
    """
    select asked.subject, asked.method, asked.request_id, kept.request_hash, kept.answer
    from json_to_recordset(cast(:asked as json)) as asked (subject text, method text, request_id uuid)
    cross join lateral (
        select i.request_hash, i.answer from idempotency i
        where i.subject = asked.subject and i.method = asked.method and i.request_id = asked.request_id
        limit 1
    ) kept
    """
)

_KEY = ("subject", "method", "request_id")

# Sorted, so that two processes cannot wait for each other's keys.
_KEEP = text(
    """
    insert into idempotency (subject, method, request_id, request_hash, answer)
    select subject, method, request_id, decode(request_hash, 'hex'), decode(answer, 'hex')
    from json_to_recordset(cast(:done as json))
         as given (subject text, method text, request_id uuid, request_hash text, answer text)
    order by subject, method, request_id
    on conflict do nothing
    """
)


def _asked(group: list[_Waiting]) -> Statement:
    asked = [dict(zip(_KEY, waiting.key, strict=True)) for waiting in group]
    return Statement(_ANSWERED, {"asked": orjson.dumps(asked).decode()})


def _answered(asked: Outcome, group: list[_Waiting]) -> dict[tuple[str, str, UUID], bytes | KelolaError]:
    """The outcomes of those whose keys were answered before."""
    if not asked.rows:
        return {}
    found = {(subject, method, request_id): kept for subject, method, request_id, *kept in asked.rows}
    outcomes: dict[tuple[str, str, UUID], bytes | KelolaError] = {}
    for waiting in group:
        if waiting.key not in found:
            continue
        request_hash, answer = found[waiting.key]
        try:
            idempotency.raise_if_other_input(waiting.call, request_hash)
            outcomes[waiting.key] = bytes(answer)
        except KelolaError as failure:
            outcomes[waiting.key] = failure
    return outcomes


def _keep(
    session: Session, group: list[_Waiting], verdicts: list[Verdict]
) -> dict[tuple[str, str, UUID], bytes | KelolaError]:
    """Keep the answers and the audit rows of what was done; a refused call leaves no key.

    A key is taken together with its answer, as the last act: one row version instead of two. Another process that
    took it meanwhile (a twin) is waited for here; this group is then undone and finds the twin's answer.
    """
    outcomes: dict[tuple[str, str, UUID], bytes | KelolaError] = {}
    done, refused, rows = [], [], []
    for waiting, verdict in zip(group, verdicts, strict=True):
        if isinstance(verdict, KelolaError):
            refused.append(waiting)
            outcomes[waiting.key] = verdict
            continue
        resource, agency_id = reply_subject(verdict, waiting.call) if isinstance(verdict, Message) else (None, None)
        answer = verdict.SerializeToString(deterministic=True) if isinstance(verdict, Message) else bytes(verdict)
        outcomes[waiting.key] = answer
        subject, method, request_id = waiting.key
        done.append(
            {
                "subject": subject,
                "method": method,
                "request_id": str(request_id),
                "request_hash": waiting.call.request_hash.hex(),
                "answer": answer.hex(),
            }
        )
        rows.append(
            audit.row_of(
                waiting.call,
                resource=resource,
                agency_id=agency_id,
                trace_id=f"{waiting.span.trace_id:032x}" if waiting.span.is_valid else None,
            )
        )
    if refused and sql_batch.run(session, [_asked(refused)])[0].rows:
        # What stood in the way may be the twin's own effect.
        raise TransactionConflict("a twin in another process was faster")
    if done:
        kept, _ = sql_batch.send(
            session, Statement(_KEEP, {"done": orjson.dumps(done).decode()}), audit.insertion(rows)
        )
        if kept.rowcount != len(done):
            raise TransactionConflict("a twin in another process was faster")
    return outcomes


class Committer(DependencyProvider):
    """`postings = Committer(run=...)` on a service: methods then use `self.postings.post(order, call)`."""

    def __init__(self, run: Run, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self._group_commit: GroupCommit | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._group_commit = GroupCommit(self.run, transactions_of(self.container))
        self._thread = self.container.spawn_managed_thread(self._group_commit.loop, f"committer-{self.attr_name}")

    def stop(self) -> None:
        """Finish what waits. The doors are closed already."""
        if self._group_commit is not None and self._thread is not None:
            self._group_commit.close()
            self._thread.join(_STOP_SECONDS)

    def get_dependency(self, worker_ctx: object) -> GroupCommit:
        """The queue, the same for every worker."""
        assert self._group_commit is not None, "the container was not started"
        return self._group_commit
