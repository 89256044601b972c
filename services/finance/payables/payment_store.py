"""SQL of payables in payment: requests (SPP, SPM), orders (SP2D), their items and withholdings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from chassis.money import Money
from services.finance.payables.domain import Source
from services.finance.payables.events import PaidItem


@dataclass(frozen=True)
class PayablePart:
    """A part of a payable with the segments of its budget line."""

    payable_id: UUID
    source: Source
    source_document_id: UUID
    document_line_id: UUID
    budget_line_id: UUID
    amount_minor: int
    net_minor: int
    tax_minor: int
    fund_code: str
    account_code: str
    currency: str
    foreign_currency: str | None = None
    foreign_minor: int | None = None
    # What its payment request counted into the releases, where rates may have changed the amount since.
    requested_minor: int | None = None

    @property
    def foreign(self) -> Money | None:
        """The amount as the creditor has it, when that is another currency."""
        if self.foreign_currency is None or self.foreign_minor is None:
            return None
        return Money(self.foreign_minor, self.foreign_currency)


def lock_payables(session: Session, payable_ids: Collection[UUID]) -> list[Row[Any]]:
    """Payables, locked in id order; NOT_FOUND for one that the caller does not see."""
    rows = session.execute(
        text("select * from payable where payable_id = any (cast(:ids as uuid[])) order by payable_id for update"),
        {"ids": list(payable_ids)},
    ).all()
    missing = set(payable_ids) - {row.payable_id for row in rows}
    if missing:
        raise NotFound.resource("payable", min(missing))
    return list(rows)


def parts(session: Session, payable_ids: Collection[UUID], *, credited: bool = False) -> list[PayablePart]:
    """The parts of payables, in a fixed order; with `credited` those too of which credit notes left nothing to pay."""
    rows = session.execute(
        text(
            """
            select p.payable_id, y.source, y.source_document_id, p.document_line_id, p.budget_line_id, p.amount_minor,
                   p.net_minor, p.tax_minor, b.fund_code, b.account_code, b.currency, y.foreign_currency,
                   p.foreign_minor, p.requested_minor
            from payable_part p join payable y using (payable_id)
            join budget_line b on b.budget_line_id = p.budget_line_id
            where p.payable_id = any (cast(:ids as uuid[])) and (p.amount_minor > 0 or :credited)
            order by p.payable_id, p.document_line_id
            """
        ),
        {"ids": list(payable_ids), "credited": credited},
    ).all()
    return [PayablePart(**{**row._mapping, "source": Source(row.source)}) for row in rows]


@dataclass(frozen=True)
class Cash:
    """A payable that moves no budget line: cash for an imprest, or a remittance of what was withheld as `code`."""

    payable_id: UUID
    source: Source
    fund_code: str
    amount_minor: int
    withholding_code: str | None = None


def cash(session: Session, payable_ids: Collection[UUID]) -> list[Cash]:
    """Those of these payables that move no budget line, in id order."""
    rows = session.execute(
        text(
            """
            select p.payable_id, p.source, p.fund_code, p.amount_minor, r.withholding_code
            from payable p left join withholding_remittance r using (payable_id)
            where p.payable_id = any (cast(:ids as uuid[])) and p.fund_code is not null order by p.payable_id
            """
        ),
        {"ids": list(payable_ids)},
    )
    return [Cash(**{**row._mapping, "source": Source(row.source)}) for row in rows]


def imprest_holders(session: Session, payment_request_id: UUID) -> list[UUID]:
    """Who holds the imprests to which a payment request brings cash."""
    return list(
        session.execute(
            text(
                """
                select distinct i.holder_person_id from payment_request_item r
                left join imprest_replenishment p using (payable_id)
                join imprest i on i.payable_id = r.payable_id or i.imprest_id = p.imprest_id
                where r.payment_request_id = :id order by 1
                """
            ),
            {"id": payment_request_id},
        ).scalars()
    )


def requested_for(session: Session, source_document_id: UUID) -> UUID | None:
    """The payment request that holds or has paid what a document opened as payables; None while none asked."""
    found: UUID | None = session.execute(
        text(
            "select payment_request_id from payable where source_document_id = :id and source <> 'RETENTION'"
            " and payment_request_id is not null order by payment_request_id desc limit 1"
        ),
        {"id": source_document_id},
    ).scalar()
    return found


def ordered_for(session: Session, payment_request_id: UUID) -> UUID | None:
    """The payment order that carries a request out; None while there is none."""
    found: UUID | None = session.execute(
        text("select payment_order_id from payment_request where payment_request_id = :id and status = 'ORDERED'"),
        {"id": payment_request_id},
    ).scalar()
    return found


def sent_by(session: Session, payment_order_id: UUID) -> UUID | None:
    """The payment run that an order is on its way in; None when it is in no live one, or the run is not seen."""
    found: UUID | None = session.execute(
        text("select payment_run_id from payment_instruction where payment_order_id = :id and live"),
        {"id": payment_order_id},
    ).scalar()
    return found


def line_codes(session: Session, budget_line_ids: Collection[UUID]) -> frozenset[tuple[str, str]]:
    """(organisation, account) of budget lines."""
    rows = session.execute(
        text(
            "select distinct organisation_code, account_code from budget_line"
            " where budget_line_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": list(budget_line_ids)},
    )
    return frozenset((row.organisation_code, row.account_code) for row in rows)


def voucher_amounts(session: Session, payable_ids: Collection[UUID]) -> dict[UUID, int]:
    """What the vouchers of replenishments spent, by budget line."""
    rows = session.execute(
        text(
            "select budget_line_id, sum(paid_minor)::bigint as amount from imprest_voucher"
            " where payable_id = any (cast(:ids as uuid[])) group by 1"
        ),
        {"ids": list(payable_ids)},
    )
    return {row.budget_line_id: row.amount for row in rows}


def payroll_withholdings(session: Session, payable_ids: Collection[UUID]) -> dict[str, int]:
    """What is withheld from payroll payables, by code."""
    rows = session.execute(
        text(
            "select withholding_code, sum(amount_minor)::bigint as amount from payable_withholding"
            " where payable_id = any (cast(:ids as uuid[])) group by withholding_code"
        ),
        {"ids": list(payable_ids)},
    )
    return {row.withholding_code: row.amount for row in rows}


def withholdings_of(session: Session, payable_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """What is withheld from each of these payables, by code."""
    found: dict[UUID, dict[str, int]] = {}
    for row in session.execute(
        text(
            "select payable_id, withholding_code, amount_minor from payable_withholding"
            " where payable_id = any (cast(:ids as uuid[])) order by payable_id, withholding_code"
        ),
        {"ids": list(payable_ids)},
    ):
        found.setdefault(row.payable_id, {})[row.withholding_code] = row.amount_minor
    return found


def move_payables(
    session: Session, payable_ids: Collection[UUID], status: str, payment_request_id: UUID | None
) -> None:
    """Write where payables stand."""
    session.execute(
        text(
            "update payable set status = :status, payment_request_id = cast(:request_id as uuid), version = version + 1"
            " where payable_id = any (cast(:ids as uuid[]))"
        ),
        {"status": status, "request_id": payment_request_id, "ids": list(payable_ids)},
    )


def insert(session: Session, table: str, values: Mapping[str, Any]) -> None:
    """Insert one row of a payment table (`table` is a name of ours, never a caller's)."""
    columns = ", ".join(values)
    session.execute(
        text(f"insert into {table} ({columns}) values ({', '.join(f':{name}' for name in values)})"),  # noqa: S608
        dict(values),
    )


def insert_items(
    session: Session,
    payment_order_id: UUID,
    agency_id: UUID,
    parts: Sequence[PayablePart],
    cash: Sequence[Cash],
    withheld: Mapping[str, int],
) -> None:
    """Insert what an order pays by payable, gross, and what it withholds by code."""
    sums: dict[UUID, int] = {}
    for part in parts:
        sums[part.payable_id] = sums.get(part.payable_id, 0) + part.amount_minor
    for one in cash:
        sums[one.payable_id] = one.amount_minor
    order = {"payment_order_id": payment_order_id, "agency_id": agency_id}
    for payable_id, amount in sums.items():
        insert(session, "payment_order_item", {**order, "payable_id": payable_id, "amount_minor": amount})
    for code, amount in sorted(withheld.items()):
        insert(session, "payment_order_withholding", {**order, "withholding_code": code, "amount_minor": amount})


def update_request(session: Session, payment_request_id: UUID, **changes: Any) -> None:
    """Change columns of a request; its version goes up."""
    _update(session, "payment_request", "payment_request_id", payment_request_id, changes)


def update_order(session: Session, payment_order_id: UUID, **changes: Any) -> None:
    """Change columns of an order; its version goes up."""
    _update(session, "payment_order", "payment_order_id", payment_order_id, changes)


def _update(session: Session, table: str, key: str, value: UUID, changes: Mapping[str, Any]) -> None:
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(f"update {table} set {sets}, version = version + 1 where {key} = :key"),  # noqa: S608
        {**changes, "key": value},
    )


_REQUEST = "select * from payment_request where payment_request_id = :id"
_ORDER = "select * from payment_order where payment_order_id = :id"


def request(session: Session, payment_request_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One request; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_REQUEST} for update" if lock else _REQUEST), {"id": payment_request_id}).first()
    if row is None:
        raise NotFound.resource("payment request", payment_request_id)
    return row


def order(session: Session, payment_order_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One order; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_ORDER} for update" if lock else _ORDER), {"id": payment_order_id}).first()
    if row is None:
        raise NotFound.resource("payment order", payment_order_id)
    return row


def orders(session: Session, payment_order_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """Orders by number."""
    return session.execute(
        text(
            "select * from payment_order where payment_order_id = any (cast(:ids as uuid[]))"
            " order by order_number, payment_order_id"
        ),
        {"ids": list(payment_order_ids)},
    ).all()


def request_payables(session: Session, payment_request_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """The payables of requests, in id order."""
    found: dict[UUID, list[UUID]] = {}
    for row in session.execute(
        text(
            "select payment_request_id, payable_id from payment_request_item"
            " where payment_request_id = any (cast(:ids as uuid[])) order by payment_request_id, payable_id"
        ),
        {"ids": list(payment_request_ids)},
    ):
        found.setdefault(row.payment_request_id, []).append(row.payable_id)
    return found


def order_withholdings(session: Session, payment_order_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """What orders withhold, by code."""
    found: dict[UUID, dict[str, int]] = {}
    for row in session.execute(
        text(
            "select payment_order_id, withholding_code, amount_minor from payment_order_withholding"
            " where payment_order_id = any (cast(:ids as uuid[])) order by payment_order_id, withholding_code"
        ),
        {"ids": list(payment_order_ids)},
    ):
        found.setdefault(row.payment_order_id, {})[row.withholding_code] = row.amount_minor
    return found


def order_items(session: Session, payment_order_ids: Collection[UUID]) -> dict[UUID, list[PaidItem]]:
    """What orders pay; `source_settled` when every payable of the order or run behind an item is paid."""
    found: dict[UUID, list[PaidItem]] = {}
    for row in session.execute(
        text(
            """
            select i.payment_order_id, i.payable_id, y.source, y.source_document_id, y.purchase_order_id,
                   y.contract_id, i.amount_minor, not exists (
                       select 1 from payable o
                       where o.status <> 'PAID'
                         and (o.purchase_order_id = y.purchase_order_id or o.contract_id = y.contract_id
                              or y.purchase_order_id is null and y.contract_id is null
                                 and o.source_document_id = y.source_document_id)
                   ) as settled
            from payment_order_item i join payable y using (payable_id)
            where i.payment_order_id = any (cast(:ids as uuid[]))
            order by i.payment_order_id, i.payable_id
            """
        ),
        {"ids": list(payment_order_ids)},
    ):
        found.setdefault(row.payment_order_id, []).append(
            PaidItem(
                row.payable_id,
                Source(row.source),
                row.source_document_id,
                row.purchase_order_id,
                row.amount_minor,
                row.settled,
                row.contract_id,
            )
        )
    return found


def items_of_payables(rows: Sequence[Row[Any]]) -> tuple[PaidItem, ...]:
    """Payables as items of an event."""
    return tuple(
        PaidItem(
            row.payable_id,
            Source(row.source),
            row.source_document_id,
            row.purchase_order_id,
            row.amount_minor,
            contract_id=row.contract_id,
        )
        for row in rows
    )


_PAGES = {"payable": "payable_id", "payment_request": "payment_request_id", "payment_order": "payment_order_id"}


def page(
    session: Session,
    table: str,
    *,
    agency_id: UUID | None,
    status: str,
    source_document_id: UUID | None = None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Rows of one of the tables of `_PAGES`, the newest id first."""
    key = _PAGES[table]
    of_source = (
        "(cast(:source_id as uuid) is null or source_document_id = :source_id) and" if table == "payable" else ""
    )
    return session.execute(
        text(
            f"""
            select * from {table}
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id) and {of_source}
                  (:status = '' or status = :status) and (cast(:after as uuid) is null or {key} < :after)
            order by {key} desc limit :limit
            """  # noqa: S608
        ),
        {
            "agency_id": agency_id,
            "status": status,
            **({"source_id": source_document_id} if of_source else {}),
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()


def payable(session: Session, payable_id: UUID) -> Row[Any]:
    """One payable; NOT_FOUND when the caller does not see it."""
    row = session.execute(text("select * from payable where payable_id = :id"), {"id": payable_id}).first()
    if row is None:
        raise NotFound.resource("payable", payable_id)
    return row
