"""Long runs that clients follow: google.longrunning.Operation (AIP-151).

An RPC starts one in its own transaction and answers with it; the work itself is a saga of the same kind:

    operation_id = operations.start(work.session, call, kind="payroll.compute", agency_id=..., metadata=progress)
    work.reply(operations.message(work.session, operation_id))

    @saga_step("payroll.compute")
    def compute_payroll(self, step):              # step.document_id is the operation's id
        with self.db.step(step) as session:
            operations.finish(session, step.document_id, response)
            step.finish(session)

The chassis serves Get, List and Wait where a service has an `operation` table. Who may read them holds
`<service>.operation.read`, and sees those of his agencies and his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis import saga
from chassis.call import Call
from chassis.errors import FailedPrecondition, KelolaError, NotFound
from chassis.grpc.longrunning import COLUMNS, operation_message
from chassis.ids import new_id


class OperationEnded(FailedPrecondition):
    """A run that has ended, or is not there, was told of progress or of another end."""

    reason = "OPERATION_ENDED"


def start(
    session: Session,
    call: Call,
    *,
    kind: str,
    agency_id: UUID | None,
    metadata: Message,
    operation_id: UUID | None = None,
    state: Mapping[str, Any] | None = None,
    deadline: timedelta = saga.DEADLINE,
) -> UUID:
    """Begin a run in this transaction: its row, and the saga that does the work after the commit.

    `metadata` tells clients how far it is. The saga's document is the operation; `state` is handed to it.
    """
    key = operation_id or new_id()
    session.flush()
    session.execute(
        text(
            """
            insert into operation (operation_id, kind, agency_id, person_id, subject, permission,
                                   metadata_type, metadata_body)
            values (:operation_id, :kind, :agency_id, :person_id, :subject, :permission,
                    :metadata_type, :metadata_body)
            """
        ),
        {
            "operation_id": key,
            "kind": kind,
            "agency_id": agency_id,
            "person_id": call.principal.person_id,
            "subject": call.principal.subject,
            "permission": call.permission,
            "metadata_type": metadata.DESCRIPTOR.full_name,
            "metadata_body": metadata.SerializeToString(deterministic=True),
        },
    )
    saga.start(
        session,
        kind=kind,
        document_id=key,
        agency_id=agency_id,
        person_id=call.principal.person_id,
        state=state,
        deadline=deadline,
    )
    return key


def progress(session: Session, operation_id: UUID, metadata: Message) -> None:
    """Replace the run's metadata. Raises OPERATION_ENDED."""
    _change(
        session,
        operation_id,
        "metadata_type = :type, metadata_body = :body",
        {"type": metadata.DESCRIPTOR.full_name, "body": metadata.SerializeToString(deterministic=True)},
    )


def finish(session: Session, operation_id: UUID, response: Message) -> None:
    """End the run with its result. Raises OPERATION_ENDED."""
    _change(
        session,
        operation_id,
        "done = true, response_type = :type, response_body = :body",
        {"type": response.DESCRIPTOR.full_name, "body": response.SerializeToString(deterministic=True)},
    )


def fail(session: Session, operation_id: UUID, error: KelolaError) -> None:
    """End the run with a refusal. Raises OPERATION_ENDED."""
    _change(
        session,
        operation_id,
        "done = true, error_code = :code, error_reason = :reason, error_message = :message",
        {"code": error.code.value, "reason": error.reason, "message": error.message},
    )


def message(session: Session, operation_id: UUID) -> operations_pb2.Operation:
    """The operation as it stands in this transaction. Raises NOT_FOUND."""
    session.flush()
    row = session.execute(
        text(f"select {COLUMNS} from operation where operation_id = :operation_id"),  # noqa: S608
        {"operation_id": operation_id},
    ).one_or_none()
    if row is None:
        raise NotFound.resource("operation", operation_id)
    return operation_message(row)


def _change(session: Session, operation_id: UUID, assignments: str, values: Mapping[str, Any]) -> None:
    session.flush()
    changed = session.execute(
        text(
            f"update operation set {assignments}, updated_at = clock_timestamp()"  # noqa: S608
            " where operation_id = :operation_id and not done returning operation_id"
        ),
        {**values, "operation_id": operation_id},
    ).one_or_none()
    if changed is None:
        raise OperationEnded(f"the operation {operation_id} is not there or has ended")
