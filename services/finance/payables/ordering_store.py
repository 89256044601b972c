"""SQL of what logistics told: orders, acceptances, stock movements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.money import exponent
from services.finance.budget.store import exact
from services.finance.payables.domain import OrderLine

if TYPE_CHECKING:
    from services.finance.payables.receiving import AcceptedLine, Order, StockMovement


def lock_order(session: Session, purchase_order_id: UUID) -> None:
    """One act on an order at a time: receipts and invoices of one order line meet here, whichever came first."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('order:' || cast(:id as text), 0))"),
        {"id": str(purchase_order_id)},
    )


def save_order(session: Session, order: Order) -> None:
    """Keep an issued order. A line that an acceptance made known before is completed."""
    session.execute(
        text(
            """
            insert into purchase_order (purchase_order_id, agency_id, purchase_order_number, supplier_id,
                                        legal_entity_id, currency)
            values (:id, :agency_id, :number, :supplier_id, :legal_entity_id, :currency)
            on conflict (purchase_order_id) do nothing
            """
        ),
        {
            "id": order.purchase_order_id,
            "agency_id": order.agency_id,
            "number": order.purchase_order_number,
            "supplier_id": order.supplier_id,
            "legal_entity_id": order.legal_entity_id,
            "currency": order.currency,
        },
    )
    for line in order.lines:
        session.execute(
            text(
                """
                insert into purchase_order_line (purchase_order_line_id, agency_id, purchase_order_id, budget_line_id,
                    treatment, item_id, description, ordered, quantity, unit_price, tax_rate, amount_minor,
                    accepted_quantity, accepted_minor, cancelled_quantity, cleared_quantity, cleared_minor)
                values (:id, :agency_id, :order_id, :budget_line_id, :treatment, :item_id, :description, true,
                        :quantity, :unit_price, :tax_rate, :amount, 0, 0, 0, 0, 0)
                on conflict (purchase_order_line_id) do update set ordered = true,
                    description = excluded.description, quantity = excluded.quantity,
                    unit_price = excluded.unit_price, tax_rate = excluded.tax_rate,
                    amount_minor = excluded.amount_minor
                """
            ),
            {
                "id": line.purchase_order_line_id,
                "agency_id": order.agency_id,
                "order_id": order.purchase_order_id,
                "budget_line_id": line.budget_line_id,
                "treatment": line.treatment.name,
                "item_id": line.item_id,
                "description": line.description,
                "quantity": exact(line.quantity),
                "unit_price": exact(line.unit_price),
                "tax_rate": exact(line.tax_rate),
                "amount": line.amount_minor,
            },
        )


def save_acceptance(session: Session, agency_id: UUID, purchase_order_id: UUID, lines: Sequence[AcceptedLine]) -> None:
    """Keep what has been accepted of each order line so far; the order itself may be unknown yet."""
    for line in lines:
        session.execute(
            text(
                """
                insert into purchase_order_line (purchase_order_line_id, agency_id, purchase_order_id, budget_line_id,
                    treatment, item_id, description, ordered, quantity, unit_price, tax_rate, amount_minor,
                    accepted_quantity, accepted_minor, cancelled_quantity, cleared_quantity, cleared_minor)
                values (:id, :agency_id, :order_id, :budget_line_id, :treatment, :item_id, '', false,
                        :ordered_quantity, :unit_price, 0, 0, :accepted_quantity, :accepted, 0, 0, 0)
                on conflict (purchase_order_line_id) do update set
                    accepted_quantity = greatest(purchase_order_line.accepted_quantity, excluded.accepted_quantity),
                    accepted_minor = greatest(purchase_order_line.accepted_minor, excluded.accepted_minor)
                """
            ),
            {
                "id": line.purchase_order_line_id,
                "agency_id": agency_id,
                "order_id": purchase_order_id,
                "budget_line_id": line.budget_line_id,
                "treatment": line.treatment.name,
                "item_id": line.item_id,
                "ordered_quantity": exact(line.ordered_quantity),
                "unit_price": exact(line.unit_price),
                "accepted_quantity": exact(line.cumulative_quantity),
                "accepted": line.cumulative_minor,
            },
        )


def cancel(session: Session, cancelled: Sequence[tuple[UUID, Fraction]]) -> None:
    """Note what of order lines was cancelled; the funds were freed by logistics' own call."""
    for line_id, quantity in cancelled:
        session.execute(
            text(
                "update purchase_order_line set cancelled_quantity = cancelled_quantity + :quantity"
                " where purchase_order_line_id = :id"
            ),
            {"id": line_id, "quantity": exact(quantity)},
        )


def order(session: Session, purchase_order_id: UUID) -> Row[Any] | None:
    """An issued order; None while its event has not come."""
    return session.execute(
        text("select * from purchase_order where purchase_order_id = :id"), {"id": purchase_order_id}
    ).first()


def order_lines(
    session: Session, purchase_order_id: UUID, currency: str, *, without_invoice_id: UUID | None = None
) -> dict[UUID, tuple[OrderLine, Row[Any]]]:
    """The order's lines with what counted invoices, less credit notes, claimed of them so far, and their rows.

    What went back counts as not accepted; what allowances and charges changed of a line is a part of its price.
    """
    rows = session.execute(
        text(
            """
            select l.*, coalesce(i.quantity, 0) - coalesce(c.quantity, 0) as invoiced_quantity,
                   coalesce(i.price_difference, 0) - coalesce(c.price_difference, 0) as difference
            from purchase_order_line l left join lateral (
                select sum(n.quantity) as quantity,
                       sum((n.unit_price - l.unit_price) * n.quantity
                           + (n.net_minor - round(n.quantity * n.unit_price * :minor)) * :unit) as price_difference
                from invoice_line n join invoice v using (invoice_id)
                where n.purchase_order_line_id = l.purchase_order_line_id
                  and v.status in ('MATCHED', 'APPROVED', 'PAID')
                  and (cast(:without as uuid) is null or v.invoice_id <> :without)
            ) i on true left join lateral (
                select sum(n.quantity) as quantity, sum(n.price_difference) as price_difference
                from credit_note_line n join credit_note v using (credit_note_id)
                where n.purchase_order_line_id = l.purchase_order_line_id
                  and v.status in ('APPROVED', 'RECEIVABLE', 'REFUNDED', 'OFFSET')
            ) c on true
            where l.purchase_order_id = :id and l.ordered order by l.purchase_order_line_id
            """
        ),
        {
            "id": purchase_order_id,
            "without": without_invoice_id,
            "minor": Decimal(10) ** exponent(currency),
            "unit": Decimal(1).scaleb(-exponent(currency)),
        },
    ).all()
    found: dict[UUID, tuple[OrderLine, Row[Any]]] = {}
    for row in rows:
        line = OrderLine(
            purchase_order_line_id=row.purchase_order_line_id,
            currency=currency,
            quantity=Fraction(row.quantity),
            unit_price=Fraction(row.unit_price),
            tax_rate=Fraction(row.tax_rate),
            amount=row.amount_minor,
            accepted_quantity=Fraction(row.accepted_quantity) - Fraction(row.returned_quantity),
            accepted=row.accepted_minor - row.returned_minor,
            invoiced_quantity=Fraction(row.invoiced_quantity),
            cleared_quantity=Fraction(row.cleared_quantity),
            cleared=row.cleared_minor,
        )
        difference = Fraction(row.difference) * line.minor_per_unit
        found[row.purchase_order_line_id] = (replace(line, price_difference=difference), row)
    return found


def budget_lines(session: Session, purchase_order_line_ids: Sequence[UUID]) -> set[UUID]:
    """The budget lines that order lines are charged to."""
    rows = session.execute(
        text(
            "select distinct budget_line_id from purchase_order_line"
            " where purchase_order_line_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": list(purchase_order_line_ids)},
    )
    return set(rows.scalars())


def clear(session: Session, line_id: UUID, quantity: Fraction, cleared_minor: int) -> None:
    """Note that an approved invoice named the claim for so much of the accepted value."""
    session.execute(
        text(
            "update purchase_order_line set cleared_quantity = cleared_quantity + :quantity,"
            " cleared_minor = cleared_minor + :cleared where purchase_order_line_id = :id"
        ),
        {"id": line_id, "quantity": exact(quantity), "cleared": cleared_minor},
    )


def receipt_known(session: Session, receipt_id: UUID) -> bool:
    """Whether the acceptance has been accrued: the natural key behind the inbox."""
    found = session.execute(text("select 1 from goods_receipt where receipt_id = :id"), {"id": receipt_id}).first()
    return found is not None


def insert_receipt(
    session: Session,
    *,
    receipt_id: UUID,
    agency_id: UUID,
    purchase_order_id: UUID,
    receipt_number: str,
    accepted_on: date,
    value_minor: int,
    journal_entry_id: UUID,
) -> None:
    """Keep an accrued acceptance."""
    session.execute(
        text(
            """
            insert into goods_receipt (receipt_id, agency_id, purchase_order_id, receipt_number, accepted_on,
                                       value_minor, journal_entry_id, recorded_at)
            values (:id, :agency_id, :order_id, :number, :accepted_on, :value, :entry_id, transaction_timestamp())
            """
        ),
        {
            "id": receipt_id,
            "agency_id": agency_id,
            "order_id": purchase_order_id,
            "number": receipt_number,
            "accepted_on": accepted_on,
            "value": value_minor,
            "entry_id": journal_entry_id,
        },
    )


# --- stock -------------------------------------------------------------------------------------------------------


def lock_cut(session: Session, agency_id: UUID) -> Row[Any]:
    """The agency's cut, locked; made when this is its first movement."""
    session.execute(
        text("insert into stock_cut (agency_id, seen_number, posted_number) values (:id, 0, 0) on conflict do nothing"),
        {"id": agency_id},
    )
    return session.execute(text("select * from stock_cut where agency_id = :id for update"), {"id": agency_id}).one()


def insert_posting(
    session: Session,
    *,
    agency_id: UUID,
    number: int,
    movement_id: UUID,
    kind: str,
    item_id: UUID | None,
    fund_code: str,
    value_minor: int,
    journal_entry_id: UUID | None,
    invoice_id: UUID | None = None,
) -> None:
    """Note that a numbered movement is in the books."""
    session.execute(
        text(
            """
            insert into stock_posting (agency_id, stock_movement_number, stock_movement_id, kind, item_id, fund_code,
                                       value_minor, journal_entry_id, invoice_id, recorded_at)
            values (:agency_id, :number, :movement_id, :kind, :item_id, :fund_code, :value, :entry_id, :invoice_id,
                    transaction_timestamp())
            on conflict do nothing
            """
        ),
        {
            "agency_id": agency_id,
            "number": number,
            "movement_id": movement_id,
            "kind": kind,
            "item_id": item_id,
            "fund_code": fund_code,
            "value": value_minor,
            "entry_id": journal_entry_id,
            "invoice_id": invoice_id,
        },
    )


def advance_cut(session: Session, agency_id: UUID, *, seen_number: int | None = None) -> int:
    """Move the cut to the last number without a gap below it; that number."""
    return int(
        session.execute(
            text(
                """
                update stock_cut c set
                    seen_number = greatest(c.seen_number, coalesce(cast(:seen as bigint), 0)),
                    posted_number = c.posted_number + (
                        select count(*) from (
                            select p.stock_movement_number - row_number() over (order by p.stock_movement_number)
                                   as base
                            from stock_posting p
                            where p.agency_id = c.agency_id and p.stock_movement_number > c.posted_number
                        ) run where run.base = c.posted_number)
                where c.agency_id = :agency_id returning posted_number
                """
            ),
            {"agency_id": agency_id, "seen": seen_number},
        ).scalar_one()
    )


def fund_of_stock(session: Session, movement: StockMovement) -> str:
    """The fund in which the item came in; else the fund of the agency's budget: an issue leaves the same fund."""
    return str(
        session.execute(
            text(
                """
                select coalesce(
                    (select fund_code from stock_posting
                     where agency_id = :agency_id and item_id = :item_id and kind = 'RECEIPT'
                     order by stock_movement_number desc limit 1),
                    (select min(fund_code) from budget_line where agency_id = :agency_id), '')
                """
            ),
            {"agency_id": movement.agency_id, "item_id": movement.item_id},
        ).scalar_one()
    )


def insert_variance(session: Session, agency_id: UUID, invoice_id: UUID, line_id: UUID, variance_minor: int) -> None:
    """Remember a variance put on stock until logistics has numbered it."""
    session.execute(
        text(
            "insert into stock_variance (invoice_id, purchase_order_line_id, agency_id, variance_minor, numbered)"
            " values (:invoice_id, :line_id, :agency_id, :variance, false)"
        ),
        {"invoice_id": invoice_id, "line_id": line_id, "agency_id": agency_id, "variance": variance_minor},
    )


def number_variance(session: Session, invoice_id: UUID, line_id: UUID) -> int | None:
    """Mark a variance as numbered by logistics; its value, or None when no such variance is open."""
    row = session.execute(
        text(
            "update stock_variance set numbered = true"
            " where invoice_id = :invoice_id and purchase_order_line_id = :line_id and not numbered"
            " returning variance_minor"
        ),
        {"invoice_id": invoice_id, "line_id": line_id},
    ).first()
    return None if row is None else int(row.variance_minor)


def funds_of_lines(session: Session, budget_line_ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Fund, account and currency of budget lines."""
    rows = session.execute(
        text(
            "select budget_line_id, fund_code, account_code, currency from budget_line"
            " where budget_line_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": list(budget_line_ids)},
    ).all()
    return {row.budget_line_id: row for row in rows}


def stock_at_cut(session: Session, agency_id: UUID, account_code: str) -> Row[Any]:
    """The cut, and the stock control account's balance there: what the account holds less what is above the cut."""
    return session.execute(
        text(
            """
            with cut as (
                select coalesce((select posted_number from stock_cut where agency_id = :agency_id), 0) as number
            )
            select cut.number,
                   coalesce((select sum(debit_minor - credit_minor) from account_balance
                             where agency_id = :agency_id and account_code = :account_code), 0)
                   - coalesce((select sum(value_minor) from stock_posting, cut
                               where agency_id = :agency_id and stock_movement_number > cut.number
                                 and kind not in ('TRANSFER_OUT', 'TRANSFER_IN')), 0)
                   - coalesce((select sum(variance_minor) from stock_variance
                               where agency_id = :agency_id and not numbered), 0) as balance,
                   coalesce((select min(currency) from account_balance
                             where agency_id = :agency_id and account_code = :account_code),
                            (select functional_currency from fiscal_year where agency_id = :agency_id
                             order by year desc limit 1), '') as currency
            from cut
            """
        ),
        {"agency_id": agency_id, "account_code": account_code},
    ).one()
