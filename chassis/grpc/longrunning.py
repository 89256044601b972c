"""google.longrunning.Operations, served where a service has an `operation` table: Get, List and Wait.

Delete and Cancel are not offered (UNIMPLEMENTED, as AIP-151 allows): a run's record is part of the audit.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Protocol

from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import text

from chassis import wire
from chassis.call import Call
from chassis.errors import InvalidArgument, NotFound
from chassis.grpc.status import ERROR_DOMAIN
from chassis.paging import Page

COLLECTION = "operations"
TABLE = "operation"
# How long Wait holds a thread at most, and how often it looks.
WAIT_SECONDS_MAX = 30.0
_WAIT_LOOK_SECONDS = 0.2
_TYPE_PREFIX = "type.googleapis.com/"

SERVICE = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
_FILTERS = {"": None, "done=true": True, "done=false": False}
COLUMNS = (
    "operation_id, done, metadata_type, metadata_body, response_type, response_body, error_code, error_reason,"
    " error_message"
)
_VISIBLE = "(agency_id = any(:agencies) or subject = :subject)"


def _any(type_name: str | None, body: bytes | None) -> AnyMessage | None:
    if type_name is None:
        return None
    return AnyMessage(type_url=_TYPE_PREFIX + type_name, value=body or b"")


def operation_message(row: Any) -> operations_pb2.Operation:
    """A row of the table as a message."""
    error = None
    if row.error_code is not None:
        detail = AnyMessage()
        detail.Pack(error_details_pb2.ErrorInfo(reason=row.error_reason or "", domain=ERROR_DOMAIN))
        error = status_pb2.Status(code=row.error_code, message=row.error_message or "", details=[detail])
    return operations_pb2.Operation(
        name=wire.resource_name(COLLECTION, row.operation_id),
        metadata=_any(row.metadata_type, row.metadata_body),
        done=row.done,
        error=error,
        response=None if error is not None else _any(row.response_type, row.response_body),
    )


class _Reads(Protocol):
    """What of `chassis.database.Transactions` is used here."""

    def read(self, call: Call) -> Any:
        """A read-only transaction, a context manager that gives a session."""


class OperationsHandler:
    """google.longrunning.Operations of one service: one handler a method."""

    METHODS = ("GetOperation", "ListOperations", "WaitOperation")

    def __init__(self, method_name: str, transactions: _Reads) -> None:
        self._answer = {
            "GetOperation": self._get,
            "ListOperations": self._list,
            "WaitOperation": self._wait,
        }[method_name]
        self._transactions = transactions

    def answer(self, request: Any, call: Call) -> bytes:
        """The reply's bytes."""
        reply: bytes = self._answer(request, call).SerializeToString()
        return reply

    def answers(self, request: Any, call: Call) -> Generator[bytes, None, None]:
        """Not offered: a handler has it for methods that stream, and Operations has none of them."""
        raise NotImplementedError("no method of google.longrunning.Operations streams; use `answer`")

    def _get(self, request: Any, call: Call) -> operations_pb2.Operation:
        operation_id = wire.resource_id(COLLECTION, request.name)
        with self._transactions.read(call) as session:
            row = session.execute(
                text(
                    f"select {COLUMNS} from operation"  # noqa: S608
                    f" where operation_id = :operation_id and {_VISIBLE}"
                ),
                {**_seen_by(call), "operation_id": operation_id},
            ).one_or_none()
        if row is None:
            raise NotFound.resource("operation", request.name)
        return operation_message(row)

    def _list(self, request: Any, call: Call) -> operations_pb2.ListOperationsResponse:
        wanted = request.filter.replace(" ", "").lower()
        if wanted not in _FILTERS:
            raise InvalidArgument.field("filter", "only `done=true` and `done=false` are understood")
        page = Page.of(request, filters={"filter": wanted})
        # Ids are time-ordered, so the newest come first.
        conditions, values = [_VISIBLE], {**_seen_by(call), "size": page.size + 1}
        if _FILTERS[wanted] is not None:
            conditions.append("done = :done")
            values["done"] = _FILTERS[wanted]
        if page.after is not None:
            conditions.append("operation_id < :after")
            values["after"] = page.after[0]
        with self._transactions.read(call) as session:
            rows = session.execute(
                text(
                    f"select {COLUMNS} from operation where {' and '.join(conditions)}"  # noqa: S608
                    " order by operation_id desc limit :size"
                ),
                values,
            ).all()
        shown = rows[: page.size]
        return operations_pb2.ListOperationsResponse(
            operations=[operation_message(row) for row in shown],
            next_page_token=page.token((shown[-1].operation_id,)) if len(rows) > page.size else "",
        )

    def _wait(self, request: Any, call: Call) -> operations_pb2.Operation:
        """Until it is done, the asked time is over, or half a minute: then as it stands, which is no error."""
        asked = request.timeout.seconds + request.timeout.nanos / 1e9
        # A little before the caller's deadline, so that the answer still arrives.
        end = min(time.monotonic() + (min(asked, WAIT_SECONDS_MAX) or WAIT_SECONDS_MAX), call.deadline - 0.5)
        while True:
            operation = self._get(request, call)
            if operation.done or time.monotonic() + _WAIT_LOOK_SECONDS >= end:
                return operation
            time.sleep(_WAIT_LOOK_SECONDS)


def _seen_by(call: Call) -> dict[str, Any]:
    return {"agencies": list(call.agencies), "subject": call.principal.subject}
