"""A request_id is answered once: claim, effect and the reply's bytes commit together.

The key is (subject, method, request_id), so one caller's ids never meet another's. A refusal rolls the claim back
with everything else: the retry is judged anew. A repeat of an answered id raises `Replayed` with the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from chassis import database_errors, sql_batch
from chassis.call import Call, Replayed, TransactionConflict
from chassis.errors import Aborted, FailedPrecondition, InvalidArgument
from chassis.sql_batch import Outcome, Statement

# How long a statement waits for another transaction's lock, once the claim is ours.
LOCK_TIMEOUT_MILLISECONDS = 2_000


class IdempotencyMismatch(FailedPrecondition):
    """The request_id was used for another input."""

    reason = "IDEMPOTENCY_MISMATCH"


class RequestInFlight(Aborted):
    """The same request_id is being worked on, and was not done by the deadline."""

    reason = "REQUEST_IN_FLIGHT"


# The claim may wait for a twin until the deadline; whatever follows waits for locks only briefly.
_CLAIM = text(
    """
    insert into idempotency (subject, method, request_id, request_hash)
    values (:subject, :method, :request_id, :request_hash)
    on conflict do nothing
    returning set_config('lock_timeout', :lock_timeout, true)
    """
)

_ANSWERED = text(
    """
    select request_hash, answer from idempotency
    where subject = :subject and method = :method and request_id = :request_id
    """
)

_ANSWER = text(
    """
    update idempotency set answer = :answer
    where subject = :subject and method = :method and request_id = :request_id and answer is null
    """
)


def claim(call: Call) -> Statement:
    """Takes (subject, method, request_id) for a transaction, as its first statement, when `lock_timeout` has been set
    to the time that is left. `judge` says what its outcome means, `in_flight` what its failure."""
    key = key_of(call)
    return Statement(_CLAIM, {**key, "request_hash": call.request_hash, "lock_timeout": str(LOCK_TIMEOUT_MILLISECONDS)})


@contextmanager
def in_flight(call: Call | None) -> Iterator[None]:
    """RequestInFlight when a twin of `call` still runs at the deadline of the block's claim."""
    try:
        yield
    except DBAPIError as failure:
        if call is not None and database_errors.sqlstate(failure) in ("55P03", "57014"):
            raise RequestInFlight(
                f"request_id {call.request_id} is still being worked on; retry it to get its answer",
                retry_after_seconds=1,
            ) from failure
        raise


def judge(session: Session, call: Call, claimed: Outcome) -> None:
    """Go on when the claim is ours; Replayed when the call was answered before, IdempotencyMismatch when another
    input was."""
    if claimed.rows:
        return
    # The twin has committed, so this statement sees its row.
    answered = session.execute(_ANSWERED, key_of(call)).first()
    if answered is None or answered.answer is None:
        raise TransactionConflict("the claim of a twin went away while it was looked at")
    raise_if_other_input(call, answered.request_hash)
    raise Replayed(bytes(answered.answer))


def answer(session: Session, call: Call, reply: bytes) -> None:
    """Keep the reply's bytes with the claim, at the transaction's end."""
    sql_batch.later(session, _ANSWER, {**key_of(call), "answer": reply})


def key_of(call: Call) -> dict[str, str | UUID]:
    """The key of the call's claim; INVALID_ARGUMENT when the request_id is no UUID."""
    try:
        request_id = UUID(str(call.request_id))
    except ValueError as failure:
        raise InvalidArgument.field("request_id", "give a UUID") from failure
    return {"subject": call.principal.subject, "method": call.method, "request_id": request_id}


def raise_if_other_input(call: Call, request_hash: bytes) -> None:
    """Refuse a request_id that was answered for another input."""
    if bytes(request_hash) != call.request_hash:
        raise IdempotencyMismatch(
            f"request_id {call.request_id} was used for a request with other content; "
            "use a fresh request_id for a new request",
            metadata={"request_id": str(call.request_id)},
        )
