"""What was accepted and not invoiced, on the wire: no decisions."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Row

from chassis.money import Money
from chassis.wire import to_date, to_decimal, to_money
from kelola.finance.v1 import uninvoiced_receipt_pb2
from services.finance.payables.uninvoiced.domain import AgeRule


def uninvoiced_message(row: Row[Any], rule: AgeRule, today: date) -> uninvoiced_receipt_pb2.UninvoicedReceipt:
    """One order line with something accepted and not invoiced for too long."""
    return uninvoiced_receipt_pb2.UninvoicedReceipt(
        purchase_order_line_id=str(row.purchase_order_line_id),
        agency_id=str(row.agency_id),
        purchase_order_id=str(row.purchase_order_id),
        purchase_order_number=row.purchase_order_number,
        supplier_id=str(row.supplier_id),
        description=row.description,
        quantity=to_decimal(row.quantity),
        amount=to_money(Money(row.amount_minor, row.currency)),
        accepted_on=to_date(row.accepted_on),
        due_on=to_date(rule.due_on(row.accepted_on)),
        age_days=(today - row.accepted_on).days,
        owner_role=rule.owner_role,
    )
