"""SQL of remittances, and of what payment orders withheld."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.payables.remittances.domain import Item, Withheld


def withheld(
    session: Session,
    agency_id: UUID,
    *,
    withholding_code: str,
    fund_code: str,
    currency: str,
    withheld_to: date,
    limit: int,
) -> list[Withheld]:
    """What debited orders of a treasury withheld of a kind up to a day, as far as the fund's is in no remittance: the
    oldest `limit` orders.

    They are locked, in one order, so that two remittances do not take the same amount.
    """
    rows = session.execute(
        text(
            """
            select o.payment_order_id, o.order_number, o.value_date, o.treasury_entry_id, w.amount_minor
            from payment_order o join payment_order_withholding w using (payment_order_id)
            where o.treasury_agency_id = :agency_id and o.status = 'DEBITED' and o.currency = :currency
              and o.value_date <= :until and w.withholding_code = :code
              and not exists (select 1 from withholding_remittance_item i
                              where i.payment_order_id = o.payment_order_id and i.live
                                and i.withholding_code = w.withholding_code and i.fund_code = :fund_code)
              and exists (select 1 from journal_line j where j.journal_entry_id = o.treasury_entry_id
                                                         and j.fund_code = :fund_code)
            order by o.value_date, o.order_number, o.payment_order_id limit :limit for update of o
            """
        ),
        {
            "agency_id": agency_id,
            "code": withholding_code,
            "fund_code": fund_code,
            "currency": currency,
            "until": withheld_to,
            "limit": limit,
        },
    ).all()
    gross = _gross_by_fund(session, [row.treasury_entry_id for row in rows])
    return [
        Withheld(row.payment_order_id, row.order_number, row.value_date, row.amount_minor, gross[row.treasury_entry_id])
        for row in rows
    ]


def _gross_by_fund(session: Session, entry_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """What orders' treasury legs debit, by fund: their gross amounts."""
    found: dict[UUID, dict[str, int]] = {}
    for row in session.execute(
        text(
            """
            select journal_entry_id, fund_code, sum(coalesce(functional_debit_minor, debit_minor))::bigint as gross
            from journal_line where journal_entry_id = any (cast(:ids as uuid[])) group by 1, 2
            having sum(coalesce(functional_debit_minor, debit_minor)) > 0
            """
        ),
        {"ids": list(entry_ids)},
    ):
        found.setdefault(row.journal_entry_id, {})[row.fund_code] = row.gross
    return found


def remitted(session: Session, payment_order_ids: Collection[UUID], withholding_code: str) -> set[tuple[UUID, str]]:
    """(payment order, fund) of what is in a live remittance. Asked after the orders are locked."""
    rows = session.execute(
        text(
            "select payment_order_id, fund_code from withholding_remittance_item"
            " where payment_order_id = any (cast(:ids as uuid[])) and withholding_code = :code and live"
        ),
        {"ids": list(payment_order_ids), "code": withholding_code},
    )
    return {(row.payment_order_id, row.fund_code) for row in rows}


def insert(session: Session, values: Mapping[str, Any], items: Sequence[Item]) -> None:
    """Insert a remittance (`values` by column) with what it collects."""
    session.execute(
        text(
            f"insert into withholding_remittance ({', '.join(values)})"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)})"
        ),
        dict(values),
    )
    session.execute(
        text(
            """
            insert into withholding_remittance_item (withholding_remittance_id, payment_order_id, agency_id,
                                                     withholding_code, fund_code, amount_minor, live)
            values (:remittance_id, :payment_order_id, :agency_id, :code, :fund_code, :amount, true)
            """
        ),
        [
            {
                "remittance_id": values["withholding_remittance_id"],
                "payment_order_id": item.payment_order_id,
                "agency_id": values["agency_id"],
                "code": values["withholding_code"],
                "fund_code": item.fund_code,
                "amount": item.amount,
            }
            for item in items
        ],
    )


def update(session: Session, withholding_remittance_id: UUID, **changes: Any) -> None:
    """Change columns of a remittance; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(
            f"update withholding_remittance set {sets}, version = version + 1"  # noqa: S608
            " where withholding_remittance_id = :id"
        ),
        {**changes, "id": withholding_remittance_id},
    )


def free(session: Session, withholding_remittance_id: UUID) -> None:
    """Let another remittance take what this one collected."""
    session.execute(
        text("update withholding_remittance_item set live = false where withholding_remittance_id = :id"),
        {"id": withholding_remittance_id},
    )


_READ = "select * from withholding_remittance where withholding_remittance_id = :id"


def get(session: Session, withholding_remittance_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One remittance; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": withholding_remittance_id}).first()
    if row is None:
        raise NotFound.resource("withholding remittance", withholding_remittance_id)
    return row


def of_receipt(session: Session, agency_id: UUID, receipt_number: str) -> UUID | None:
    """The remittance of an entity that has a receipt number. Receipts of the entity wait for one another from here."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('receipts:' || cast(:id as text), 0))"),
        {"id": str(agency_id)},
    )
    found: UUID | None = session.execute(
        text(
            "select withholding_remittance_id from withholding_remittance"
            " where agency_id = :agency_id and receipt_number = :number"
        ),
        {"agency_id": agency_id, "number": receipt_number},
    ).scalar()
    return found


def of_payables(session: Session, payable_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The remittances that these payables pay, in id order, locked."""
    return session.execute(
        text(
            "select * from withholding_remittance where payable_id = any (cast(:ids as uuid[]))"
            " order by withholding_remittance_id for update"
        ),
        {"ids": list(payable_ids)},
    ).all()


def items(session: Session, withholding_remittance_ids: Collection[UUID]) -> dict[UUID, list[Row[Any]]]:
    """What remittances collect, in the order of the payment orders' ids."""
    found: dict[UUID, list[Row[Any]]] = {}
    for row in session.execute(
        text(
            "select * from withholding_remittance_item where withholding_remittance_id = any (cast(:ids as uuid[]))"
            " order by withholding_remittance_id, payment_order_id"
        ),
        {"ids": list(withholding_remittance_ids)},
    ):
        found.setdefault(row.withholding_remittance_id, []).append(row)
    return found


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    withholding_code: str,
    status: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Remittances, the newest id first."""
    return session.execute(
        text(
            """
            select * from withholding_remittance
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (:code = '' or withholding_code = :code) and (:status = '' or status = :status)
              and (cast(:after as uuid) is null or withholding_remittance_id < :after)
            order by withholding_remittance_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "code": withholding_code,
            "status": status,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
