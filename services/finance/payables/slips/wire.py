"""Withholding slips between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import resource_id, resource_name, to_date, to_money
from kelola.finance.v1 import withholding_slip_events_pb2, withholding_slip_pb2
from services.finance.payables.slips.events import WithholdingSlipIssued

SLIPS = "withholdingSlips"


def slip_id(name: str) -> UUID:
    """The id in `withholdingSlips/{uuid}`."""
    return resource_id(SLIPS, name)


def slip_message(row: Row[Any]) -> withholding_slip_pb2.WithholdingSlip:
    """One slip."""
    return withholding_slip_pb2.WithholdingSlip(
        name=resource_name(SLIPS, row.withholding_slip_id),
        withholding_slip_id=str(row.withholding_slip_id),
        agency_id=str(row.agency_id),
        treasury_agency_id=str(row.treasury_agency_id),
        payment_order_id=str(row.payment_order_id),
        order_number=row.order_number,
        creditor=row.creditor,
        withholding_code=row.withholding_code,
        title=row.title,
        amount=to_money(Money(row.amount_minor, row.currency)),
        withheld_on=to_date(row.withheld_on),
        slip_number=row.slip_number or "",
        corrected_amount=to_money(Money(row.corrected_minor, row.currency)) if row.corrected_minor else None,
    )


@outbox.translates(WithholdingSlipIssued)
def _issued(event: WithholdingSlipIssued) -> outbox.Envelope:
    message = withholding_slip_events_pb2.WithholdingSlipIssued(
        withholding_slip_id=str(event.withholding_slip_id),
        agency_id=str(event.agency_id),
        payment_order_id=str(event.payment_order_id),
        creditor=event.creditor,
        withholding_code=event.withholding_code,
        amount=to_money(Money(event.amount_minor, event.currency)),
        withheld_on=to_date(event.withheld_on),
        slip_number=event.slip_number,
    )
    return outbox.Envelope(message, event.withholding_slip_id, event.agency_id, event.version)
