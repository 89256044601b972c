"""Acts across services: a row that is written with the document, and steps that a runner takes until it ends.

    saga.start(session, kind="requisition.reserve", document_id=..., agency_id=..., person_id=..., state={...},
               deadline=timedelta(minutes=10))            # in the RPC's or event's transaction

    @saga_step("requisition.reserve")
    def reserve_requisition(self, step):                  # no transaction is open here
        outcome = step.ask(self.finance.stub(BudgetServiceStub).ReserveFunds, ReserveFundsRequest(...))
        with self.db.step(step) as session:               # the second transaction: the row's agency
            usecases.record_reservation(session, step.document_id, outcome)
            step.finish(session)                          # or step.proceed(session, kind=..., state=...)

A step may run several times; its calls carry the same request_id each time, so their effect is one. An outcome
that is not known is asked for again. A refusal is an outcome. What cannot end is listed as STUCK, with its error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nameko.extensions import Entrypoint
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis import peer, telemetry
from chassis.errors import NotFound, Unavailable
from chassis.ids import derived_id, new_id
from chassis.saga_runner import WAKE, SagaRunner

# How long an act may take before a person must look at it, unless its starter says otherwise.
DEADLINE = timedelta(hours=1)
# What one call to a peer may take: well inside the lease.
ASK_SECONDS = 10.0

# Answers that settle the matter: asking again with the same input would give the same.
_REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}


@dataclass(frozen=True)
class Accepted:
    """The peer did it (now, or at an earlier try of this step)."""

    reply: Any


@dataclass(frozen=True)
class Refused:
    """The peer will not do it. `metadata` are the refusal's figures."""

    reason: str
    message: str
    metadata: Mapping[str, str]


class LeaseLost(Exception):
    """Another runner has the saga, or it ended: this run's outcome is not recorded."""


class StepInError(RuntimeError):
    """The step did something that no retry can put right; counted, and STUCK after a few."""


@dataclass
class Step:
    """One run of one step."""

    saga_id: UUID
    kind: str
    round: int
    document_id: UUID
    agency_id: UUID | None
    person_id: UUID | None
    state: dict[str, Any]
    deadline_at: datetime
    lease_id: UUID
    _asked: int = 0
    _ended: bool = field(default=False, repr=False)

    def request_id(self, name: str | None = None) -> str:
        """The request_id of this step's next call: the same at every run of the step."""
        if name is None:
            self._asked += 1
            name = str(self._asked)
        return str(derived_id(self.saga_id, self.kind, self.round, name))

    def ask(
        self,
        method: Callable[..., Any],
        request: Message,
        *,
        name: str | None = None,
        timeout: float = ASK_SECONDS,
    ) -> Accepted | Refused:
        """Call a peer as this service, for the recorded person in the recorded agency.

        Fills `request_id`. `name` tells several calls of a step apart; without one they are counted, which is
        right when each run makes them in the same order. Raises Unavailable when the outcome is not known: the
        runner then takes the step again.
        """
        asked = type(request)()
        asked.CopyFrom(request)
        request_id = self.request_id(name)
        if "request_id" in asked.DESCRIPTOR.fields_by_name:
            asked.request_id = request_id  # type: ignore[attr-defined]  # a field of every mutation
        agencies = () if self.agency_id is None else (self.agency_id,)
        try:
            with peer.acting_for(self.person_id, agencies):
                return Accepted(method(asked, timeout=timeout))
        except grpc.RpcError as failure:
            return _refusal(failure)

    def hold(self, session: Session) -> None:
        """Lock the row for this transaction; LeaseLost when the step is no longer this runner's."""
        held = session.execute(
            text(
                "select 1 from saga where saga_id = :saga_id and lease_id = :lease_id and round = :round"
                " and status in ('RUNNING', 'COMPENSATING') for update"
            ),
            {"saga_id": self.saga_id, "lease_id": self.lease_id, "round": self.round},
        ).first()
        if held is None:
            raise LeaseLost(f"saga {self.saga_id} is no longer at {self.kind}")

    def finish(self, session: Session) -> None:
        """The act is done."""
        self._end(
            session,
            "status = case status when 'COMPENSATING' then 'COMPENSATED' else 'DONE' end,"
            " ended_at = clock_timestamp(), error = null",
            {},
        )

    def proceed(self, session: Session, *, kind: str, state: Mapping[str, Any] | None = None) -> None:
        """Go on with another step; `state` replaces the present one when it is given."""
        self._end(
            session,
            "kind = :next_kind, state = cast(:state as jsonb), round = round + 1, tries = 0, failures = 0,"
            " error = null, retry_at = clock_timestamp()",
            {"next_kind": kind, "state": _json(self.state if state is None else state)},
        )
        _wake_after_commit(session)

    def wait(self, session: Session, pause: timedelta, *, state: Mapping[str, Any] | None = None) -> None:
        """Take the same step again after `pause`, as a new round: for what has to ripen elsewhere."""
        self._end(
            session,
            "state = cast(:state as jsonb), round = round + 1, tries = 0, failures = 0, error = null,"
            " retry_at = clock_timestamp() + :pause",
            {"state": _json(self.state if state is None else state), "pause": pause},
        )

    def check_ended(self, session: Session) -> None:
        """The transaction must say what comes next, or the step would run for ever."""
        if not self._ended:
            raise StepInError(f"step {self.kind} called neither finish, proceed nor wait")

    @property
    def ended(self) -> bool:
        """Whether this run has recorded what comes next."""
        return self._ended

    def _end(self, session: Session, change: str, values: Mapping[str, Any]) -> None:
        if self._ended:
            raise StepInError(f"step {self.kind} ended twice")
        session.flush()
        # `change` is one of the constants above.
        session.execute(
            text(f"update saga set {change}, lease_id = null, leased_until = null where saga_id = :saga_id"),  # noqa: S608
            {**values, "saga_id": self.saga_id},
        )
        self._ended = True


def _refusal(failure: grpc.RpcError) -> Refused:
    """What the peer's refusal says; Unavailable when the outcome is unknown or the next try may differ."""
    code = failure.code()
    reason, metadata = code.name, {}
    status = rpc_status.from_call(failure)  # type: ignore[arg-type]  # a client's RpcError is the call
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
    if reason == "IDEMPOTENCY_MISMATCH":
        raise StepInError("the step asked for something else than at its last run: its input must not change")
    if code not in _REFUSALS:
        raise Unavailable(f"the peer did not settle it ({reason})") from failure
    return Refused(reason, failure.details() or "", metadata)


def start(
    session: Session,
    *,
    kind: str,
    document_id: UUID,
    agency_id: UUID | None,
    person_id: UUID | None,
    state: Mapping[str, Any] | None = None,
    deadline: timedelta = DEADLINE,
    after: timedelta = timedelta(0),
) -> UUID:
    """Begin an act in the document's own transaction; its id. The first step runs `after` the commit.

    `person_id` is who answers for it: peers judge that person's act under this service's credentials.
    """
    saga_id = new_id()
    session.flush()
    session.execute(
        text(
            """
            insert into saga (saga_id, kind, round, document_id, agency_id, person_id, state, status, deadline_at,
                              retry_at, tries, failures, traceparent)
            values (:saga_id, :kind, 0, :document_id, :agency_id, :person_id, cast(:state as jsonb), 'RUNNING',
                    clock_timestamp() + :deadline, clock_timestamp() + :after, 0, 0, :traceparent)
            """
        ),
        {
            "saga_id": saga_id,
            "kind": kind,
            "document_id": document_id,
            "agency_id": agency_id,
            "person_id": person_id,
            "state": _json(state or {}),
            "deadline": deadline,
            "after": after,
            "traceparent": telemetry.traceparent(),
        },
    )
    _wake_after_commit(session)
    return saga_id


def _wake_after_commit(session: Session) -> None:
    sqlalchemy_event.listen(session, "after_commit", lambda _: WAKE.set(), once=True)


def _json(state: Mapping[str, Any]) -> str:
    return json.dumps(state, ensure_ascii=False, sort_keys=True)


# --- for people: what is stuck, and what can be done about it ------------------------------------------------


@dataclass(frozen=True)
class Stuck:
    """An act that does not end by itself."""

    saga_id: UUID
    kind: str
    document_id: UUID
    agency_id: UUID | None
    person_id: UUID | None
    status: str
    tries: int
    error: str | None
    started_at: datetime
    deadline_at: datetime


def stuck(session: Session, *, limit: int = 100) -> list[Stuck]:
    """Acts that were given up, and those whose deadline is past; the oldest first."""
    rows = session.execute(
        text(
            """
            select saga_id, kind, document_id, agency_id, person_id, status, tries, error, started_at, deadline_at
            from saga
            where status = 'STUCK' or (status in ('RUNNING', 'COMPENSATING') and deadline_at < clock_timestamp())
            order by started_at limit :limit
            """
        ),
        {"limit": limit},
    )
    return [Stuck(*row) for row in rows]


def retry(session: Session, saga_id: UUID, *, deadline: timedelta = DEADLINE) -> None:
    """Take the step of a stuck act again, with a new deadline. NOT_FOUND when it is not stuck."""
    _set_running(session, saga_id, "RUNNING", deadline)


def compensate(session: Session, saga_id: UUID, *, deadline: timedelta = DEADLINE) -> None:
    """Have the stuck act's `@saga_compensation` run instead of its step. NOT_FOUND when it is not stuck."""
    _set_running(session, saga_id, "COMPENSATING", deadline)


def _set_running(session: Session, saga_id: UUID, status: str, deadline: timedelta) -> None:
    result = session.execute(
        text(
            "update saga set status = :status, tries = 0, failures = 0, retry_at = clock_timestamp(),"
            " deadline_at = clock_timestamp() + :deadline, lease_id = null, leased_until = null"
            " where saga_id = :saga_id and status = 'STUCK'"
        ),
        {"status": status, "deadline": deadline, "saga_id": saga_id},
    )
    if result.rowcount == 0:  # type: ignore[attr-defined]  # an update's result has it
        raise NotFound.resource("stuck saga", saga_id)
    _wake_after_commit(session)


# --- entrypoints ---------------------------------------------------------------------------------------------


class SagaStep(Entrypoint):
    """`@saga_step("requisition.reserve")` on a method `(self, step)`."""

    runner = SagaRunner()
    compensation = False

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def setup(self) -> None:
        """Tell the service's runner of this method."""
        self.runner.register(self)


class SagaCompensation(SagaStep):
    """`@saga_compensation("requisition.reserve")`: undoes what the step of that kind may have done."""

    compensation = True


saga_step: Callable[..., Any] = partial(SagaStep.decorator)
saga_compensation: Callable[..., Any] = partial(SagaCompensation.decorator)


def step_of(row: Mapping[str, Any]) -> Step:
    """The step that a claimed row asks for."""
    return Step(
        saga_id=row["saga_id"],
        kind=row["kind"],
        round=row["round"],
        document_id=row["document_id"],
        agency_id=row["agency_id"],
        person_id=row["person_id"],
        state=dict(row["state"]),
        deadline_at=row["deadline_at"].astimezone(UTC),
        lease_id=row["lease_id"],
    )
