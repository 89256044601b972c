"""What is done with purchase orders: load, decide, save, emit. The requisition is locked before its order."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session

from chassis import outbox, saga
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from chassis.money import Money
from services.logistics.etag import require_etag
from services.logistics.numbering.store import next_number
from services.logistics.ordering import domain, store
from services.logistics.ordering.domain import AskedOrder, Line, Order, Status
from services.logistics.pricing.domain import line_amount
from services.logistics.requisition import domain as requisitions
from services.logistics.requisition import store as requisition_store
from services.logistics.requisition.domain import Refusal, Requisition
from services.logistics.requisition.usecases import FINANCE_DEADLINE
from services.logistics.requisition.usecases import settle as settle_requisition
from services.logistics.supplier import store as suppliers
from services.logistics.supplier.domain import require_orderable

SERIES = "PO"
OBLIGATE, RELEASE = "order.obligate", "order.release"


def create_order(session: Session, asked: AskedOrder, *, by: UUID, at: datetime, on: date) -> Order:
    """Write an order down, from lines of one approved requisition of the agency."""
    supplier = suppliers.supplier_by_id(session, asked.supplier_id, lock="share")
    require_orderable(supplier, on)
    requisition_id = requisition_store.requisition_of_line(session, asked.lines[0].requisition_line_id)
    requisition = requisition_store.requisition_by_id(session, requisition_id)
    if requisition.agency_id != asked.agency_id:
        raise InvalidArgument.field("purchase_order.agency_id", "the requisition is another agency's")
    order = Order(
        purchase_order_id=new_id(),
        agency_id=asked.agency_id,
        requisition_id=requisition_id,
        supplier_id=supplier.supplier_id,
        legal_entity_id=supplier.legal_entity_id,
        currency=requisition.currency,
        deliver_by=asked.deliver_by,
        lines=_lines(asked, requisition),
        status=Status.DRAFT,
        made_by_person_id=by,
        created_at=at,
    )
    # Judged now so that its maker hears of it, and again under the lock when it is signed.
    requisitions.take(requisition, order.takings)
    store.insert_order(session, order)
    return order


def _lines(asked: AskedOrder, requisition: Requisition) -> tuple[Line, ...]:
    ours = {line.requisition_line_id: line for line in requisition.lines}
    lines = []
    for nth, line in enumerate(asked.lines):
        requested = ours.get(line.requisition_line_id)
        if requested is None:
            raise InvalidArgument.field(
                f"purchase_order.lines[{nth}].requisition_line_id",
                "an order fulfils lines of one requisition; make another order for the other one's",
            )
        rate = requested.tax_rate if line.tax_rate is None else line.tax_rate
        lines.append(
            Line(
                purchase_order_line_id=new_id(),
                requisition_line_id=line.requisition_line_id,
                item_id=requested.item_id,
                description=requested.description,
                quantity=line.quantity,
                unit_price=line.unit_price,
                tax_rate=rate,
                budget_line_id=requested.budget_line_id,
                fund_code=requested.fund_code,
                treatment=requested.treatment,
                amount=line_amount(line.quantity, line.unit_price, rate, requisition.currency),
                final=line.final,
            )
        )
    return tuple(lines)


def _locked(session: Session, purchase_order_id: UUID) -> tuple[Requisition, Order]:
    requisition_id = store.requisition_of(session, purchase_order_id)
    requisition = requisition_store.requisition_by_id(session, requisition_id, lock=True)
    return requisition, store.order_by_id(session, purchase_order_id, lock=True)


def _start(session: Session, kind: str, order: Order, by: UUID, state: dict[str, object]) -> None:
    saga.start(
        session,
        kind=kind,
        document_id=order.purchase_order_id,
        agency_id=order.agency_id,
        person_id=by,
        state=state,
        deadline=FINANCE_DEADLINE,
    )


def approve_order(session: Session, purchase_order_id: UUID, *, by: UUID, at: datetime, on: date, etag: str) -> Order:
    """Sign, take the quantities from the requisition, and ask finance to obligate the funds in a saga."""
    requisition, order = _locked(session, purchase_order_id)
    require_etag(etag, order.version, f"order {purchase_order_id}")
    require_orderable(suppliers.supplier_by_id(session, order.supplier_id, lock="share"), on)
    number = order.purchase_order_number or next_number(session, order.agency_id, SERIES, on.year)
    signed = domain.sign(order, by=by, at=at, on=on, number=number)
    requisition_store.update_requisition(session, requisitions.take(requisition, order.takings))
    store.update_order(session, signed)
    _start(session, OBLIGATE, signed, by, {})
    return signed


def record_obligation(session: Session, purchase_order_id: UUID, *, refusal: Refusal | None) -> Order:
    """Finance answered: the order is issued, or refused with figures and its quantities given back."""
    requisition, order = _locked(session, purchase_order_id)
    if refusal is None:
        answered = domain.obligated(order)
        store.update_order(session, answered)
        outbox.emit(session, domain.PurchaseOrderIssued(answered))
    else:
        answered = domain.refused(order, refusal)
        store.update_order(session, answered)
        requisition_store.update_requisition(session, requisitions.give_back(requisition, order.takings))
        outbox.emit(session, domain.PurchaseOrderRefused(answered))
    return answered


def cancel_order(session: Session, purchase_order_id: UUID, *, by: UUID, cause: str, on: date, etag: str) -> Order:
    """Cancel what has not been accepted; what is obligated is freed by finance in a saga.

    An order of which nothing was accepted opens its reservation again, unless the requisition was cancelled by an act
    of its own; the rest of a partly delivered one becomes available (domain rules §2, N1; §9).
    """
    requisition, order = _locked(session, purchase_order_id)
    require_etag(etag, order.version, f"order {purchase_order_id}")
    inspecting = store.has_delivery_under_inspection(session, purchase_order_id)
    cancelled = domain.cancel(order, by=by, cause=cause, under_inspection=inspecting)
    store.update_order(session, cancelled)
    if cancelled.status is Status.CANCELLING:
        restore = not order.anything_accepted and requisition.cancelled_by_person_id is None
        _start(session, RELEASE, cancelled, by, {"effective_on": on.isoformat(), "restore_liquidated": restore})
    else:
        outbox.emit(session, domain.PurchaseOrderCancelled(cancelled, ()))
    return cancelled


def record_release(session: Session, purchase_order_id: UUID) -> Order:
    """Finance freed what was still obligated."""
    requisition, order = _locked(session, purchase_order_id)
    released, cancelled_lines = domain.released(order)
    store.update_order(session, released)
    outbox.emit(session, domain.PurchaseOrderCancelled(released, cancelled_lines))
    if released.status is Status.CANCELLED:
        requisition_store.update_requisition(session, requisitions.give_back(requisition, order.takings))
    return settle(session, requisition, released)


def settle(session: Session, requisition: Requisition, order: Order) -> Order:
    """Mark the locked order as paid when it is, and then its requisition."""
    paid = domain.settle(order)
    if paid is None:
        return order
    store.update_order(session, paid)
    outbox.emit(session, domain.PurchaseOrderPaid(paid))
    settle_requisition(session, requisition)
    return paid


def record_invoice(
    session: Session, purchase_order_id: UUID, lines: tuple[tuple[UUID, Decimal, Money], ...]
) -> tuple[Order, Order]:
    """Finance approved an invoice: quantities and amounts by order line. The order before and after."""
    requisition, before = _locked(session, purchase_order_id)
    order = before
    for purchase_order_line_id, quantity, amount in lines:
        order = domain.invoice(order, purchase_order_line_id, quantity, amount)
    store.update_order(session, order)
    return before, settle(session, requisition, order)


def record_credit(
    session: Session, purchase_order_id: UUID, lines: tuple[domain.CreditedLine, ...], *, replaced: bool
) -> Order:
    """Finance approved a credit note: what it takes back by order line. The order after it."""
    requisition, order = _locked(session, purchase_order_id)
    for line in lines:
        order = domain.credit(order, line, replaced=replaced)
    store.update_order(session, order)
    return settle(session, requisition, order)


def record_payment(session: Session, purchase_order_id: UUID, amount: Money) -> Order:
    """The bank debited a payment on the order."""
    requisition, order = _locked(session, purchase_order_id)
    paid = domain.pay(order, amount)
    store.update_order(session, paid)
    return settle(session, requisition, paid)
