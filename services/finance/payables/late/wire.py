"""Late interest between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from chassis.money import Money
from chassis.wire import to_date, to_money
from kelola.finance.v1 import late_interest_pb2, payables_pb2
from services.finance.payables.late.domain import Late


def late_message(row: Row[Any], late: Late) -> late_interest_pb2.LatePayment:
    """One payable past its due date."""
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
    )
