"""Remittances between the wire and the domain: no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import from_date, resource_id, resource_name, to_date, to_money, to_uuid
from kelola.finance.v1 import withholding_remittance_events_pb2
from kelola.finance.v1 import withholding_remittance_pb2 as pb
from services.finance.payables.remittances.events import WithholdingReceiptRecorded, WithholdingRemitted
from services.finance.payables.remittances.usecases import NewRemittance

REMITTANCES = "withholdingRemittances"


def remittance_id(name: str) -> UUID:
    """The id in `withholdingRemittances/{uuid}`."""
    return resource_id(REMITTANCES, name)


def new_remittance(message: pb.WithholdingRemittance) -> NewRemittance:
    """The remittance to propose."""
    return NewRemittance(
        agency_id=to_uuid(message.agency_id, "withholding_remittance.agency_id"),
        withholding_code=message.withholding_code,
        fund_code=message.fund_code,
        currency=message.currency_code,
        withheld_to=from_date(message.withheld_to, "withholding_remittance.withheld_to"),
    )


def remittance_message(row: Row[Any], items: Sequence[Row[Any]]) -> pb.WithholdingRemittance:
    """One remittance with what it collects."""
    return pb.WithholdingRemittance(
        name=resource_name(REMITTANCES, row.withholding_remittance_id),
        withholding_remittance_id=str(row.withholding_remittance_id),
        agency_id=str(row.agency_id),
        withholding_code=row.withholding_code,
        fund_code=row.fund_code,
        currency_code=row.currency,
        withheld_to=to_date(row.withheld_to),
        creditor=row.creditor,
        due_on=to_date(row.due_on),
        amount=to_money(Money(row.amount_minor, row.currency)),
        items=[
            pb.RemittedAmount(
                payment_order_id=str(item.payment_order_id), amount=to_money(Money(item.amount_minor, row.currency))
            )
            for item in items
        ],
        status=pb.WithholdingRemittanceStatus.Value(f"WITHHOLDING_REMITTANCE_STATUS_{row.status}"),
        payable_id=str(row.payable_id or ""),
        remitted_on=None if row.remitted_on is None else to_date(row.remitted_on),
        created_by_person_id=str(row.created_by_person_id),
        approved_by_person_id=str(row.approved_by_person_id or ""),
        end_explanation=row.end_explanation or "",
        receipt_number=row.receipt_number or "",
        received_on=None if row.received_on is None else to_date(row.received_on),
        corrected_amount=to_money(Money(row.corrected_minor, row.currency)) if row.corrected_minor else None,
    )


@outbox.translates(WithholdingRemitted)
def _remitted(event: WithholdingRemitted) -> outbox.Envelope:
    message = withholding_remittance_events_pb2.WithholdingRemitted(
        withholding_remittance_id=str(event.withholding_remittance_id),
        agency_id=str(event.agency_id),
        withholding_code=event.withholding_code,
        creditor=event.creditor,
        amount=to_money(Money(event.amount_minor, event.currency)),
        payment_order_id=str(event.payment_order_id),
        remitted_on=to_date(event.remitted_on),
    )
    return outbox.Envelope(message, event.withholding_remittance_id, event.agency_id, event.version)


@outbox.translates(WithholdingReceiptRecorded)
def _receipt_recorded(event: WithholdingReceiptRecorded) -> outbox.Envelope:
    row = event.row
    message = withholding_remittance_events_pb2.WithholdingReceiptRecorded(
        withholding_remittance_id=str(row.withholding_remittance_id),
        agency_id=str(row.agency_id),
        withholding_code=row.withholding_code,
        receipt_number=row.receipt_number,
        received_on=to_date(row.received_on),
    )
    return outbox.Envelope(message, row.withholding_remittance_id, row.agency_id, row.version)
