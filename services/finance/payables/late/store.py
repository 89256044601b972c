"""SQL of payables past their due date."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.payables.late.domain import Charged, Fall

# A payable with the day up to which it was unpaid; one that credit notes left nothing of, up to the last of them.
_OWED = """
    select p.payable_id, p.agency_id, p.source, p.source_document_id, p.source_document_number, p.creditor, p.currency,
           p.amount_minor, p.due_on, d.value_date as paid_on,
           least(coalesce(d.value_date, c.credited_on, :as_of), :as_of) as until
    from payable p
    left join lateral (
        select o.value_date from payment_order_item i join payment_order o using (payment_order_id)
        where i.payable_id = p.payable_id and o.status = 'DEBITED'
    ) d on true
    left join lateral (
        select max(e.effective_on) as credited_on
        from credit_note n join journal_entry e using (journal_entry_id)
        where p.status = 'CREDITED' and n.invoice_id = p.source_document_id and n.status = 'APPROVED'
    ) c on true
"""


def page(
    session: Session, *, agency_id: UUID, as_of: date, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Suppliers' payables that were not paid on their due date: still owed on `as_of`, or paid or credited late.

    `until` is the last day on which anything was owed: that of the bank's debit or of the credit that left nothing, or
    `as_of`. Received-not-invoiced has no due date (domain rules §3).
    """
    return session.execute(
        text(
            f"""
            select * from (
                {_OWED} where p.agency_id = :agency_id and p.source in ('INVOICE', 'BILL')
                  and (cast(:after as uuid) is null or p.payable_id < :after)
            ) owed
            where until > due_on
            order by payable_id desc limit :limit
            """  # noqa: S608
        ),
        {"agency_id": agency_id, "as_of": as_of, "after": after[0] if after else None, "limit": limit},
    ).all()


def owed(session: Session, payable_id: UUID, *, as_of: date) -> Row[Any] | None:
    """A supplier's payable with the last day on which anything was owed; None for a payable of another kind.

    The caller has locked it.
    """
    return session.execute(
        text(f"{_OWED} where p.payable_id = :id and p.source in ('INVOICE', 'BILL')"),
        {"id": payable_id, "as_of": as_of},
    ).first()


def falls(session: Session, payable_ids: Collection[UUID]) -> dict[UUID, list[Fall]]:
    """By payable, what approved offsets and credit notes took off it, in the currency of the books, and when.

    Of a debt in another currency that is what the share stood at when it went.
    """
    found: dict[UUID, list[Fall]] = {payable_id: [] for payable_id in payable_ids}
    for row in session.execute(
        text(
            """
            select payable_id, effective_on as on_day, coalesce(functional_minor, amount_minor) as amount
            from credit_offset where payable_id = any (cast(:ids as uuid[])) and status = 'APPROVED'
            union all
            select i.payable_id, e.effective_on, sum(coalesce(l.carried_minor, l.amount_minor))::bigint
            from invoice i
            join credit_note c on c.invoice_id = i.invoice_id and c.status = 'APPROVED'
            join journal_entry e using (journal_entry_id)
            join credit_note_line l on l.credit_note_id = c.credit_note_id
            where i.invoice_id in (select source_document_id from payable
                                   where payable_id = any (cast(:ids as uuid[])) and source = 'INVOICE')
            group by c.credit_note_id, i.payable_id, e.effective_on
            """
        ),
        {"ids": list(payable_ids)},
    ):
        found[row.payable_id].append(Fall(row.on_day, row.amount))
    return found


def charged(session: Session, payable_id: UUID) -> Charged:
    """What live charges of a payable hold."""
    row = session.execute(
        text(
            "select max(until_on) as until, coalesce(sum(amount_minor), 0)::bigint as amount,"
            " min(from_on) filter (where status = 'PROPOSED') as pending from late_interest_charge"
            " where late_payable_id = :id and status in ('PROPOSED', 'APPROVED')"
        ),
        {"id": payable_id},
    ).one()
    return Charged(row.until, row.amount, row.pending)


def insert(session: Session, values: Mapping[str, Any]) -> None:
    """Insert a charge (`values` by column)."""
    session.execute(
        text(
            f"insert into late_interest_charge ({', '.join(values)})"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)})"
        ),
        dict(values),
    )


def update(session: Session, late_interest_charge_id: UUID, **changes: Any) -> None:
    """Change columns of a charge; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(
            f"update late_interest_charge set {sets}, version = version + 1"  # noqa: S608
            " where late_interest_charge_id = :id"
        ),
        {**changes, "id": late_interest_charge_id},
    )


_READ = "select * from late_interest_charge where late_interest_charge_id = :id"


def get(session: Session, late_interest_charge_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One charge; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": late_interest_charge_id}).first()
    if row is None:
        raise NotFound.resource("late interest charge", late_interest_charge_id)
    return row


def charges(
    session: Session,
    *,
    agency_id: UUID | None,
    late_payable_id: UUID | None,
    status: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Charges, the newest id first."""
    return session.execute(
        text(
            """
            select * from late_interest_charge
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:payable_id as uuid) is null or late_payable_id = :payable_id)
              and (:status = '' or status = :status)
              and (cast(:after as uuid) is null or late_interest_charge_id < :after)
            order by late_interest_charge_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "payable_id": late_payable_id,
            "status": status,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
