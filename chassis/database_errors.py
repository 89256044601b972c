"""What PostgreSQL's errors mean to a caller. Unique violations are left to the stores, which know what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chassis.call import TransactionConflict
from chassis.errors import (
    Aborted,
    DeadlineExceeded,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)

_RETRY_AFTER_SECONDS = 1

# SQLSTATE classes and codes (PostgreSQL, appendix A).
_CONFLICTS = {"40001", "40P01"}  # serialization_failure, deadlock_detected
_LOCK_NOT_AVAILABLE = "55P03"
_QUERY_CANCELED = "57014"
_NUMERIC_OUT_OF_RANGE = "22003"
_INSUFFICIENT_PRIVILEGE = "42501"
_IDLE_IN_TRANSACTION = "25P03"


def sqlstate(failure: BaseException) -> str | None:
    """The SQLSTATE of a failure, through SQLAlchemy's wrapping; None when it has none."""
    original = failure.orig if isinstance(failure, DBAPIError) else failure
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def connection_lost(failure: BaseException) -> bool:
    """Whether the connection broke, so that the outcome of what was under way is unknown."""
    if isinstance(failure, DBAPIError) and failure.connection_invalidated:
        return True
    state = sqlstate(failure)
    if state is not None:
        # 08: connection exception; 57P: the server ends or starts; 25P03: we were idle for too long.
        return state[:2] == "08" or state[:3] == "57P" or state == _IDLE_IN_TRANSACTION
    original = failure.orig if isinstance(failure, DBAPIError) else failure
    return isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)


def is_transient(failure: BaseException) -> bool:
    """Whether the same act may succeed a moment later, without anybody's doing."""
    return isinstance(failure, TransactionConflict | Unavailable | ResourceExhausted)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database's errors of the block into ours, where a caller can do something about them."""
    try:
        yield
    except (DBAPIError, psycopg.Error, PoolTimeout) as failure:
        raise_translated(failure)


def raise_translated(failure: Exception) -> NoReturn:
    """Raise what `failure` means to a caller, or `failure` itself when it is a mistake of ours."""
    if isinstance(failure, PoolTimeout):
        raise Unavailable(
            "every database connection is in use; retry with the same request_id",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        ) from failure
    state = sqlstate(failure)
    if state in _CONFLICTS:
        raise TransactionConflict(f"the database undid the transaction ({state})") from failure
    if state == _LOCK_NOT_AVAILABLE:
        raise Aborted(
            "a record is locked by another transaction for too long; retry with the same request_id",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        ) from failure
    if state == _QUERY_CANCELED:
        raise DeadlineExceeded(
            "the deadline passed while the database worked; retry with the same request_id"
        ) from failure
    if state == _NUMERIC_OUT_OF_RANGE:
        raise OutOfRange("a sum leaves the range that the books can hold (64 bits)") from failure
    if state == _INSUFFICIENT_PRIVILEGE and "row-level security" in str(failure):
        raise PermissionDenied("the record belongs to an agency in which you do not hold this") from failure
    if connection_lost(failure) or (state is not None and state[:2] == "53"):
        # 53: out of connections, memory or disk.
        raise Unavailable(
            "the database does not answer; retry with the same request_id",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        ) from failure
    if state is None and isinstance(failure, OperationalError | InterfaceError):
        raise Unavailable(
            "the database cannot be reached; retry with the same request_id",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        ) from failure
    raise failure
