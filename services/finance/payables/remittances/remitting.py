"""What the bank's debit does to a remittance. Called by the payment order in its own transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from services.finance.payables.remittances import store
from services.finance.payables.remittances.events import WithholdingRemitted


def remitted(session: Session, payable_ids: Collection[UUID], payment_order_id: UUID, *, on: date) -> None:
    """Write that what these payables remit has left, and tell; nothing when none of them is a remittance."""
    for row in store.of_payables(session, payable_ids):
        store.update(session, row.withholding_remittance_id, status="REMITTED", remitted_on=on)
        outbox.emit(
            session,
            WithholdingRemitted(
                row.withholding_remittance_id,
                row.agency_id,
                row.withholding_code,
                row.creditor,
                row.currency,
                row.amount_minor,
                payment_order_id,
                on,
                row.version + 1,
            ),
        )
