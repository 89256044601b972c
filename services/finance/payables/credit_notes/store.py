"""SQL of credit notes, and of what they change: payables, order lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.budget.store import exact
from services.finance.payables.credit_notes.domain import Cost, CreditLine, InvoicedLine
from services.finance.payables.credit_notes.exchange.domain import InBooks
from services.finance.payables.domain import Treatment


@dataclass(frozen=True)
class CreditNote:
    """A stored credit note with its lines, in the order in which they came."""

    row: Row[Any]
    lines: tuple[CreditLine, ...]


def insert(session: Session, values: Mapping[str, Any], lines: Sequence[CreditLine]) -> bool:
    """Insert a credit note (`values` by column) and its lines; False when its creditor's number is taken."""
    inserted = session.execute(
        text(
            f"insert into credit_note ({', '.join(values)})"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)})"
            " on conflict (agency_id, supplier_id, number_normalised) where status <> 'WITHDRAWN' do nothing"
            " returning credit_note_id"
        ),
        dict(values),
    ).first()
    if inserted is None:
        return False
    for line_no, line in enumerate(lines, start=1):
        session.execute(
            text(
                """
                insert into credit_note_line (credit_note_id, purchase_order_line_id, agency_id, line_no, quantity,
                    amount_minor, tax_minor, rounding_minor, cleared_minor, variance_minor, price_difference)
                values (:credit_note_id, :order_line_id, :agency_id, :line_no, :quantity, :amount, :tax, :rounding,
                        :cleared, :variance, :price_difference)
                """
            ),
            {
                "credit_note_id": values["credit_note_id"],
                "order_line_id": line.purchase_order_line_id,
                "agency_id": values["agency_id"],
                "line_no": line_no,
                "quantity": exact(line.quantity),
                "amount": line.amount,
                "tax": line.tax,
                "rounding": line.rounding,
                "cleared": line.cleared,
                "variance": line.variance,
                "price_difference": exact(line.price_difference),
            },
        )
    return True


def update(session: Session, credit_note_id: UUID, **changes: Any) -> None:
    """Change columns of a credit note; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(f"update credit_note set {sets}, version = version + 1 where credit_note_id = :id"),  # noqa: S608
        {**changes, "id": credit_note_id},
    )


_READ = "select * from credit_note where credit_note_id = :id"


def get(session: Session, credit_note_id: UUID, *, lock: bool = False) -> CreditNote:
    """One credit note; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": credit_note_id}).first()
    if row is None:
        raise NotFound.resource("credit note", credit_note_id)
    return CreditNote(row, _lines(session, [credit_note_id])[credit_note_id])


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    invoice_id: UUID | None,
    status: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[CreditNote]:
    """Credit notes, the newest id first."""
    rows = session.execute(
        text(
            """
            select * from credit_note
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:invoice_id as uuid) is null or invoice_id = :invoice_id)
              and (:status = '' or status = :status)
              and (cast(:after as uuid) is null or credit_note_id < :after)
            order by credit_note_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "invoice_id": invoice_id,
            "status": status,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
    lines = _lines(session, [row.credit_note_id for row in rows])
    return [CreditNote(row, lines[row.credit_note_id]) for row in rows]


def _lines(session: Session, credit_note_ids: Sequence[UUID]) -> dict[UUID, tuple[CreditLine, ...]]:
    found: dict[UUID, list[CreditLine]] = {credit_note_id: [] for credit_note_id in credit_note_ids}
    for row in session.execute(
        text(
            "select * from credit_note_line where credit_note_id = any (cast(:ids as uuid[]))"
            " order by credit_note_id, line_no"
        ),
        {"ids": list(credit_note_ids)},
    ):
        found[row.credit_note_id].append(
            CreditLine(
                row.purchase_order_line_id,
                Fraction(row.quantity),
                row.amount_minor,
                row.tax_minor,
                row.cleared_minor,
                row.variance_minor,
                Fraction(row.price_difference),
                row.carried_minor,
                row.rounding_minor,
            )
        )
    return {credit_note_id: tuple(lines) for credit_note_id, lines in found.items()}


def invoiced_lines(session: Session, invoice_id: UUID) -> dict[UUID, InvoicedLine]:
    """The lines of an approved invoice by order line, with what approved credit notes took back of them."""
    rows = session.execute(
        text(
            """
            select n.*, o.treatment, o.unit_price as order_price, coalesce(c.quantity, 0) as credited_quantity,
                   coalesce(c.amount, 0)::bigint as credited, coalesce(c.tax, 0)::bigint as credited_tax,
                   coalesce(c.cleared, 0)::bigint as credited_cleared,
                   coalesce(c.rounding, 0)::bigint as credited_rounding,
                   n.cost_minor - coalesce(c.cost, 0)::bigint as cost_left,
                   n.cleared_cost_minor - coalesce(c.cleared_cost, 0)::bigint as cleared_cost_left
            from invoice_line n
            join purchase_order_line o using (purchase_order_line_id)
            left join lateral (
                select sum(l.quantity) as quantity, sum(l.amount_minor - l.rounding_minor) as amount,
                       sum(l.tax_minor) as tax, sum(l.rounding_minor) as rounding, sum(l.cleared_minor) as cleared,
                       sum(l.cost_minor) as cost, sum(l.cleared_cost_minor) as cleared_cost
                from credit_note_line l join credit_note c using (credit_note_id)
                where c.invoice_id = n.invoice_id and l.purchase_order_line_id = n.purchase_order_line_id
                  and c.status in ('APPROVED', 'RECEIVABLE', 'REFUNDED', 'OFFSET')
            ) c on true
            where n.invoice_id = :id
            """
        ),
        {"id": invoice_id},
    ).all()
    return {
        row.purchase_order_line_id: InvoicedLine(
            purchase_order_line_id=row.purchase_order_line_id,
            treatment=Treatment[row.treatment],
            quantity=Fraction(row.quantity),
            order_price=Fraction(row.order_price),
            unit_price=Fraction(row.unit_price),
            amount=row.amount_minor - row.rounding_minor,
            tax=row.tax_minor,
            variance=0 if row.variance_minor is None else row.variance_minor - row.rounding_minor,
            credited_quantity=Fraction(row.credited_quantity),
            credited=row.credited,
            credited_tax=row.credited_tax,
            credited_cleared=row.credited_cleared,
            cost=None if row.cost_left is None else Cost(row.cost_left, row.cleared_cost_left),
            rounding=row.rounding_minor - row.credited_rounding,
        )
        for row in rows
    }


def invoiced_before(session: Session, invoice_id: UUID) -> dict[UUID, Fraction]:
    """By order line of this invoice, how much of it invoices approved earlier had billed."""
    rows = session.execute(
        text(
            """
            select n.purchase_order_line_id, coalesce(sum(e.quantity), 0) as before
            from invoice i join invoice_line n using (invoice_id)
            left join (invoice_line e join invoice v on v.invoice_id = e.invoice_id and v.approved_at is not null)
                 on e.purchase_order_line_id = n.purchase_order_line_id
                    and (v.approved_at, v.invoice_id) < (i.approved_at, i.invoice_id)
            where i.invoice_id = :id group by 1
            """
        ),
        {"id": invoice_id},
    )
    return {row.purchase_order_line_id: Fraction(row.before) for row in rows}


def reduce_payable(session: Session, payable_id: UUID, lines: Sequence[tuple[CreditLine, InBooks]]) -> None:
    """An open payable is smaller by these lines; wholly taken back, it is CREDITED and never paid."""
    for line, books in lines:
        session.execute(
            text(
                """
                update payable_part set amount_minor = amount_minor - :amount, net_minor = net_minor - :net,
                                        tax_minor = tax_minor - :tax, foreign_minor = foreign_minor - :own
                where payable_id = :id and document_line_id = :line_id
                """
            ),
            {
                "id": payable_id,
                "line_id": line.purchase_order_line_id,
                "amount": books.carried,
                "net": books.carried - books.tax - books.rounding,
                "tax": books.tax,
                "own": line.amount,
            },
        )
    session.execute(
        text(
            """
            update payable set amount_minor = amount_minor - :amount, foreign_minor = foreign_minor - :own,
                               version = version + 1,
                               status = case when amount_minor = :amount then 'CREDITED' else status end
            where payable_id = :id
            """
        ),
        {
            "id": payable_id,
            "amount": sum(books.carried for _, books in lines),
            "own": sum(line.amount for line, _ in lines),
        },
    )


def note_books(session: Session, credit_note_id: UUID, line: CreditLine, books: InBooks) -> None:
    """Keep what an approved line in a foreign currency is in that of the books."""
    session.execute(
        text(
            "update credit_note_line set carried_minor = :carried, cost_minor = :cost, cleared_cost_minor = :cleared"
            " where credit_note_id = :id and purchase_order_line_id = :line_id"
        ),
        {
            "id": credit_note_id,
            "line_id": line.purchase_order_line_id,
            "carried": books.carried,
            "cost": books.cost.whole,
            "cleared": books.cost.cleared,
        },
    )


def lock_receivables(session: Session, purchase_order_line_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The lines of credit notes in foreign currencies that their creditors owe, in a fixed order.

    The orders are locked before, as by every act on a note.
    """
    return session.execute(
        text(
            """
            select l.credit_note_id, l.purchase_order_line_id, l.amount_minor
            from credit_note_line l join credit_note c using (credit_note_id)
            where l.purchase_order_line_id = any (cast(:ids as uuid[])) and c.status = 'RECEIVABLE'
              and c.functional_currency is not null
            order by l.purchase_order_line_id, l.credit_note_id for update of c
            """
        ),
        {"ids": list(purchase_order_line_ids)},
    ).all()


def save_carried(session: Session, lines: Sequence[tuple[UUID, UUID, int]]) -> None:
    """Write what lines (credit note, order line, amount) that are owed stand at."""
    session.execute(
        text(
            "update credit_note_line set carried_minor = :carried"
            " where credit_note_id = :id and purchase_order_line_id = :line_id"
        ),
        [{"id": note, "line_id": line, "carried": carried} for note, line, carried in lines],
    )


def take_back(session: Session, line: CreditLine, books: InBooks, *, returned: bool) -> None:
    """What was invoiced is received-not-invoiced again; with `returned` the goods themselves went back too."""
    session.execute(
        text(
            """
            update purchase_order_line set cleared_quantity = cleared_quantity - :quantity,
                cleared_minor = cleared_minor - :cleared,
                returned_quantity = returned_quantity + case when :returned then :quantity else 0 end,
                returned_minor = returned_minor + case when :returned then :cleared else 0 end,
                uninvoiced_minor = uninvoiced_minor + case when :returned then 0 else :owed end,
                uninvoiced_cost_minor = uninvoiced_cost_minor + case when :returned then 0 else :cost end
            where purchase_order_line_id = :id
            """
        ),
        {
            "id": line.purchase_order_line_id,
            "quantity": exact(line.quantity),
            "cleared": line.cleared,
            "returned": returned,
            "owed": books.cleared,
            "cost": books.cost.cleared,
        },
    )


def paid_by(session: Session, payable_id: UUID) -> Row[Any]:
    """The debited payment order of a payable, with the day of its request (whose month the releases count)."""
    return session.execute(
        text(
            """
            select o.payment_order_id, o.order_number, o.treasury_agency_id, o.value_date, r.requested_on
            from payment_order_item i join payment_order o using (payment_order_id)
            join payment_request r using (payment_request_id)
            where i.payable_id = :id and o.status = 'DEBITED'
            """
        ),
        {"id": payable_id},
    ).one()
