"""Exceptions of held invoices between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Row

from chassis import outbox
from chassis.wire import resource_id, resource_name, to_timestamp
from kelola.finance.v1 import invoice_exception_events_pb2, payables_pb2
from kelola.finance.v1 import invoice_exception_pb2 as pb
from services.finance.payables.exceptions import domain
from services.finance.payables.exceptions.domain import Outcome
from services.finance.payables.exceptions.events import InvoiceExceptionChanged

EXCEPTIONS = "invoiceExceptions"
_DECISIONS = {
    pb.INVOICE_EXCEPTION_DECISION_RELEASE: Outcome.RELEASED,
    pb.INVOICE_EXCEPTION_DECISION_REJECT: Outcome.REJECTED,
}


def exception_id(name: str) -> UUID:
    """The id in `invoiceExceptions/{uuid}`."""
    return resource_id(EXCEPTIONS, name)


def decided(number: pb.InvoiceExceptionDecision.ValueType) -> Outcome:
    """What a decision makes of the exception."""
    return _DECISIONS[number]


def exception_message(row: Row[Any], steps: Sequence[Row[Any]], now: datetime) -> pb.InvoiceException:
    """One exception with its history, `now` by the database's clock."""
    return pb.InvoiceException(
        name=resource_name(EXCEPTIONS, row.invoice_exception_id),
        invoice_exception_id=str(row.invoice_exception_id),
        agency_id=str(row.agency_id),
        invoice_id=str(row.invoice_id),
        supplier_id=str(row.supplier_id),
        supplier_invoice_number=row.supplier_invoice_number,
        reasons=_reasons(row),
        owner_person_id=str(row.owner_person_id or ""),
        open_time=to_timestamp(row.opened_at),
        age_days=domain.age_days(row.opened_at, row.closed_at or now),
        due_time=to_timestamp(row.due_at),
        overdue=row.status == "OPEN" and row.due_at < now,
        supplier_ask_time=_optional_timestamp(row.supplier_asked_at),
        status=_status(row),
        outcome=_outcome(row),
        closed_by_person_id=str(row.closed_by_person_id or ""),
        steps=[_step_message(step) for step in steps],
    )


def _step_message(step: Row[Any]) -> pb.InvoiceExceptionStep:
    return pb.InvoiceExceptionStep(
        action=pb.InvoiceExceptionAction.Value(f"INVOICE_EXCEPTION_ACTION_{step.action}"),
        by_person_id=str(step.by_person_id or ""),
        owner_person_id=str(step.owner_person_id or ""),
        due_time=to_timestamp(step.due_at),
        explanation=step.explanation,
        record_time=to_timestamp(step.recorded_at),
    )


def _reasons(row: Row[Any]) -> list[payables_pb2.InvoiceHoldReason.ValueType]:
    return [payables_pb2.InvoiceHoldReason.Value(f"INVOICE_HOLD_REASON_{reason}") for reason in row.reasons]


def _status(row: Row[Any]) -> pb.InvoiceExceptionStatus.ValueType:
    return pb.InvoiceExceptionStatus.Value(f"INVOICE_EXCEPTION_STATUS_{row.status}")


def _outcome(row: Row[Any]) -> pb.InvoiceExceptionOutcome.ValueType:
    return pb.InvoiceExceptionOutcome.Value(f"INVOICE_EXCEPTION_OUTCOME_{row.outcome or 'UNSPECIFIED'}")


def _optional_timestamp(instant: datetime | None) -> Timestamp | None:
    return None if instant is None else to_timestamp(instant)


@outbox.translates(InvoiceExceptionChanged)
def _changed(event: InvoiceExceptionChanged) -> outbox.Envelope:
    row = event.row
    message = invoice_exception_events_pb2.InvoiceExceptionChanged(
        invoice_exception_id=str(row.invoice_exception_id),
        agency_id=str(row.agency_id),
        invoice_id=str(row.invoice_id),
        reasons=_reasons(row),
        owner_person_id=str(row.owner_person_id or ""),
        due_time=to_timestamp(row.due_at),
        status=_status(row),
        outcome=_outcome(row),
    )
    return outbox.Envelope(message, row.invoice_exception_id, row.agency_id, row.version)
