"""SQL of held invoices' exceptions. Instants are the database's: `recorded_at` and deadlines live on real time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.payables.domain import HoldReason
from services.finance.payables.exceptions.domain import Action


def now(session: Session) -> datetime:
    """The start of the transaction by the database's clock."""
    found: datetime = session.execute(text("select now()")).scalar_one()
    return found


def insert(
    session: Session,
    *,
    invoice_exception_id: UUID,
    invoice: Row[Any],
    reasons: Sequence[HoldReason],
    owner_person_id: UUID | None,
    due_at: datetime,
) -> None:
    """Open the exception of a held invoice (`invoice` is its row), with the first step of its history."""
    session.execute(
        text(
            """
            insert into invoice_exception (invoice_exception_id, agency_id, invoice_id, supplier_id,
                supplier_invoice_number, registered_by_person_id, reasons, owner_person_id, opened_at, due_at, status,
                version)
            values (:id, :agency_id, :invoice_id, :supplier_id, :number, :registrant, cast(:reasons as text[]), :owner,
                    now(), :due_at, 'OPEN', 1)
            """
        ),
        {
            "id": invoice_exception_id,
            "agency_id": invoice.agency_id,
            "invoice_id": invoice.invoice_id,
            "supplier_id": invoice.supplier_id,
            "number": invoice.supplier_invoice_number,
            "registrant": invoice.created_by_person_id,
            "reasons": [reason.value for reason in reasons],
            "owner": owner_person_id,
            "due_at": due_at,
        },
    )
    note(session, invoice_exception_id, Action.OPENED, by_person_id=None, explanation="")


def update(session: Session, invoice_exception_id: UUID, **changes: Any) -> None:
    """Change columns of an exception; its version goes up. `reasons` are names of HoldReason."""
    sets = ", ".join(
        f"{name} = cast(:{name} as text[])" if name == "reasons" else f"{name} = :{name}" for name in changes
    )
    session.execute(
        text(f"update invoice_exception set {sets}, version = version + 1 where invoice_exception_id = :id"),  # noqa: S608
        {**changes, "id": invoice_exception_id},
    )


def note(
    session: Session, invoice_exception_id: UUID, action: Action, *, by_person_id: UUID | None, explanation: str
) -> None:
    """Write what led to the exception's present version into its history."""
    session.execute(
        text(
            """
            insert into invoice_exception_step (invoice_exception_id, version, agency_id, action, by_person_id,
                owner_person_id, due_at, explanation, recorded_at)
            select invoice_exception_id, version, agency_id, :action, :by, owner_person_id, due_at, :explanation, now()
            from invoice_exception where invoice_exception_id = :id
            """
        ),
        {"id": invoice_exception_id, "action": action.value, "by": by_person_id, "explanation": explanation},
    )


def open_of(session: Session, invoice_id: UUID) -> Row[Any] | None:
    """The open exception of an invoice, locked. The invoice's order is locked before."""
    return session.execute(
        text("select * from invoice_exception where invoice_id = :id and status = 'OPEN' for update"),
        {"id": invoice_id},
    ).first()


_READ = "select * from invoice_exception where invoice_exception_id = :id"


def get(session: Session, invoice_exception_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One exception; NOT_FOUND when the caller does not see it."""
    found = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": invoice_exception_id}).first()
    if found is None:
        raise NotFound.resource("invoice exception", invoice_exception_id)
    return found


def steps(session: Session, invoice_exception_ids: Sequence[UUID]) -> dict[UUID, list[Row[Any]]]:
    """The histories of exceptions, oldest step first."""
    found: dict[UUID, list[Row[Any]]] = {one: [] for one in invoice_exception_ids}
    for row in session.execute(
        text(
            "select * from invoice_exception_step where invoice_exception_id = any (cast(:ids as uuid[]))"
            " order by invoice_exception_id, version"
        ),
        {"ids": list(invoice_exception_ids)},
    ):
        found[row.invoice_exception_id].append(row)
    return found


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    owner_person_id: UUID | None,
    unassigned: bool,
    reason: str,
    status: str,
    age_days_min: int,
    overdue: bool,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Exceptions, the oldest first; age and overdue are asked of the database's clock."""
    return session.execute(
        text(
            """
            select * from invoice_exception
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:owner as uuid) is null or owner_person_id = :owner)
              and (not :unassigned or owner_person_id is null)
              and (:reason = '' or :reason = any (reasons))
              and (:status = '' or status = :status)
              and opened_at <= now() - make_interval(days => :age)
              and (not :overdue or status = 'OPEN' and due_at < now())
              and (cast(:after as uuid) is null or invoice_exception_id > :after)
            order by invoice_exception_id limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "owner": owner_person_id,
            "unassigned": unassigned,
            "reason": reason,
            "status": status,
            "age": age_days_min,
            "overdue": overdue,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
