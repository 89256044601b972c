"""What is done with receipts: load, decide, save, emit. Locks: order, receipt, then the agency's stock ledger."""

from __future__ import annotations

from datetime import date, datetime, time
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from services.logistics.catalog import store as catalog
from services.logistics.catalog.domain import Treatment
from services.logistics.etag import require_etag
from services.logistics.numbering.store import next_number
from services.logistics.ordering import domain as orders
from services.logistics.ordering import store as order_store
from services.logistics.ordering.domain import Acceptance, Order
from services.logistics.ordering.usecases import settle
from services.logistics.receiving import domain, store
from services.logistics.receiving.domain import Delivery, Inspection, Line, Receipt, Status, StockEntered
from services.logistics.requisition import store as requisition_store
from services.logistics.stock import store as stock_store
from services.logistics.stock import usecases as stock
from services.logistics.stock.domain import Draft, Kind, Position, lot_of

SERIES = "BAST"


def create_receipt(session: Session, delivery: Delivery, *, by: UUID, at: datetime, today: date) -> Receipt:
    """Write a delivery down: quantity under inspection, without value."""
    # The order's lock keeps a cancellation out until this delivery is seen by it.
    order = order_store.order_by_id(session, delivery.purchase_order_id, lock=True)
    orders.require_deliverable(order)
    if order.agency_id != delivery.agency_id:
        raise InvalidArgument.field("receipt.agency_id", "the order is another agency's")
    if delivery.delivered_on > today:
        raise InvalidArgument.field("receipt.delivered_on", f"{delivery.delivered_on} is in the future")
    lines = tuple(_line(session, delivery, order, nth) for nth in range(len(delivery.lines)))
    if delivery.warehouse_id is not None:
        stock_store.warehouse_by_id(session, delivery.warehouse_id, agency_id=delivery.agency_id)
    elif any(line.treatment is Treatment.STOCK for line in lines):
        raise InvalidArgument.field("receipt.warehouse_id", "stock lines need the warehouse that they go to")
    receipt = Receipt(
        receipt_id=new_id(),
        agency_id=delivery.agency_id,
        purchase_order_id=delivery.purchase_order_id,
        warehouse_id=delivery.warehouse_id,
        delivery_note=delivery.delivery_note,
        delivered_on=delivery.delivered_on,
        currency=order.currency,
        lines=lines,
        status=Status.DELIVERED,
        received_by_person_id=by,
        created_at=at,
    )
    store.insert_receipt(session, receipt)
    return receipt


def _line(session: Session, delivery: Delivery, order: Order, nth: int) -> Line:
    delivered = delivery.lines[nth]
    ordered = order.line(delivered.purchase_order_line_id)
    if ordered.treatment is Treatment.STOCK and ordered.item_id is not None:
        method = stock.stock_policy(catalog.item_by_id(session, ordered.item_id)).method
        lot_of(method, delivered.lot, f"receipt.lines[{nth}].lot")
    elif delivered.lot:
        raise InvalidArgument.field(f"receipt.lines[{nth}].lot", f"a {ordered.treatment} line has no lot")
    return Line(
        receipt_line_id=new_id(),
        purchase_order_line_id=ordered.purchase_order_line_id,
        treatment=ordered.treatment,
        delivered_quantity=delivered.quantity,
        lot=delivered.lot,
    )


def accept_receipt(
    session: Session,
    receipt_id: UUID,
    inspections: tuple[Inspection, ...],
    *,
    by: UUID,
    at: datetime,
    on: date,
    today: date,
    etag: str,
) -> Receipt:
    """Accept and reject delivered quantities: expenditure and stock begin here, in one transaction."""
    purchase_order_id = store.order_of(session, receipt_id)
    requisition_id = order_store.requisition_of(session, purchase_order_id)
    requisition = requisition_store.requisition_by_id(session, requisition_id, lock=True)
    order = order_store.order_by_id(session, purchase_order_id, lock=True)
    receipt = store.receipt_by_id(session, receipt_id, lock=True)
    require_etag(etag, receipt.version, f"receipt {receipt_id}")

    inspected = domain.inspect(receipt, inspections, by=by, at=at, on=on, today=today)
    if inspected.status is Status.REJECTED:
        store.update_receipt(session, inspected)
        return inspected
    accepted_order, acceptances = orders.accept(order, domain.accepted_quantities(inspected))
    accepted_lines = [line for line in inspected.lines if line.accepted_quantity]
    pairs = tuple(zip(accepted_lines, acceptances, strict=True))
    entered = _enter_stock(session, inspected, order, pairs, by=by, at=at)
    number = next_number(session, receipt.agency_id, SERIES, on.year)
    valued = domain.valued(inspected, pairs, entered, number)
    store.update_receipt(session, valued)
    order_store.update_order(session, accepted_order)
    outbox.emit(session, domain.GoodsAccepted(valued, accepted_order, pairs, entered))
    settle(session, requisition, accepted_order)
    return valued


def _effective_at(on: date, at: datetime) -> datetime:
    """When goods accepted on a day are there: now, or the beginning of that earlier day, before its issues."""
    return at if on == at.date() else datetime.combine(on, time.min, tzinfo=at.tzinfo)


def _enter_stock(
    session: Session,
    receipt: Receipt,
    order: Order,
    pairs: tuple[tuple[Line, Acceptance], ...],
    *,
    by: UUID,
    at: datetime,
) -> tuple[StockEntered, ...]:
    assert receipt.accepted_on is not None, "an inspected receipt has its day"
    effective_at = _effective_at(receipt.accepted_on, at)
    entered = []
    for line, acceptance in pairs:
        ordered = order.line(line.purchase_order_line_id)
        if line.treatment is not Treatment.STOCK or ordered.item_id is None or receipt.warehouse_id is None:
            continue
        draft = Draft(
            Kind.RECEIPT,
            Position(ordered.item_id, receipt.warehouse_id, line.lot),
            acceptance.quantity,
            effective_at,
            value_minor=acceptance.value.minor,
            receipt_id=receipt.receipt_id,
            purchase_order_line_id=ordered.purchase_order_line_id,
            budget_line_id=ordered.budget_line_id,
        )
        posted = stock.post(
            session,
            [draft],
            agency_id=receipt.agency_id,
            fund_code=ordered.fund_code,
            item=catalog.item_by_id(session, ordered.item_id),
            currency=receipt.currency,
            by=by,
            at=at,
        )
        movement = posted.movements[0]
        entered.append(StockEntered(line.receipt_line_id, movement.stock_movement_id, movement.stock_movement_number))
    return tuple(entered)
