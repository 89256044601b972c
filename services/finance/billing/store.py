"""SQL of contracts that are paid by bills."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.billing.domain import BilledLine, ContractLine
from services.finance.budget.foreign.held import ForeignActUnsupported


@dataclass(frozen=True)
class Obligation:
    """One line of an obligated contract."""

    document_line_id: UUID
    budget_line_id: UUID
    currency: str
    contract_number: str
    price_minor: int
    functional_currency: str


def obligations(session: Session, agency_id: UUID, contract_id: UUID) -> list[Obligation]:
    """The lines that a contract obligates in an agency, in a fixed order."""
    rows = session.execute(
        text(
            """
            select p.document_line_id, p.budget_line_id, coalesce(p.foreign_currency, b.currency) as currency,
                   p.document_number as contract_number, coalesce(p.foreign_total_minor, p.total_minor) as price_minor,
                   b.currency as functional_currency
            from funds_position p join budget_line b using (budget_line_id)
            where p.document_id = :contract_id and p.document_kind = 'CONTRACT' and p.agency_id = :agency_id
              and p.obligated_minor > 0
            order by p.document_line_id, p.budget_line_id
            """
        ),
        {"contract_id": contract_id, "agency_id": agency_id},
    )
    found = [Obligation(**row._mapping) for row in rows]
    currencies = sorted({one.currency for one in found})
    if len(currencies) > 1:
        raise ForeignActUnsupported(
            f"contract {found[0].contract_number} is held in {' and '.join(currencies)}: advances and bills are for "
            "contracts in one currency; pay it by acceptances and invoices",
            metadata={"currency": ",".join(currencies)},
        )
    return found


def insert(session: Session, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of one of this area's tables (`table` is a name of ours, never a caller's)."""
    if not rows:
        return
    columns = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    session.execute(text(f"insert into {table} ({columns}) values ({values})"), [dict(row) for row in rows])  # noqa: S608


def insert_once(session: Session, table: str, row: Mapping[str, Any]) -> bool:
    """Insert a row unless another one has its natural key, perhaps since a moment ago; whether it is new."""
    columns = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    statement = f"insert into {table} ({columns}) values ({values}) on conflict do nothing returning 1"  # noqa: S608
    return session.execute(text(statement), dict(row)).first() is not None


def terms(session: Session, *, contract_id: UUID | None = None, contract_terms_id: UUID | None = None) -> Row[Any]:
    """The terms of a contract; NOT_FOUND when the caller does not see them."""
    row = session.execute(
        text(
            "select * from contract_terms where (cast(:terms_id as uuid) is null or contract_terms_id = :terms_id)"
            " and (cast(:contract_id as uuid) is null or contract_id = :contract_id)"
        ),
        {"terms_id": contract_terms_id, "contract_id": contract_id},
    ).first()
    if row is None:
        raise NotFound.resource("contract terms", contract_terms_id or contract_id)
    return row


def lock_terms(session: Session, contract_id: UUID) -> Row[Any]:
    """The terms of a contract, locked: one bill or prepayment of a contract at a time."""
    row = session.execute(
        text("select * from contract_terms where contract_id = :id for update"), {"id": contract_id}
    ).first()
    if row is None:
        raise NotFound.resource("contract terms of contract", contract_id)
    return row


def touch_terms(session: Session, contract_id: UUID) -> None:
    """The sums of a contract have changed: its version goes up."""
    session.execute(
        text("update contract_terms set version = version + 1 where contract_id = :id"), {"id": contract_id}
    )


def add_to_price(session: Session, contract_id: UUID, more: int) -> None:
    """Lines have joined the terms of a contract: the price is the sum of all."""
    session.execute(
        text(
            "update contract_terms set price_minor = price_minor + :more, version = version + 1 where contract_id = :id"
        ),
        {"id": contract_id, "more": more},
    )


def lines(session: Session, contract_ids: Collection[UUID]) -> dict[UUID, list[ContractLine]]:
    """The lines of contracts with their sums to date; prepaid is what the bank has debited."""
    found: dict[UUID, list[ContractLine]] = {}
    rows = session.execute(
        text(
            """
            select l.contract_id, l.document_line_id, l.budget_line_id, l.price_minor,
                   paid.minor, l.billed_minor, l.recovered_minor, l.retained_minor,
                   paid.worth - coalesce(l.recovered_worth_minor, l.recovered_minor)
            from contract_line l
            cross join lateral (
                select coalesce(sum(coalesce(part.foreign_minor, part.amount_minor)), 0)::bigint as minor,
                       coalesce(sum(part.amount_minor), 0)::bigint as worth
                from prepayment a
                join payable y on y.payable_id = a.payable_id and y.status = 'PAID'
                join payable_part part on part.payable_id = y.payable_id
                                      and part.document_line_id = l.document_line_id
                where a.contract_id = l.contract_id
            ) paid
            where l.contract_id = any (cast(:ids as uuid[]))
            order by l.contract_id, l.document_line_id
            """
        ),
        {"ids": list(contract_ids)},
    )
    for contract_id, *values in rows:
        found.setdefault(contract_id, []).append(ContractLine(*values))
    return found


def prepaid_so_far(session: Session, contract_id: UUID) -> int:
    """All prepayments of a contract, whether paid yet or not."""
    found = session.execute(
        text("select coalesce(sum(amount_minor), 0)::bigint from prepayment where contract_id = :id"),
        {"id": contract_id},
    ).scalar_one()
    return int(found)


def add_bill(
    session: Session, contract_id: UUID, bill_id: UUID, billed: Sequence[BilledLine], worth: Sequence[int] | None
) -> None:
    """Add a certified bill to its contract's sums, and write what it recovers and retains.

    `worth` is what each line's recovered advance stood at, of a contract in another currency than the books'.
    """
    values = {
        "contract_id": contract_id,
        "bill_id": bill_id,
        "line_ids": [one.line.document_line_id for one in billed],
        "gross": [one.gross for one in billed],
        "recovered": [one.recovered for one in billed],
        "retained": [one.retained for one in billed],
        "worth": [None] * len(billed) if worth is None else list(worth),
    }
    session.execute(text(_ADD_TO_CONTRACT), values)
    session.execute(text(_WRITE_ON_BILL), values)


_ADD_TO_CONTRACT = """
    update contract_line l set billed_minor = l.billed_minor + v.gross,
           recovered_minor = l.recovered_minor + v.recovered, retained_minor = l.retained_minor + v.retained,
           recovered_worth_minor = case when v.worth is not null then coalesce(l.recovered_worth_minor, 0) + v.worth end
    from unnest(cast(:line_ids as uuid[]), cast(:gross as bigint[]), cast(:recovered as bigint[]),
                cast(:retained as bigint[]), cast(:worth as bigint[]))
         as v (line_id, gross, recovered, retained, worth)
    where l.contract_id = :contract_id and l.document_line_id = v.line_id
"""
_WRITE_ON_BILL = """
    update bill_line l set recovered_minor = v.recovered, retained_minor = v.retained, recovered_worth_minor = v.worth
    from unnest(cast(:line_ids as uuid[]), cast(:recovered as bigint[]), cast(:retained as bigint[]),
                cast(:worth as bigint[])) as v (line_id, recovered, retained, worth)
    where l.bill_id = :bill_id and l.document_line_id = v.line_id
"""


def bill(session: Session, bill_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One bill; NOT_FOUND when the caller does not see it."""
    query = "select * from bill where bill_id = :id"
    row = session.execute(text(f"{query} for update" if lock else query), {"id": bill_id}).first()
    if row is None:
        raise NotFound.resource("bill", bill_id)
    return row


def bill_lines(session: Session, bill_ids: Collection[UUID]) -> dict[UUID, list[Row[Any]]]:
    """The lines of bills."""
    found: dict[UUID, list[Row[Any]]] = {}
    for row in session.execute(
        text("select * from bill_line where bill_id = any (cast(:ids as uuid[])) order by bill_id, document_line_id"),
        {"ids": list(bill_ids)},
    ):
        found.setdefault(row.bill_id, []).append(row)
    return found


def update_bill(session: Session, bill_id: UUID, **changes: Any) -> None:
    """Change columns of a bill; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(f"update bill set {sets}, version = version + 1 where bill_id = :bill_id"),  # noqa: S608
        {**changes, "bill_id": bill_id},
    )


def prepayment(session: Session, prepayment_id: UUID) -> Row[Any]:
    """One prepayment; NOT_FOUND when the caller does not see it."""
    row = session.execute(text("select * from prepayment where prepayment_id = :id"), {"id": prepayment_id}).first()
    if row is None:
        raise NotFound.resource("prepayment", prepayment_id)
    return row


_KEYS = {"contract_terms": "contract_terms_id", "prepayment": "prepayment_id", "bill": "bill_id"}


def page(
    session: Session,
    table: str,
    *,
    agency_id: UUID | None,
    contract_id: UUID | None,
    status: str = "",
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Rows of one of the tables of `_KEYS`, the newest id first."""
    key = _KEYS[table]
    by_status = "and (:status = '' or status = :status)" if table == "bill" else ""
    return session.execute(
        text(
            f"""
            select * from {table}
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:contract_id as uuid) is null or contract_id = :contract_id) {by_status}
              and (cast(:after as uuid) is null or {key} < :after)
            order by {key} desc limit :limit
            """  # noqa: S608
        ),
        {
            "agency_id": agency_id,
            "contract_id": contract_id,
            **({"status": status} if by_status else {}),
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
