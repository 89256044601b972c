"""SQL of offsets, and of what they change: the payable, the credit note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.payables.offsets.domain import SetOff


def insert(session: Session, values: Mapping[str, Any]) -> bool:
    """Insert an offset (`values` by column); False when its credit note is in a live one."""
    row = session.execute(
        text(
            f"insert into credit_offset ({', '.join(values)}) values ({', '.join(f':{name}' for name in values)})"  # noqa: S608
            " on conflict (credit_note_id) where status in ('PROPOSED', 'APPROVED') do nothing"
            " returning credit_offset_id"
        ),
        dict(values),
    ).first()
    return row is not None


def update(session: Session, credit_offset_id: UUID, **changes: Any) -> None:
    """Change columns of an offset; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(f"update credit_offset set {sets}, version = version + 1 where credit_offset_id = :id"),  # noqa: S608
        {**changes, "id": credit_offset_id},
    )


_READ = "select * from credit_offset where credit_offset_id = :id"


def get(session: Session, credit_offset_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One offset; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": credit_offset_id}).first()
    if row is None:
        raise NotFound.resource("credit offset", credit_offset_id)
    return row


def reduce_payable(session: Session, payable_id: UUID, shares: Sequence[tuple[UUID, UUID, SetOff]]) -> None:
    """What is set off is paid: a payable is smaller by (document line, budget line, what is set off).

    Price and tax stay as they are: what is withheld is taken of the whole.
    """
    session.execute(
        text(
            """
            update payable_part set amount_minor = amount_minor - :amount, foreign_minor = foreign_minor - :own
            where payable_id = :id and document_line_id = :document_line_id and budget_line_id = :budget_line_id
            """
        ),
        [
            {
                "id": payable_id,
                "document_line_id": document_line_id,
                "budget_line_id": budget_line_id,
                "amount": one.carried,
                "own": one.amount,
            }
            for document_line_id, budget_line_id, one in shares
        ],
    )
    session.execute(
        text(
            "update payable set amount_minor = amount_minor - :amount, offset_minor = offset_minor + :amount,"
            " foreign_minor = foreign_minor - :own, version = version + 1 where payable_id = :id"
        ),
        {
            "id": payable_id,
            "amount": sum(one.carried for _, _, one in shares),
            "own": sum(one.amount for _, _, one in shares),
        },
    )


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    payable_id: UUID | None,
    status: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Offsets, the newest id first."""
    return session.execute(
        text(
            """
            select * from credit_offset
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:payable_id as uuid) is null or payable_id = :payable_id)
              and (:status = '' or status = :status)
              and (cast(:after as uuid) is null or credit_offset_id < :after)
            order by credit_offset_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "payable_id": payable_id,
            "status": status,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
