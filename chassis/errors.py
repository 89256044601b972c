"""Errors with a name. Services raise them; one table (`chassis.grpc.status`) turns them into gRPC statuses.

An error states the fact, with the values that a clerk needs: what, where, which limit, what to do.
`reason` is UPPER_SNAKE_CASE and stable: clients switch on it (google.rpc.ErrorInfo, AIP-193).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class Code(Enum):
    """The canonical codes that a service may answer with (google.rpc.Code)."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True)
class FieldViolation:
    """One bad field of a request: its path in the proto and what is wrong with it."""

    field: str
    description: str


class KelolaError(Exception):
    """The root of every refusal that a caller may see.

    `message` is shown to the caller, so it never holds personal data or another system's words.
    `metadata` are the figures of the refusal (string to string), for programs.
    """

    code: ClassVar[Code]
    reason: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = violations
        self.retry_after_seconds = retry_after_seconds


class InvalidArgument(KelolaError):
    """The request is wrong whatever the state of the system."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"

    @classmethod
    def field(cls, field: str, description: str) -> InvalidArgument:
        """A refusal that names the one field at fault."""
        return cls(f"{field}: {description}", violations=(FieldViolation(field, description),))


class NotFound(KelolaError):
    """No such resource, or none that the caller may see."""

    code = Code.NOT_FOUND
    reason = "NOT_FOUND"

    @classmethod
    def resource(cls, kind: str, key: object) -> NotFound:
        """A refusal that names the kind and the key asked for."""
        return cls(f"no {kind} {key} that you may see", metadata={"resource": kind, "id": str(key)})


class AlreadyExists(KelolaError):
    """A unique thing is there already."""

    code = Code.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class PermissionDenied(KelolaError):
    """The caller is known and may not do this."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class Unauthenticated(KelolaError):
    """The caller is not known: no token, or one that does not hold."""

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class FailedPrecondition(KelolaError):
    """The request is sound, the state does not allow it."""

    code = Code.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class Aborted(KelolaError):
    """Somebody else was first; read again and retry."""

    code = Code.ABORTED
    reason = "ABORTED"


class ResourceExhausted(KelolaError):
    """A limit of the server is reached; come back later."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"


class OutOfRange(KelolaError):
    """A result would leave the range that the system can hold."""

    code = Code.OUT_OF_RANGE
    reason = "OUT_OF_RANGE"


class Unavailable(KelolaError):
    """A part that is needed does not answer; retry with the same request_id."""

    code = Code.UNAVAILABLE
    reason = "UNAVAILABLE"


class DeadlineExceeded(KelolaError):
    """The caller's time is over."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"
