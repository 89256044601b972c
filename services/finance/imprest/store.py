"""SQL of imprests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.imprest.domain import Figures


def insert(session: Session, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of one of this area's tables (`table` is a name of ours, never a caller's)."""
    if not rows:
        return
    columns = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    session.execute(text(f"insert into {table} ({columns}) values ({values})"), [dict(row) for row in rows])  # noqa: S608


def lock_agency(session: Session, agency_id: UUID) -> None:
    """One new imprest of an agency at a time."""
    session.execute(text("select pg_advisory_xact_lock(5107103, hashtext(:id))"), {"id": str(agency_id)})


def clashing(session: Session, agency_id: UUID, kind: str, fiscal_year: int) -> Row[Any] | None:
    """The standing imprest of that year, or the additional one that is open."""
    return session.execute(
        text(
            """
            select * from imprest
            where agency_id = :agency_id and kind = :kind
              and (kind = 'STANDING' and fiscal_year = :year or kind = 'ADDITIONAL' and status = 'OPEN')
            """
        ),
        {"agency_id": agency_id, "kind": kind, "year": fiscal_year},
    ).first()


def imprest(session: Session, imprest_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One imprest; NOT_FOUND when the caller does not see it."""
    query = "select * from imprest where imprest_id = :id"
    row = session.execute(text(f"{query} for update" if lock else query), {"id": imprest_id}).first()
    if row is None:
        raise NotFound.resource("imprest", imprest_id)
    return row


def lines(session: Session, imprest_ids: Collection[UUID]) -> dict[UUID, list[Row[Any]]]:
    """The budget lines of additional imprests."""
    return _grouped(
        session,
        "select * from imprest_line where imprest_id = any (cast(:ids as uuid[])) order by imprest_id, budget_line_id",
        imprest_ids,
    )


def figures(session: Session, imprest_ids: Collection[UUID]) -> dict[UUID, Figures]:
    """The sums of imprests: what debited payment orders brought, and what their vouchers took."""
    rows = session.execute(
        text(
            """
            select i.imprest_id, coalesce(b.brought, 0) as brought, coalesce(v.approved, 0) as approved,
                   coalesce(v.paid, 0) as paid, coalesce(v.not_validated, 0) as not_validated, i.returned_minor
            from imprest i
            left join lateral (
                select sum(y.amount_minor)::bigint as brought from payable y
                where y.status = 'PAID'
                  and (y.payable_id = i.payable_id
                       or y.payable_id in (select payable_id from imprest_replenishment r
                                           where r.imprest_id = i.imprest_id))
            ) b on true
            left join lateral (
                select sum(amount_minor) filter (where status = 'APPROVED')::bigint as approved,
                       sum(paid_minor) filter (where status in ('PAID', 'CLAIMED', 'VALIDATED'))::bigint as paid,
                       sum(paid_minor) filter (where status in ('PAID', 'CLAIMED'))::bigint as not_validated
                from imprest_voucher v where v.imprest_id = i.imprest_id
            ) v on true
            where i.imprest_id = any (cast(:ids as uuid[]))
            """
        ),
        {"ids": list(imprest_ids)},
    )
    return {imprest_id: Figures(*sums) for imprest_id, *sums in rows}


def line_free(session: Session, imprest_id: UUID, budget_line_id: UUID) -> tuple[UUID, int] | None:
    """The reservation of an additional imprest on a budget line, and what of it no voucher took; None: not its line."""
    row = session.execute(
        text(
            """
            select l.document_line_id,
                   (l.amount_minor - coalesce(sum(case when v.status = 'APPROVED' then v.amount_minor
                                                       else v.paid_minor end)
                                              filter (where v.status <> 'CANCELLED'), 0))::bigint as free
            from imprest_line l
            left join imprest_voucher v on v.imprest_id = l.imprest_id and v.budget_line_id = l.budget_line_id
            where l.imprest_id = :imprest_id and l.budget_line_id = :budget_line_id
            group by l.document_line_id, l.amount_minor
            """
        ),
        {"imprest_id": imprest_id, "budget_line_id": budget_line_id},
    ).first()
    return None if row is None else (row.document_line_id, row.free)


@dataclass(frozen=True)
class Voucher:
    """A voucher with the segments of its budget line."""

    imprest_voucher_id: UUID
    imprest_id: UUID
    agency_id: UUID
    budget_line_id: UUID
    document_line_id: UUID
    paid_minor: int
    fund_code: str
    account_code: str
    currency: str


_VOUCHERS = """
    select v.imprest_voucher_id, v.imprest_id, v.agency_id, v.budget_line_id, v.document_line_id, v.paid_minor,
           b.fund_code, b.account_code, b.currency
    from imprest_voucher v join budget_line b using (budget_line_id)
"""


def paid_vouchers(session: Session, imprest_id: UUID) -> list[Voucher]:
    """The vouchers of an imprest that are paid and in no replenishment, in id order."""
    rows = session.execute(
        text(_VOUCHERS + "where v.imprest_id = :id and v.status = 'PAID' order by v.imprest_voucher_id"),
        {"id": imprest_id},
    )
    return [Voucher(*row) for row in rows]


def claimed_vouchers(session: Session, payable_ids: Collection[UUID]) -> list[Voucher]:
    """The vouchers that replenishments claim, in id order."""
    rows = session.execute(
        text(_VOUCHERS + "where v.payable_id = any (cast(:ids as uuid[])) order by v.imprest_voucher_id"),
        {"ids": list(payable_ids)},
    )
    return [Voucher(*row) for row in rows]


def move_vouchers(session: Session, ids: Collection[UUID], status: str, payable_id: UUID | None = None) -> None:
    """Write where vouchers stand; with `payable_id`, which replenishment claims them."""
    session.execute(
        text(
            "update imprest_voucher set status = :status, payable_id = coalesce(cast(:payable_id as uuid), payable_id)"
            " where imprest_voucher_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": list(ids), "status": status, "payable_id": payable_id},
    )


def voucher(session: Session, imprest_voucher_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One voucher; NOT_FOUND when the caller does not see it."""
    query = "select * from imprest_voucher where imprest_voucher_id = :id"
    row = session.execute(text(f"{query} for update" if lock else query), {"id": imprest_voucher_id}).first()
    if row is None:
        raise NotFound.resource("imprest voucher", imprest_voucher_id)
    return row


def unfinished(session: Session, imprest_id: UUID) -> list[str]:
    """What an imprest waits for before it can be settled, in words; empty when it can."""
    rows = session.execute(
        text(
            """
            select format('purchase from %s is approved and not paid', payee) from imprest_voucher
            where imprest_id = :id and status = 'APPROVED'
            union all
            select case when y.payable_id = i.payable_id then format('its own cash is %s', y.status)
                        else format('a replenishment is %s', y.status) end
            from imprest i
            join payable y on y.payable_id = i.payable_id
                           or y.payable_id in (select payable_id from imprest_replenishment r
                                               where r.imprest_id = i.imprest_id)
            where i.imprest_id = :id and y.status <> 'PAID'
            limit 10
            """
        ),
        {"id": imprest_id},
    )
    return [str(row[0]) for row in rows]


def currencies(session: Session, imprest_ids: Collection[UUID]) -> dict[UUID, str]:
    """The currencies of imprests."""
    rows = session.execute(
        text("select imprest_id, currency from imprest where imprest_id = any (cast(:ids as uuid[]))"),
        {"ids": list(imprest_ids)},
    )
    return {row.imprest_id: row.currency for row in rows}


_KEYS = {"imprest": "imprest_id", "imprest_voucher": "imprest_voucher_id"}


def update(session: Session, table: str, key: UUID, **changes: Any) -> None:
    """Change columns of an imprest or a voucher."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    version = ", version = version + 1" if table == "imprest" else ""
    session.execute(
        text(f"update {table} set {sets}{version} where {_KEYS[table]} = :key"),  # noqa: S608
        {**changes, "key": key},
    )


def page(
    session: Session,
    table: str,
    *,
    agency_id: UUID | None,
    imprest_id: UUID | None = None,
    status: str = "",
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Imprests or vouchers, the newest id first."""
    key = _KEYS[table]
    own = (
        "and (cast(:imprest_id as uuid) is null or imprest_id = :imprest_id) and (:status = '' or status = :status)"
        if table == "imprest_voucher"
        else ""
    )
    return session.execute(
        text(
            f"""
            select * from {table}
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id) {own}
              and (cast(:after as uuid) is null or {key} < :after)
            order by {key} desc limit :limit
            """  # noqa: S608
        ),
        {
            "agency_id": agency_id,
            **({"imprest_id": imprest_id, "status": status} if own else {}),
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()


def _grouped(session: Session, query: str, ids: Collection[UUID]) -> dict[UUID, list[Row[Any]]]:
    found: dict[UUID, list[Row[Any]]] = {}
    for row in session.execute(text(query), {"ids": list(ids)}):
        found.setdefault(row[0], []).append(row)
    return found
