"""SQL of debts in foreign currencies: what is owed follows the ledger's revaluation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.payables import ordering_store

if TYPE_CHECKING:
    from services.finance.payables.journals import Accepted


def lock_debts(session: Session, document_line_ids: Collection[UUID]) -> None:
    """Lock what is owed under document lines as their own acts do: orders first, then payables in id order."""
    ids = {"ids": list(document_line_ids)}
    orders = session.execute(
        text(
            "select distinct purchase_order_id from purchase_order_line"
            " where purchase_order_line_id = any (cast(:ids as uuid[])) order by 1"
        ),
        ids,
    ).scalars()
    for purchase_order_id in orders.all():
        ordering_store.lock_order(session, purchase_order_id)
    session.execute(
        text(
            """
            select 1 from payable where payable_id in (
                select payable_id from payable_part
                where document_line_id = any (cast(:ids as uuid[])) and foreign_minor is not null)
            order by payable_id for update
            """
        ),
        ids,
    )


def uninvoiced(session: Session, document_line_ids: Collection[UUID]) -> dict[UUID, int]:
    """What received-not-invoiced of order lines in foreign currencies stands at."""
    rows = session.execute(
        text(
            "select purchase_order_line_id, uninvoiced_minor from purchase_order_line"
            " where purchase_order_line_id = any (cast(:ids as uuid[])) and foreign_currency is not null"
        ),
        {"ids": list(document_line_ids)},
    )
    return {row.purchase_order_line_id: row.uninvoiced_minor or 0 for row in rows}


def save_uninvoiced(session: Session, amounts: Mapping[UUID, int]) -> None:
    """Write what received-not-invoiced of order lines stands at now."""
    session.execute(
        text(
            """
            update purchase_order_line o set uninvoiced_minor = v.amount
            from unnest(cast(:ids as uuid[]), cast(:amounts as bigint[])) as v (id, amount)
            where o.purchase_order_line_id = v.id
            """
        ),
        {"ids": list(amounts), "amounts": list(amounts.values())},
    )


def add_uninvoiced(session: Session, accepted: Sequence[Accepted]) -> None:
    """Note what acceptances in foreign currencies add to received-not-invoiced of their order lines."""
    for one in accepted:
        session.execute(
            text(
                "update purchase_order_line set foreign_currency = :currency,"
                " uninvoiced_minor = coalesce(uninvoiced_minor, 0) + :amount,"
                " uninvoiced_cost_minor = coalesce(uninvoiced_cost_minor, 0) + :amount"
                " where purchase_order_line_id = :id"
            ),
            {
                "id": one.tag.document_line_id,
                "currency": None if one.foreign is None else one.foreign.currency,
                "amount": one.amount,
            },
        )


def take_uninvoiced(
    session: Session, purchase_order_line_id: UUID, invoice_line_id: UUID, *, amount: int, cost: int, variance: int
) -> None:
    """Note that an approved invoice named the claim for `amount` of received-not-invoiced, whose goods had this `cost`.

    The invoice's line keeps what its goods were recorded at: the cost, and the variance at the day's rate.
    """
    session.execute(
        text(
            "update purchase_order_line set uninvoiced_minor = uninvoiced_minor - :amount,"
            " uninvoiced_cost_minor = uninvoiced_cost_minor - :cost where purchase_order_line_id = :id"
        ),
        {"id": purchase_order_line_id, "amount": amount, "cost": cost},
    )
    session.execute(
        text(
            "update invoice_line set cost_minor = :cost + :variance, cleared_cost_minor = :cost"
            " where invoice_line_id = :id"
        ),
        {"id": invoice_line_id, "cost": cost, "variance": variance},
    )


def note_requested(session: Session, payable_ids: Collection[UUID]) -> None:
    """Remember what a payment request counted into the releases, whatever later rates make of the debt."""
    session.execute(
        text(
            "update payable_part set requested_minor = amount_minor"
            " where payable_id = any (cast(:ids as uuid[])) and foreign_minor is not null"
        ),
        {"ids": list(payable_ids)},
    )


def unpaid_parts(session: Session, document_line_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The parts in foreign currencies of payables that no payment order has taken up, in a fixed order."""
    return session.execute(
        text(
            """
            select t.payable_id, t.document_line_id, t.budget_line_id, t.amount_minor, t.net_minor, t.tax_minor,
                   t.foreign_minor, p.source, b.account_code
            from payable_part t join payable p using (payable_id)
            join budget_line b on b.budget_line_id = t.budget_line_id
            where t.document_line_id = any (cast(:ids as uuid[])) and t.foreign_minor is not null
              and p.status in ('OPEN', 'REQUESTED')
            order by t.payable_id, t.document_line_id
            """
        ),
        {"ids": list(document_line_ids)},
    ).all()


def save_parts(session: Session, parts: Sequence[tuple[UUID, UUID, UUID, int, int, int]]) -> None:
    """Write what parts (payable, document line, budget line, amount, net, tax) stand at, and their payables' sums."""
    columns = list(zip(*parts, strict=True))
    session.execute(
        text(
            """
            update payable_part t set amount_minor = v.amount, net_minor = v.net, tax_minor = v.tax
            from unnest(cast(:p as uuid[]), cast(:d as uuid[]), cast(:b as uuid[]), cast(:a as bigint[]),
                        cast(:n as bigint[]), cast(:t as bigint[])) as v (p, d, b, amount, net, tax)
            where (t.payable_id, t.document_line_id, t.budget_line_id) = (v.p, v.d, v.b)
            """
        ),
        dict(zip("pdbant", map(list, columns), strict=True)),
    )
    session.execute(
        text(
            """
            update payable p set version = p.version + 1, amount_minor = t.total
            from (select payable_id, sum(amount_minor)::bigint as total from payable_part
                  where payable_id = any (cast(:ids as uuid[])) group by 1) t
            where p.payable_id = t.payable_id and p.amount_minor <> t.total
            """
        ),
        {"ids": list(columns[0])},
    )
