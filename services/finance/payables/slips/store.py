"""SQL of withholding slips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound


def insert(session: Session, values: Mapping[str, Any]) -> None:
    """Write a slip that waits for its number."""
    session.execute(
        text(
            f"insert into withholding_slip ({', '.join(values)})"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)})"
        ),
        dict(values),
    )


def creditor_of(session: Session, payment_order_id: UUID) -> str:
    """Whom the order pays: a request is of one creditor."""
    return str(
        session.execute(
            text(
                "select min(creditor) from payment_order_item join payable using (payable_id)"
                " where payment_order_id = :id"
            ),
            {"id": payment_order_id},
        ).scalar_one()
    )


# A slip with what of it is withheld no more, since credit notes took back a part of what was paid.
_READ = """
    select s.*, (
        select coalesce(sum(w.amount_minor), 0)::bigint
        from payment_order_item i
        join payable p using (payable_id)
        join credit_note n on n.invoice_id = p.source_document_id
        join credit_note_withholding w on w.credit_note_id = n.credit_note_id
        where i.payment_order_id = s.payment_order_id and w.withholding_code = s.withholding_code
    ) as corrected_minor
    from withholding_slip s
"""


def slips(session: Session, withholding_slip_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """These slips, in id order."""
    return session.execute(
        text(f"{_READ} where s.withholding_slip_id = any (cast(:ids as uuid[])) order by s.withholding_slip_id"),
        {"ids": list(withholding_slip_ids)},
    ).all()


def get(session: Session, withholding_slip_id: UUID) -> Row[Any]:
    """One slip; NOT_FOUND when the caller does not see it."""
    found = slips(session, [withholding_slip_id])
    if not found:
        raise NotFound.resource("withholding slip", withholding_slip_id)
    return found[0]


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    payment_order_id: UUID | None,
    withholding_code: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Slips, the newest id first."""
    return session.execute(
        text(
            f"""
            {_READ}
            where (cast(:agency_id as uuid) is null or s.agency_id = :agency_id)
              and (cast(:order_id as uuid) is null or s.payment_order_id = :order_id)
              and (:code = '' or s.withholding_code = :code)
              and (cast(:after as uuid) is null or s.withholding_slip_id < :after)
            order by s.withholding_slip_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "order_id": payment_order_id,
            "code": withholding_code,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
