"""Slips are written when the bank has debited a payment, one for each kind that it withheld (domain rules §11)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.country_pack import holding
from chassis.ids import new_id
from services.finance.classification.pack import fiscal_calendar
from services.finance.payables import number_store, payment_store
from services.finance.payables.slips import store
from services.finance.payables.slips.events import WithholdingSlipIssued

KIND = "WITHHOLDING_SLIP"


def titles(on: date) -> dict[str, str]:
    """What the slip of each withholding code is called on a day; codes without a row have none (pay has its own)."""
    return {row["withholding_code"]: row["title"] for row in holding("withholding_slips.csv", on)}


def write(session: Session, order: Row[Any], *, withheld_on: date) -> None:
    """Write the slips of a debited payment order; their numbers follow within about a second, in this order."""
    withheld = payment_store.order_withholdings(session, [order.payment_order_id]).get(order.payment_order_id, {})
    if not withheld:
        return
    named = titles(withheld_on)
    wanted = {code: amount for code, amount in sorted(withheld.items()) if code in named}
    if not wanted:
        return
    creditor = store.creditor_of(session, order.payment_order_id)
    for code, amount in wanted.items():
        slip_id = new_id()
        store.insert(
            session,
            {
                "withholding_slip_id": slip_id,
                "agency_id": order.agency_id,
                "treasury_agency_id": order.treasury_agency_id,
                "payment_order_id": order.payment_order_id,
                "order_number": order.order_number,
                "creditor": creditor,
                "withholding_code": code,
                "title": named[code],
                "currency": order.currency,
                "amount_minor": amount,
                "withheld_on": withheld_on,
                "version": 1,
            },
        )
        number_store.enqueue(
            session,
            KIND,
            entity_id=order.treasury_agency_id,
            year=fiscal_calendar().year_of(withheld_on),
            document_id=slip_id,
            paper_agency_id=order.agency_id,
        )


def issued(session: Session, withholding_slip_ids: Sequence[UUID]) -> list[WithholdingSlipIssued]:
    """What to tell of slips that have their numbers now."""
    return [
        WithholdingSlipIssued(
            row.withholding_slip_id,
            row.agency_id,
            row.payment_order_id,
            row.creditor,
            row.withholding_code,
            row.currency,
            row.amount_minor,
            row.withheld_on,
            row.slip_number,
            row.version,
        )
        for row in store.slips(session, withholding_slip_ids)
    ]
