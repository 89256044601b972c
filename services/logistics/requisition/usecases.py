"""What is done with requisitions: load, decide, save, emit."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from chassis import outbox, saga
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from services.logistics.catalog import store as catalog
from services.logistics.catalog.domain import Item
from services.logistics.etag import require_etag
from services.logistics.numbering.store import next_number
from services.logistics.pricing.domain import line_amount
from services.logistics.requisition import domain, store
from services.logistics.requisition.domain import AskedLine, AskedRequisition, Line, Refusal, Requisition, Status

SERIES = "REQ"
RESERVE, RELEASE = "requisition.reserve", "requisition.release"
# Finance answers within seconds; after this a person must look at it.
FINANCE_DEADLINE = timedelta(hours=1)


def _line(asked: AskedLine, item: Item | None, currency: str, field: str) -> Line:
    if item is not None:
        item.require_active()
    description = asked.description or (item.display_name if item else "")
    if not description:
        raise InvalidArgument.field(f"{field}.description", "say what is asked for, or name an item")
    return Line(
        requisition_line_id=new_id(),
        item_id=asked.item_id,
        description=description,
        quantity=asked.quantity,
        estimated_unit_price=asked.estimated_unit_price,
        tax_rate=asked.tax_rate,
        budget_line_id=asked.budget_line_id,
        fund_code=asked.fund_code,
        treatment=domain.treatment_of(item.treatment if item else None, asked.treatment, f"{field}.treatment"),
        amount=line_amount(asked.quantity, asked.estimated_unit_price, asked.tax_rate, currency).gross,
    )


def create_requisition(session: Session, asked: AskedRequisition, *, by: UUID, at: datetime) -> Requisition:
    """Write a requisition down; no funds move."""
    items = catalog.items_by_id(session, [line.item_id for line in asked.lines if line.item_id])
    lines = tuple(
        _line(line, items[line.item_id] if line.item_id else None, asked.currency, f"requisition.lines[{nth}]")
        for nth, line in enumerate(asked.lines)
    )
    requisition = Requisition(
        requisition_id=new_id(),
        agency_id=asked.agency_id,
        purpose=asked.purpose,
        currency=asked.currency,
        needed_on=asked.needed_on,
        lines=lines,
        status=Status.DRAFT,
        requested_by_person_id=by,
        created_at=at,
    )
    store.insert_requisition(session, requisition)
    return requisition


def approve_requisition(
    session: Session, requisition_id: UUID, *, by: UUID, at: datetime, on: date, etag: str
) -> Requisition:
    """Approve, and ask finance for the funds in a saga; the answer is recorded by `record_reservation`."""
    requisition = store.requisition_by_id(session, requisition_id, lock=True)
    require_etag(etag, requisition.version, f"requisition {requisition_id}")
    number = requisition.requisition_number or next_number(session, requisition.agency_id, SERIES, on.year)
    approved = domain.approve(requisition, by=by, at=at, number=number)
    store.update_requisition(session, approved)
    saga.start(
        session,
        kind=RESERVE,
        document_id=requisition_id,
        agency_id=requisition.agency_id,
        person_id=by,
        state={"effective_on": on.isoformat()},
        deadline=FINANCE_DEADLINE,
    )
    return approved


def record_reservation(session: Session, requisition_id: UUID, *, refusal: Refusal | None) -> Requisition:
    """Finance answered: the funds are reserved, or refused with figures."""
    requisition = store.requisition_by_id(session, requisition_id, lock=True)
    if refusal is None:
        answered = domain.reserved(requisition)
        store.update_requisition(session, answered)
        outbox.emit(session, domain.RequisitionApproved(answered))
    else:
        answered = domain.refused(requisition, refusal)
        store.update_requisition(session, answered)
        outbox.emit(session, domain.RequisitionRefused(answered))
    return answered


def cancel_requisition(
    session: Session, requisition_id: UUID, *, by: UUID, cause: str, on: date, etag: str
) -> Requisition:
    """Cancel what has not been ordered; what is reserved is freed by finance in a saga."""
    requisition = store.requisition_by_id(session, requisition_id, lock=True)
    require_etag(etag, requisition.version, f"requisition {requisition_id}")
    in_flight = store.has_order_in_flight(session, requisition_id)
    cancelled = domain.cancel(requisition, by=by, cause=cause, order_pending=in_flight)
    store.update_requisition(session, cancelled)
    if cancelled.status is Status.CANCELLING:
        saga.start(
            session,
            kind=RELEASE,
            document_id=requisition_id,
            agency_id=requisition.agency_id,
            person_id=by,
            state={"effective_on": on.isoformat()},
            deadline=FINANCE_DEADLINE,
        )
    else:
        outbox.emit(session, domain.RequisitionCancelled(cancelled))
    return cancelled


def record_release(session: Session, requisition_id: UUID) -> Requisition:
    """Finance freed what was still reserved."""
    requisition = store.requisition_by_id(session, requisition_id, lock=True)
    released = domain.released(requisition)
    store.update_requisition(session, released)
    outbox.emit(session, domain.RequisitionCancelled(released))
    return settle(session, released)


def settle(session: Session, requisition: Requisition) -> Requisition:
    """Mark the locked requisition as paid when everything is ordered and every order is paid."""
    paid = domain.settle(requisition, all_orders_paid=store.all_orders_paid(session, requisition.requisition_id))
    if paid is None:
        return requisition
    store.update_requisition(session, paid)
    outbox.emit(session, domain.RequisitionPaid(paid))
    return paid
