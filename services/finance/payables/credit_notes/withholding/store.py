"""SQL of what is withheld no more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.payables.credit_notes.withholding.domain import Base


@dataclass(frozen=True)
class Correction:
    """What of one kind is withheld no more of one line."""

    purchase_order_line_id: UUID
    withholding_code: str
    fund_code: str
    amount: int


def insert(session: Session, credit_note_id: UUID, agency_id: UUID, corrections: Sequence[Correction]) -> None:
    """Keep what an approved note corrects."""
    if not corrections:
        return
    session.execute(
        text(
            """
            insert into credit_note_withholding (credit_note_id, purchase_order_line_id, withholding_code, agency_id,
                                                 fund_code, amount_minor)
            values (:credit_note_id, :line_id, :code, :agency_id, :fund_code, :amount)
            """
        ),
        [
            {
                "credit_note_id": credit_note_id,
                "line_id": one.purchase_order_line_id,
                "code": one.withholding_code,
                "agency_id": agency_id,
                "fund_code": one.fund_code,
                "amount": one.amount,
            }
            for one in corrections
        ],
    )


def of_note(session: Session, credit_note_id: UUID) -> list[Correction]:
    """What a note corrects, in a fixed order."""
    rows = session.execute(
        text(
            "select purchase_order_line_id, withholding_code, fund_code, amount_minor from credit_note_withholding"
            " where credit_note_id = :id order by fund_code, withholding_code, purchase_order_line_id"
        ),
        {"id": credit_note_id},
    )
    return [Correction(*row) for row in rows]


def by_code(session: Session, credit_note_id: UUID) -> dict[str, int]:
    """What a note corrects, by code."""
    found: dict[str, int] = {}
    for one in of_note(session, credit_note_id):
        found[one.withholding_code] = found.get(one.withholding_code, 0) + one.amount
    return found


def earlier(session: Session, invoice_id: UUID) -> dict[UUID, Base]:
    """By order line, what approved notes credited of a paid invoice since its payment."""
    rows = session.execute(
        text(
            """
            select l.purchase_order_line_id, sum(l.amount_minor - l.tax_minor - l.rounding_minor)::bigint as net,
                   sum(l.tax_minor)::bigint as tax
            from credit_note c join credit_note_line l using (credit_note_id)
            where c.invoice_id = :id and c.status in ('RECEIVABLE', 'REFUNDED', 'OFFSET') group by 1
            """
        ),
        {"id": invoice_id},
    )
    return {row.purchase_order_line_id: Base(row.net, row.tax) for row in rows}


def set_off(session: Session, payable_ids: Collection[UUID]) -> dict[str, int]:
    """By code, what is withheld no more of the credits that were set off against these payables."""
    rows = session.execute(
        text(
            """
            select w.withholding_code, sum(w.amount_minor)::bigint as amount
            from credit_offset o join credit_note_withholding w using (credit_note_id)
            where o.payable_id = any (cast(:ids as uuid[])) and o.status = 'APPROVED' group by 1
            """
        ),
        {"ids": list(payable_ids)},
    )
    return {row.withholding_code: row.amount for row in rows}


def order_of(session: Session, payable_id: UUID) -> Row[Any]:
    """The debited order that paid a payable."""
    return session.execute(
        text(
            """
            select o.payment_order_id, o.payment_request_id, o.issued_on, o.currency
            from payment_order_item i join payment_order o using (payment_order_id)
            where i.payable_id = :id and o.status = 'DEBITED'
            """
        ),
        {"id": payable_id},
    ).one()


def waiting(
    session: Session, agency_id: UUID, *, withholding_code: str, fund_code: str, currency: str, until: date
) -> Sequence[Row[Any]]:
    """What a treasury (`agency_id`) withholds no more of a kind in a fund and is in no live remittance: of refunds up
    to a day. Locked, in one order, so that two remittances are not less by the same."""
    return session.execute(
        text(
            """
            select w.credit_note_id, w.purchase_order_line_id, w.amount_minor
            from credit_note_withholding w join credit_note c using (credit_note_id)
            where w.withholding_code = :code and w.fund_code = :fund_code and w.withholding_remittance_id is null
              and c.treasury_agency_id = :agency_id and c.status = 'REFUNDED' and c.refunded_on <= :until
              and coalesce(c.functional_currency, c.currency) = :currency
            order by w.credit_note_id, w.purchase_order_line_id for update of w
            """
        ),
        {
            "agency_id": agency_id,
            "code": withholding_code,
            "fund_code": fund_code,
            "currency": currency,
            "until": until,
        },
    ).all()


def take(
    session: Session, withholding_remittance_id: UUID, withholding_code: str, corrections: Sequence[Row[Any]]
) -> None:
    """Note that a remittance is less by these `waiting` ones, which are locked."""
    session.execute(
        text(
            """
            update credit_note_withholding w set withholding_remittance_id = :id
            from unnest(cast(:notes as uuid[]), cast(:lines as uuid[])) as v (note_id, line_id)
            where w.credit_note_id = v.note_id and w.purchase_order_line_id = v.line_id and w.withholding_code = :code
            """
        ),
        {
            "id": withholding_remittance_id,
            "code": withholding_code,
            "notes": [one.credit_note_id for one in corrections],
            "lines": [one.purchase_order_line_id for one in corrections],
        },
    )


def free(session: Session, withholding_remittance_id: UUID) -> None:
    """Let another remittance be less by what this one took."""
    session.execute(
        text(
            "update credit_note_withholding set withholding_remittance_id = null where withholding_remittance_id = :id"
        ),
        {"id": withholding_remittance_id},
    )
