"""A request_id is answered once: claim, effect and the reply's bytes commit together.

The key is (subject, method, request_id), so one caller's ids never meet another's. A refusal rolls the claim back
with everything else: the retry is judged anew. A repeat of an answered id raises `Replayed` with the bytes.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from chassis import database_errors
from chassis.call import Call, Replayed, TransactionConflict
from chassis.errors import Aborted, FailedPrecondition, InvalidArgument

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


def claim(session: Session, call: Call) -> None:
    """Take (subject, method, request_id) for this transaction, as its first statement.

    The caller has set `lock_timeout` to the time that is left. Raises Replayed (answered before),
    IdempotencyMismatch (answered for another input), RequestInFlight (a twin still runs at the deadline).
    """
    key = key_of(call)
    try:
        claimed = session.execute(
            _CLAIM,
            {**key, "request_hash": call.request_hash, "lock_timeout": str(LOCK_TIMEOUT_MILLISECONDS)},
        ).first()
    except DBAPIError as failure:
        if database_errors.sqlstate(failure) in ("55P03", "57014"):
            raise RequestInFlight(
                f"request_id {call.request_id} is still being worked on; retry it to get its answer",
                retry_after_seconds=1,
            ) from failure
        raise
    if claimed is not None:
        return
    # The twin has committed, so this statement sees its row.
    answered = session.execute(_ANSWERED, key).first()
    if answered is None or answered.answer is None:
        raise TransactionConflict("the claim of a twin went away while it was looked at")
    raise_if_other_input(call, answered.request_hash)
    raise Replayed(bytes(answered.answer))


def answer(session: Session, call: Call, reply: bytes) -> None:
    """Keep the reply's bytes with the claim."""
    result = session.execute(_ANSWER, {**key_of(call), "answer": reply})
    assert result.rowcount == 1, "the claim is the transaction's own, and it is answered once"  # type: ignore[attr-defined]  # an update's result has it


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
