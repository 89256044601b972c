"""The rows of receipts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import Session

from chassis.errors import NotFound
from services.logistics.catalog.domain import Treatment
from services.logistics.ordering.tables import PurchaseOrderLineRow
from services.logistics.receiving.domain import Line, Receipt, Status
from services.logistics.receiving.tables import ReceiptLineRow, ReceiptRow


def _line(row: ReceiptLineRow) -> Line:
    return Line(
        receipt_line_id=row.receipt_line_id,
        purchase_order_line_id=row.purchase_order_line_id,
        treatment=Treatment(row.treatment),
        delivered_quantity=row.delivered_quantity,
        lot=row.lot,
        accepted_quantity=row.accepted_quantity,
        rejected_quantity=row.rejected_quantity,
        value_minor=row.value_minor,
        stock_movement_number=row.stock_movement_number,
    )


def _receipts(session: Session, rows: Iterable[ReceiptRow]) -> list[Receipt]:
    listed = list(rows)
    lines: dict[UUID, list[ReceiptLineRow]] = defaultdict(list)
    found = session.execute(
        select(ReceiptLineRow)
        .where(ReceiptLineRow.receipt_id.in_([row.receipt_id for row in listed]))
        .order_by(ReceiptLineRow.receipt_id, ReceiptLineRow.ordinal)
    ).scalars()
    for line in found:
        lines[line.receipt_id].append(line)
    return [
        Receipt(
            receipt_id=row.receipt_id,
            agency_id=row.agency_id,
            purchase_order_id=row.purchase_order_id,
            warehouse_id=row.warehouse_id,
            delivery_note=row.delivery_note,
            delivered_on=row.delivered_on,
            currency=row.currency,
            lines=tuple(_line(line) for line in lines[row.receipt_id]),
            status=Status(row.status),
            received_by_person_id=row.received_by_person_id,
            created_at=row.created_at,
            receipt_number=row.receipt_number,
            accepted_on=row.accepted_on,
            accepted_by_person_id=row.accepted_by_person_id,
            accepted_at=row.accepted_at,
            version=row.version,
        )
        for row in listed
    ]


def receipt_by_id(session: Session, receipt_id: UUID, *, lock: bool = False) -> Receipt:
    """The receipt with its lines; NOT_FOUND when there is none that may be seen.

    With `lock` its row is held until the transaction ends. Whoever also locks the order locks it first.
    """
    row = session.get(
        ReceiptRow, receipt_id, with_for_update={"key_share": True} if lock else None, populate_existing=True
    )
    if row is None:
        raise NotFound.resource("receipt", receipt_id)
    return _receipts(session, [row])[0]


def order_of(session: Session, receipt_id: UUID) -> UUID:
    """The order of a receipt, which never changes; NOT_FOUND when there is no such receipt."""
    found = session.execute(
        select(ReceiptRow.purchase_order_id).where(ReceiptRow.receipt_id == receipt_id)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound.resource("receipt", receipt_id)
    return found


def _values(receipt: Receipt) -> dict[str, Any]:
    return {name: value for name, value in vars(receipt).items() if name != "lines"}


def insert_receipt(session: Session, receipt: Receipt) -> None:
    """Add a receipt with its lines."""
    session.add(ReceiptRow(**_values(receipt)))
    session.flush()
    for ordinal, line in enumerate(receipt.lines, 1):
        session.add(
            ReceiptLineRow(**vars(line), receipt_id=receipt.receipt_id, agency_id=receipt.agency_id, ordinal=ordinal)
        )
    session.flush()


def update_receipt(session: Session, receipt: Receipt) -> None:
    """Write the locked row and its lines."""
    row = session.get_one(ReceiptRow, receipt.receipt_id)
    for name, value in _values(receipt).items():
        setattr(row, name, value)
    for line in receipt.lines:
        line_row = session.get_one(ReceiptLineRow, line.receipt_line_id)
        for name, value in vars(line).items():
            setattr(line_row, name, value)
    session.flush()


def receipts_after(
    session: Session, after: UUID | None, limit: int, *, agency_id: UUID | None, purchase_order_id: UUID | None
) -> list[Receipt]:
    """Up to `limit` receipts in the order of their ids, that is, of creation, after `after`."""
    query = select(ReceiptRow).order_by(ReceiptRow.receipt_id).limit(limit)
    if after is not None:
        query = query.where(ReceiptRow.receipt_id > after)
    if agency_id is not None:
        query = query.where(ReceiptRow.agency_id == agency_id)
    if purchase_order_id is not None:
        query = query.where(ReceiptRow.purchase_order_id == purchase_order_id)
    return _receipts(session, session.execute(query).scalars())


def quantity_under_inspection(
    session: Session, agency_id: UUID, item_id: UUID, *, warehouse_id: UUID | None
) -> Decimal:
    """What of a stock item was delivered to an agency and not inspected yet."""
    query = (
        select(func.coalesce(func.sum(ReceiptLineRow.delivered_quantity), 0))
        .join(ReceiptRow, ReceiptRow.receipt_id == ReceiptLineRow.receipt_id)
        .join(
            PurchaseOrderLineRow,
            PurchaseOrderLineRow.purchase_order_line_id == ReceiptLineRow.purchase_order_line_id,
        )
        .where(
            ReceiptRow.agency_id == agency_id,
            ReceiptRow.status == "DELIVERED",
            ReceiptLineRow.treatment == Treatment.STOCK.value,
            PurchaseOrderLineRow.item_id == item_id,
        )
    )
    if warehouse_id is not None:
        query = query.where(ReceiptRow.warehouse_id == warehouse_id)
    return Decimal(session.execute(query).scalar_one())
