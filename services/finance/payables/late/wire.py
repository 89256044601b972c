"""Late interest between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import from_date, resource_id, resource_name, to_date, to_money, to_uuid
from kelola.finance.v1 import late_interest_charge_pb2, late_interest_events_pb2, late_interest_pb2, payables_pb2
from services.finance.payables.late.events import LateInterestApproved
from services.finance.payables.late.usecases import LatePayment, NewCharge

CHARGES = "lateInterestCharges"


def late_message(found: LatePayment) -> late_interest_pb2.LatePayment:
    """One payable past its due date, with what was owed of it on which days."""
    row, late = found.row, found.late
    return late_interest_pb2.LatePayment(
        payable_id=str(row.payable_id),
        agency_id=str(row.agency_id),
        source=payables_pb2.PayableSource.Value(f"PAYABLE_SOURCE_{row.source}"),
        source_document_id=str(row.source_document_id),
        source_document_number=row.source_document_number,
        creditor=row.creditor,
        amount=to_money(Money(row.amount_minor, row.currency)),
        due_on=to_date(row.due_on),
        paid_on=None if row.paid_on is None else to_date(row.paid_on),
        days_late=late.days,
        interest=to_money(Money(late.interest, row.currency)),
        owed=[
            late_interest_pb2.OwedAmount(
                from_on=to_date(piece.from_on),
                until_on=to_date(piece.until),
                amount=to_money(Money(piece.amount, row.currency)),
            )
            for piece in found.owed
        ],
    )


def charge_id(name: str) -> UUID:
    """The id in `lateInterestCharges/{uuid}`."""
    return resource_id(CHARGES, name)


def new_charge(message: late_interest_charge_pb2.LateInterestCharge) -> NewCharge:
    """The charge to propose."""
    return NewCharge(
        agency_id=to_uuid(message.agency_id, "late_interest_charge.agency_id"),
        late_payable_id=to_uuid(message.late_payable_id, "late_interest_charge.late_payable_id"),
        budget_line_id=to_uuid(message.budget_line_id, "late_interest_charge.budget_line_id"),
        until=from_date(message.until_on, "late_interest_charge.until_on"),
    )


def charge_message(row: Row[Any]) -> late_interest_charge_pb2.LateInterestCharge:
    """One charge."""
    return late_interest_charge_pb2.LateInterestCharge(
        name=resource_name(CHARGES, row.late_interest_charge_id),
        late_interest_charge_id=str(row.late_interest_charge_id),
        agency_id=str(row.agency_id),
        late_payable_id=str(row.late_payable_id),
        budget_line_id=str(row.budget_line_id),
        until_on=to_date(row.until_on),
        from_on=to_date(row.from_on),
        source_document_number=row.source_document_number,
        creditor=row.creditor,
        amount=to_money(Money(row.amount_minor, row.currency)),
        status=late_interest_charge_pb2.LateInterestChargeStatus.Value(f"LATE_INTEREST_CHARGE_STATUS_{row.status}"),
        payable_id=str(row.payable_id or ""),
        journal_entry_id=str(row.journal_entry_id or ""),
        created_by_person_id=str(row.created_by_person_id),
        approved_by_person_id=str(row.approved_by_person_id or ""),
        end_explanation=row.end_explanation or "",
    )


@outbox.translates(LateInterestApproved)
def _approved(event: LateInterestApproved) -> outbox.Envelope:
    row = event.row
    message = late_interest_events_pb2.LateInterestApproved(
        late_interest_charge_id=str(row.late_interest_charge_id),
        agency_id=str(row.agency_id),
        late_payable_id=str(row.late_payable_id),
        payable_id=str(row.payable_id),
        creditor=row.creditor,
        budget_line_id=str(row.budget_line_id),
        amount=to_money(Money(row.amount_minor, row.currency)),
        from_on=to_date(row.from_on),
        until_on=to_date(row.until_on),
    )
    return outbox.Envelope(message, row.late_interest_charge_id, row.agency_id, row.version)
