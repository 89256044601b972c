"""The rows of purchase orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import Session

from chassis.errors import NotFound
from chassis.money import Money
from services.logistics.catalog.domain import Treatment
from services.logistics.ordering.domain import Line, Order, Status
from services.logistics.ordering.tables import PurchaseOrderLineRow, PurchaseOrderRow
from services.logistics.pricing.domain import LineAmount
from services.logistics.receiving.tables import ReceiptRow
from services.logistics.requisition.store import refusal_json, refusal_of


def _line(row: PurchaseOrderLineRow, currency: str) -> Line:
    return Line(
        purchase_order_line_id=row.purchase_order_line_id,
        requisition_line_id=row.requisition_line_id,
        item_id=row.item_id,
        description=row.description,
        quantity=row.quantity,
        unit_price=row.unit_price,
        tax_rate=row.tax_rate,
        budget_line_id=row.budget_line_id,
        fund_code=row.fund_code,
        treatment=Treatment(row.treatment),
        amount=LineAmount(Money(row.net_minor, currency), Money(row.tax_minor, currency)),
        final=row.final,
        accepted_quantity=row.accepted_quantity,
        accepted_value_minor=row.accepted_value_minor,
        cancelled_quantity=row.cancelled_quantity,
        invoiced_quantity=row.invoiced_quantity,
        invoiced_minor=row.invoiced_minor,
    )


def _orders(session: Session, rows: Iterable[PurchaseOrderRow]) -> list[Order]:
    listed = list(rows)
    lines: dict[UUID, list[PurchaseOrderLineRow]] = defaultdict(list)
    found = session.execute(
        select(PurchaseOrderLineRow)
        .where(PurchaseOrderLineRow.purchase_order_id.in_([row.purchase_order_id for row in listed]))
        .order_by(PurchaseOrderLineRow.purchase_order_id, PurchaseOrderLineRow.ordinal)
    ).scalars()
    for line in found:
        lines[line.purchase_order_id].append(line)
    return [
        Order(
            purchase_order_id=row.purchase_order_id,
            agency_id=row.agency_id,
            requisition_id=row.requisition_id,
            supplier_id=row.supplier_id,
            legal_entity_id=row.legal_entity_id,
            currency=row.currency,
            deliver_by=row.deliver_by,
            lines=tuple(_line(line, row.currency) for line in lines[row.purchase_order_id]),
            status=Status(row.status),
            made_by_person_id=row.made_by_person_id,
            created_at=row.created_at,
            purchase_order_number=row.purchase_order_number,
            signed_by_person_id=row.signed_by_person_id,
            signed_at=row.signed_at,
            issued_on=row.issued_on,
            cancelled_by_person_id=row.cancelled_by_person_id,
            cancel_cause=row.cancel_cause,
            refusal=refusal_of(row.refusal),
            paid_minor=row.paid_minor,
            version=row.version,
        )
        for row in listed
    ]


def order_by_id(session: Session, purchase_order_id: UUID, *, lock: bool = False) -> Order:
    """The order with its lines; NOT_FOUND when there is none that may be seen.

    With `lock` its row is held until the transaction ends; its lines change only under that lock. Whoever also
    locks the requisition locks it first.
    """
    row = session.get(
        PurchaseOrderRow,
        purchase_order_id,
        with_for_update={"key_share": True} if lock else None,
        populate_existing=True,
    )
    if row is None:
        raise NotFound.resource("purchase order", purchase_order_id)
    return _orders(session, [row])[0]


def requisition_of(session: Session, purchase_order_id: UUID) -> UUID:
    """The requisition that an order fulfils, which never changes; NOT_FOUND when there is no such order."""
    found = session.execute(
        select(PurchaseOrderRow.requisition_id).where(PurchaseOrderRow.purchase_order_id == purchase_order_id)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound.resource("purchase order", purchase_order_id)
    return found


def _values(order: Order) -> dict[str, Any]:
    values = {name: value for name, value in vars(order).items() if name != "lines"}
    return {**values, "refusal": refusal_json(order.refusal), "amount_minor": order.amount.minor}


def insert_order(session: Session, order: Order) -> None:
    """Add an order with its lines."""
    session.add(PurchaseOrderRow(**_values(order)))
    session.flush()
    for ordinal, line in enumerate(order.lines, 1):
        values = {name: value for name, value in vars(line).items() if name != "amount"}
        session.add(
            PurchaseOrderLineRow(
                **values,
                purchase_order_id=order.purchase_order_id,
                agency_id=order.agency_id,
                ordinal=ordinal,
                net_minor=line.amount.net.minor,
                tax_minor=line.amount.tax.minor,
            )
        )
    session.flush()


def update_order(session: Session, order: Order) -> None:
    """Write the locked row, and how far its lines have come."""
    row = session.get_one(PurchaseOrderRow, order.purchase_order_id)
    for name, value in _values(order).items():
        setattr(row, name, value)
    for line in order.lines:
        line_row = session.get_one(PurchaseOrderLineRow, line.purchase_order_line_id)
        line_row.accepted_quantity = line.accepted_quantity
        line_row.accepted_value_minor = line.accepted_value_minor
        line_row.cancelled_quantity = line.cancelled_quantity
        line_row.invoiced_quantity = line.invoiced_quantity
        line_row.invoiced_minor = line.invoiced_minor
    session.flush()


def has_delivery_under_inspection(session: Session, purchase_order_id: UUID) -> bool:
    """Whether a delivery of the order waits for inspection."""
    count = session.execute(
        select(func.count())
        .select_from(ReceiptRow)
        .where(ReceiptRow.purchase_order_id == purchase_order_id, ReceiptRow.status == "DELIVERED")
    ).scalar_one()
    return bool(count)


def orders_after(
    session: Session, after: UUID | None, limit: int, *, agency_id: UUID | None, status: str, supplier_id: UUID | None
) -> list[Order]:
    """Up to `limit` orders in the order of their ids, that is, of creation, after `after`."""
    query = select(PurchaseOrderRow).order_by(PurchaseOrderRow.purchase_order_id).limit(limit)
    if after is not None:
        query = query.where(PurchaseOrderRow.purchase_order_id > after)
    if agency_id is not None:
        query = query.where(PurchaseOrderRow.agency_id == agency_id)
    if status:
        query = query.where(PurchaseOrderRow.status == status)
    if supplier_id is not None:
        query = query.where(PurchaseOrderRow.supplier_id == supplier_id)
    return _orders(session, session.execute(query).scalars())
