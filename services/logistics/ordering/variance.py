"""What an invoice's price variance does to stock: late news on the receipts that it bills (domain rules §6)."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlmodel import Session

from chassis.money import Money
from services.logistics.catalog import store as catalog
from services.logistics.catalog.domain import Treatment
from services.logistics.ordering.domain import CreditedLine, Order
from services.logistics.stock import usecases as stock


def value_receipts_anew(
    session: Session,
    order_before: Order,
    lines: tuple[tuple[UUID, Decimal, Money], ...],
    variances_minor: tuple[int, ...],
    *,
    invoice_id: UUID,
) -> None:
    """Value the receipts behind an invoice's stock lines anew. `order_before`: as it was before this invoice."""
    invoiced = {line.purchase_order_line_id: line.invoiced_quantity for line in order_before.lines}
    for (purchase_order_line_id, quantity, _), variance_minor in zip(lines, variances_minor, strict=True):
        line = order_before.line(purchase_order_line_id)
        before = invoiced[purchase_order_line_id]
        invoiced[purchase_order_line_id] = before + quantity
        if not variance_minor or line.treatment is not Treatment.STOCK or line.item_id is None:
            continue
        stock.record_variance(
            session,
            agency_id=order_before.agency_id,
            invoice_id=invoice_id,
            purchase_order_line_id=purchase_order_line_id,
            item=catalog.item_by_id(session, line.item_id),
            fund_code=line.fund_code,
            invoiced_before=before,
            quantity=quantity,
            variance_minor=variance_minor,
        )


def credit_receipts(session: Session, order: Order, lines: tuple[CreditedLine, ...], *, credit_note_id: UUID) -> None:
    """Value the receipts that the credited invoice billed anew: a price that fell is late news too."""
    for credited in lines:
        line = order.line(credited.purchase_order_line_id)
        if not credited.variance_minor or line.treatment is not Treatment.STOCK or line.item_id is None:
            continue
        stock.record_variance(
            session,
            agency_id=order.agency_id,
            invoice_id=credit_note_id,
            purchase_order_line_id=credited.purchase_order_line_id,
            item=catalog.item_by_id(session, line.item_id),
            fund_code=line.fund_code,
            invoiced_before=credited.invoiced_before,
            quantity=credited.invoiced_quantity,
            variance_minor=credited.variance_minor,
        )
