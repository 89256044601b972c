"""The rows of requisitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import Session

from chassis.errors import NotFound
from chassis.money import Money
from services.logistics.catalog.domain import Treatment
from services.logistics.ordering.tables import PurchaseOrderRow
from services.logistics.requisition.domain import Line, Refusal, Requisition, Status
from services.logistics.requisition.tables import RequisitionLineRow, RequisitionRow


def refusal_json(refusal: Refusal | None) -> dict[str, Any] | None:
    """A refusal as it is kept on its document."""
    if refusal is None:
        return None
    return {**vars(refusal), "refused_at": refusal.refused_at.isoformat()}


def refusal_of(saved: dict[str, Any] | None) -> Refusal | None:
    """The refusal that is kept on a document."""
    if saved is None:
        return None
    return Refusal(saved["reason"], saved["message"], saved["figures"], datetime.fromisoformat(saved["refused_at"]))


def _line(row: RequisitionLineRow, currency: str) -> Line:
    return Line(
        requisition_line_id=row.requisition_line_id,
        item_id=row.item_id,
        description=row.description,
        quantity=row.quantity,
        estimated_unit_price=row.estimated_unit_price,
        tax_rate=row.tax_rate,
        budget_line_id=row.budget_line_id,
        fund_code=row.fund_code,
        treatment=Treatment(row.treatment),
        amount=Money(row.amount_minor, currency),
        ordered_quantity=row.ordered_quantity,
        closed=row.closed,
    )


def _requisitions(session: Session, rows: Iterable[RequisitionRow]) -> list[Requisition]:
    listed = list(rows)
    lines: dict[UUID, list[RequisitionLineRow]] = defaultdict(list)
    found = session.execute(
        select(RequisitionLineRow)
        .where(RequisitionLineRow.requisition_id.in_([row.requisition_id for row in listed]))
        .order_by(RequisitionLineRow.requisition_id, RequisitionLineRow.ordinal)
    ).scalars()
    for line in found:
        lines[line.requisition_id].append(line)
    return [
        Requisition(
            requisition_id=row.requisition_id,
            agency_id=row.agency_id,
            purpose=row.purpose,
            currency=row.currency,
            needed_on=row.needed_on,
            lines=tuple(_line(line, row.currency) for line in lines[row.requisition_id]),
            status=Status(row.status),
            requested_by_person_id=row.requested_by_person_id,
            created_at=row.created_at,
            requisition_number=row.requisition_number,
            approved_by_person_id=row.approved_by_person_id,
            approved_at=row.approved_at,
            cancelled_by_person_id=row.cancelled_by_person_id,
            cancel_cause=row.cancel_cause,
            refusal=refusal_of(row.refusal),
            version=row.version,
        )
        for row in listed
    ]


def requisition_by_id(session: Session, requisition_id: UUID, *, lock: bool = False) -> Requisition:
    """The requisition with its lines; NOT_FOUND when there is none that may be seen.

    With `lock` its row is held until the transaction ends; its lines change only under that lock.
    """
    row = session.get(
        RequisitionRow, requisition_id, with_for_update={"key_share": True} if lock else None, populate_existing=True
    )
    if row is None:
        raise NotFound.resource("requisition", requisition_id)
    return _requisitions(session, [row])[0]


def requisition_of_line(session: Session, requisition_line_id: UUID) -> UUID:
    """The requisition that a line belongs to; NOT_FOUND when there is none that may be seen."""
    found = session.execute(
        select(RequisitionLineRow.requisition_id).where(RequisitionLineRow.requisition_line_id == requisition_line_id)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound.resource("requisition line", requisition_line_id)
    return found


def _values(requisition: Requisition) -> dict[str, Any]:
    values = {name: value for name, value in vars(requisition).items() if name != "lines"}
    return {**values, "refusal": refusal_json(requisition.refusal), "amount_minor": requisition.amount.minor}


def insert_requisition(session: Session, requisition: Requisition) -> None:
    """Add a requisition with its lines."""
    session.add(RequisitionRow(**_values(requisition)))
    session.flush()
    for ordinal, line in enumerate(requisition.lines, 1):
        values = {name: value for name, value in vars(line).items() if name != "amount"}
        session.add(
            RequisitionLineRow(
                **values,
                requisition_id=requisition.requisition_id,
                agency_id=requisition.agency_id,
                ordinal=ordinal,
                amount_minor=line.amount.minor,
            )
        )
    session.flush()


def update_requisition(session: Session, requisition: Requisition) -> None:
    """Write the locked row, and what orders changed of its lines."""
    row = session.get_one(RequisitionRow, requisition.requisition_id)
    for name, value in _values(requisition).items():
        setattr(row, name, value)
    for line in requisition.lines:
        line_row = session.get_one(RequisitionLineRow, line.requisition_line_id)
        line_row.ordered_quantity, line_row.closed = line.ordered_quantity, line.closed
    session.flush()


# Orders in these states are between logistics and finance: what they hold of the requisition is not settled.
_IN_FLIGHT = ("PENDING", "CANCELLING")


def has_order_in_flight(session: Session, requisition_id: UUID) -> bool:
    """Whether an order of the requisition waits for finance."""
    count = session.execute(
        select(func.count())
        .select_from(PurchaseOrderRow)
        .where(PurchaseOrderRow.requisition_id == requisition_id, PurchaseOrderRow.status.in_(_IN_FLIGHT))
    ).scalar_one()
    return bool(count)


def all_orders_paid(session: Session, requisition_id: UUID) -> bool:
    """Whether the requisition has orders that went to their end, and each of them is paid."""
    statuses = session.execute(
        select(PurchaseOrderRow.status).where(
            PurchaseOrderRow.requisition_id == requisition_id,
            PurchaseOrderRow.status.not_in(("DRAFT", "REFUSED", "CANCELLED")),
        )
    ).scalars()
    found = set(statuses)
    return found == {"PAID"}


def requisitions_after(
    session: Session, after: UUID | None, limit: int, *, agency_id: UUID | None, status: str
) -> list[Requisition]:
    """Up to `limit` requisitions in the order of their ids, that is, of creation, after `after`."""
    query = select(RequisitionRow).order_by(RequisitionRow.requisition_id).limit(limit)
    if after is not None:
        query = query.where(RequisitionRow.requisition_id > after)
    if agency_id is not None:
        query = query.where(RequisitionRow.agency_id == agency_id)
    if status:
        query = query.where(RequisitionRow.status == status)
    return _requisitions(session, session.execute(query).scalars())
