"""The one table that turns failures into gRPC statuses (google.rpc.Status with details, AIP-193).

A `KelolaError` is shown as it is. Trouble of the database or of a peer becomes a fixed text. Anything else
is our mistake: the caller gets a fixed text and a reference id, the log gets the exception under that id.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc
import psycopg
import sqlalchemy.exc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from chassis.call import TransactionConflict
from chassis.errors import (
    Aborted,
    AlreadyExists,
    Code,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    KelolaError,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)

ERROR_DOMAIN = "kelola"
RETRY_AFTER_SECONDS = 1
# gRPC sends a status in trailers, in base64, and its clients may refuse trailers beyond 8 kB. So texts have an
# end, and the last field violations, then the last figures, are left out of a status that is too long.
_STATUS_BYTES_MAX = 4_500
_FIGURE_CHARACTERS_MAX = 256
_MESSAGE_CHARACTERS_MAX = 512

INTERNAL_TEXT = "an error of the server; tell the operator the reference {reference}"


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or has no connection left."""

    reason = "DATABASE_UNAVAILABLE"


class DatabaseBusy(Aborted):
    """Another transaction held a row for too long, or the transaction was undone again and again."""

    reason = "DATABASE_BUSY"


class PeerUnavailable(Unavailable):
    """Another service that the call needs does not answer."""

    reason = "PEER_UNAVAILABLE"


class DatabaseTooSlow(DeadlineExceeded):
    """The statement was ended because the caller's time, or the server's limit, was over."""

    reason = "STATEMENT_TIMEOUT"


def _causes(failure: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = failure
    for _ in range(10):
        if current is None:
            return
        yield current
        original = getattr(current, "orig", None)
        if isinstance(original, BaseException):
            yield original
        current = current.__cause__


def refusal_of(failure: BaseException) -> KelolaError | None:
    """The refusal that a failure amounts to; None when it is a mistake of ours that nobody foresaw."""
    if isinstance(failure, KelolaError):
        return failure
    if isinstance(failure, grpc.RpcError):
        return _refusal_of_peer(failure)
    for cause in _causes(failure):
        if isinstance(cause, psycopg.errors.QueryCanceled):
            return DatabaseTooSlow("the statement took longer than the call's time; retry with the same request_id")
        if isinstance(cause, psycopg.errors.LockNotAvailable | TransactionConflict):
            return DatabaseBusy("another call holds the same rows; retry with the same request_id")
        if isinstance(cause, psycopg.errors.OperationalError | sqlalchemy.exc.TimeoutError) or (
            isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated
        ):
            return DatabaseUnavailable(
                "the database does not answer; retry with the same request_id",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
    return None


_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}
# A peer's refusals that are the caller's business too.
_KINDS: dict[grpc.StatusCode, type[KelolaError]] = {
    _BY_NUMBER[kind.code.value]: kind
    for kind in (
        InvalidArgument,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        FailedPrecondition,
        Aborted,
        OutOfRange,
    )
}


def _refusal_of_peer(failure: grpc.RpcError) -> KelolaError | None:
    """A peer's refusal. Its words are shown only if it is one of ours, which its ErrorInfo tells."""
    code = failure.code() if isinstance(failure, grpc.Call) else None
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return PeerUnavailable(
            "a service that this call needs does not answer; retry with the same request_id",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return DeadlineExceeded("a service that this call needs was too slow; retry with the same request_id")
    status, info = details_of(failure), error_info(failure)
    if status is None or info is None or info.domain != ERROR_DOMAIN:
        return None
    kind = _KINDS.get(code) if code is not None else None
    if kind is None:
        # UNAUTHENTICATED or INTERNAL: between us and the peer, nothing that the caller could mend.
        return None
    refusal = kind(status.message, metadata=dict(info.metadata))
    refusal.reason = info.reason  # the peer's own, on this one refusal
    return refusal


def status_of(failure: KelolaError) -> status_pb2.Status:
    """The status of a refusal: code, message, ErrorInfo, and what else its kind calls for."""
    violations, figures = failure.violations, list(failure.metadata.items())
    while True:
        status = _status_with(failure, figures, violations)
        if status.ByteSize() <= _STATUS_BYTES_MAX or not (violations or figures):
            return status
        if violations:
            violations = violations[: len(violations) // 2]
        else:
            figures.pop()


def _status_with(
    failure: KelolaError, figures: list[tuple[str, str]], violations: tuple[FieldViolation, ...]
) -> status_pb2.Status:
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=failure.reason,
            domain=ERROR_DOMAIN,
            metadata={key: value[:_FIGURE_CHARACTERS_MAX] for key, value in figures},
        )
    ]
    if violations:
        details.append(_bad_request(violations))
    if isinstance(failure, FailedPrecondition):
        details.append(
            error_details_pb2.PreconditionFailure(
                violations=[
                    error_details_pb2.PreconditionFailure.Violation(
                        type=failure.reason,
                        subject=failure.metadata.get("resource", ""),
                        description=failure.message[:_MESSAGE_CHARACTERS_MAX],
                    )
                ]
            )
        )
    retry_after = failure.retry_after_seconds
    if retry_after is None and isinstance(failure, ResourceExhausted):
        retry_after = RETRY_AFTER_SECONDS
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = retry_after
        details.append(retry)
    return _status(failure.code.value, failure.message, details)


def internal_status(reference: str) -> status_pb2.Status:
    """The status of a mistake of ours: a fixed text and the reference under which the log has the rest."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=ERROR_DOMAIN, metadata={"reference": reference})
    return _status(code_pb2.INTERNAL, INTERNAL_TEXT.format(reference=reference), [info])


def new_reference() -> str:
    """A short random name for one failure: `E-` and ten hex digits."""
    return f"E-{os.urandom(5).hex()}"


def _bad_request(violations: tuple[FieldViolation, ...]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=violation.field, description=violation.description[:_FIGURE_CHARACTERS_MAX]
            )
            for violation in violations
        ]
    )


def _status(code: int, message: str, details: list[Message]) -> status_pb2.Status:
    packed = []
    for detail in details:
        holder = AnyMessage()
        holder.Pack(detail)
        packed.append(holder)
    return status_pb2.Status(code=code, message=message[:_MESSAGE_CHARACTERS_MAX], details=packed)


def details_of(failure: grpc.RpcError) -> status_pb2.Status | None:
    """The google.rpc.Status that a failed call carries, for clients; None when it carries none."""
    if not isinstance(failure, grpc.Call):
        return None
    try:
        status: status_pb2.Status | None = rpc_status.from_call(failure)
    except ValueError:
        # The trailer contradicts the call's own code: not written by one of ours.
        return None
    return status


def error_info(failure: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """The ErrorInfo of a failed call, for clients; None when it carries none."""
    status = details_of(failure)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None


def grpc_code(code: Code) -> grpc.StatusCode:
    """grpcio's name for one of our codes."""
    return _BY_NUMBER[code.value]
