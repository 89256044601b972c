"""SQL of invoices and payables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.budget.store import exact
from services.finance.payables import domain
from services.finance.payables.domain import Hold, HoldReason, InvoiceStatus, Source


@dataclass(frozen=True)
class StoredLine:
    """One line of a stored invoice."""

    invoice_line_id: UUID
    line: domain.InvoiceLine
    variance_minor: int | None


@dataclass(frozen=True)
class Invoice:
    """A stored invoice with its lines."""

    row: Row[Any]
    lines: tuple[StoredLine, ...]

    @property
    def status(self) -> InvoiceStatus:
        """Where it stands."""
        return InvoiceStatus(self.row.status)

    @property
    def holds(self) -> tuple[Hold, ...]:
        """Why it is held, as people see it."""
        return tuple(hold_of(one) for one in self.row.holds)


def hold_values(hold: Hold) -> dict[str, Any]:
    """A hold as it is kept."""
    return {
        "reason": hold.reason.value,
        "message": hold.message,
        "purchase_order_line_id": str(hold.purchase_order_line_id) if hold.purchase_order_line_id else None,
        "excess_quantity": None if hold.excess_quantity is None else str(exact(hold.excess_quantity)),
        "excess_minor": hold.excess,
    }


def hold_of(kept: Mapping[str, Any]) -> Hold:
    """A kept hold."""
    line_id, quantity = kept["purchase_order_line_id"], kept["excess_quantity"]
    return Hold(
        HoldReason(kept["reason"]),
        kept["message"],
        UUID(line_id) if line_id else None,
        None if quantity is None else Fraction(Decimal(quantity)),
        kept["excess_minor"],
    )


def insert(session: Session, values: Mapping[str, Any], lines: Sequence[tuple[UUID, domain.InvoiceLine]]) -> None:
    """Insert an invoice (`values` by column) and its lines."""
    columns = [*values, "holds"]
    session.execute(
        text(
            f"insert into invoice ({', '.join(columns)}, version)"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)}, cast('[]' as jsonb), 0)"
        ),
        dict(values),
    )
    for line_no, (line_id, line) in enumerate(lines, start=1):
        session.execute(
            text(
                """
                insert into invoice_line (invoice_line_id, agency_id, invoice_id, line_no, purchase_order_line_id,
                    quantity, unit_price, net_minor, tax_minor, rounding_minor, amount_minor)
                values (:id, :agency_id, :invoice_id, :line_no, :order_line_id, :quantity, :unit_price, :net, :tax,
                        :rounding, :amount)
                """
            ),
            {
                "id": line_id,
                "agency_id": values["agency_id"],
                "invoice_id": values["invoice_id"],
                "line_no": line_no,
                "order_line_id": line.purchase_order_line_id,
                "quantity": exact(line.quantity),
                "unit_price": exact(line.unit_price),
                "net": line.net,
                "tax": line.tax,
                "rounding": line.rounding,
                "amount": line.amount,
            },
        )


def update(session: Session, invoice_id: UUID, **changes: Any) -> None:
    """Change columns of an invoice; its version goes up."""
    values = dict(changes)
    if "holds" in values:
        values["holds"] = json.dumps([hold_values(hold) for hold in values["holds"]])
    sets = ", ".join(f"{name} = cast(:{name} as jsonb)" if name == "holds" else f"{name} = :{name}" for name in values)
    session.execute(
        text(f"update invoice set {sets}, version = version + 1 where invoice_id = :invoice_id"),  # noqa: S608
        {**values, "invoice_id": invoice_id},
    )


_READ = "select * from invoice where invoice_id = :id"
_LOCKED = f"{_READ} for update"


def get(session: Session, invoice_id: UUID, *, lock: bool = False) -> Invoice:
    """One invoice; NOT_FOUND when the caller does not see it."""
    row = session.execute(
        text(_LOCKED if lock else _READ),
        {"id": invoice_id},
    ).first()
    if row is None:
        raise NotFound.resource("invoice", invoice_id)
    return Invoice(row, _lines(session, [invoice_id]).get(invoice_id, ()))


def of_order(session: Session, purchase_order_id: UUID) -> list[Invoice]:
    """The order's invoices that a receipt may change, in the order they came, locked."""
    rows = session.execute(
        text(
            "select * from invoice where purchase_order_id = :id and status in ('WAITING_RECEIPT', 'HELD')"
            " order by created_at, invoice_id for update"
        ),
        {"id": purchase_order_id},
    ).all()
    lines = _lines(session, [row.invoice_id for row in rows])
    return [Invoice(row, lines[row.invoice_id]) for row in rows]


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    status: str,
    purchase_order_id: UUID | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Invoice]:
    """Invoices, the newest id first."""
    rows = session.execute(
        text(
            """
            select * from invoice
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (:status = '' or status = :status)
              and (cast(:order_id as uuid) is null or purchase_order_id = :order_id)
              and (cast(:after as uuid) is null or invoice_id < :after)
            order by invoice_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "status": status,
            "order_id": purchase_order_id,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
    lines = _lines(session, [row.invoice_id for row in rows])
    return [Invoice(row, lines[row.invoice_id]) for row in rows]


def _lines(session: Session, invoice_ids: Sequence[UUID]) -> dict[UUID, tuple[StoredLine, ...]]:
    found: dict[UUID, list[StoredLine]] = {invoice_id: [] for invoice_id in invoice_ids}
    for row in session.execute(
        text("select * from invoice_line where invoice_id = any (cast(:ids as uuid[])) order by invoice_id, line_no"),
        {"ids": list(invoice_ids)},
    ):
        found[row.invoice_id].append(
            StoredLine(
                row.invoice_line_id,
                domain.InvoiceLine(
                    row.purchase_order_line_id,
                    Fraction(row.quantity),
                    Fraction(row.unit_price),
                    row.net_minor,
                    row.tax_minor,
                    row.rounding_minor,
                ),
                row.variance_minor,
            )
        )
    return {invoice_id: tuple(lines) for invoice_id, lines in found.items()}


def duplicate_of(
    session: Session,
    *,
    agency_id: UUID,
    supplier_id: UUID,
    purchase_order_id: UUID,
    number_normalised: str,
    total_minor: int,
    currency: str,
    invoiced_on: date,
    days: int,
    without_invoice_id: UUID,
) -> str | None:
    """The number of an earlier invoice of the supplier that may be this one: its number, or amount and date.

    Amount and date count within one order: equal amounts on two orders are common, and each order's quantities are
    matched against its own receipts anyway.
    """
    row = session.execute(
        text(
            """
            select supplier_invoice_number from invoice
            where agency_id = :agency_id and supplier_id = :supplier_id and status <> 'VOID' and invoice_id <> :without
              and (invoice_number_normalised = :number
                   or purchase_order_id = :order_id and total_minor = :total and currency = :currency
                      and abs(invoiced_on - cast(:invoiced_on as date)) <= :days)
              and invoice_id < :without
            order by invoice_id limit 1
            """
        ),
        {
            "agency_id": agency_id,
            "supplier_id": supplier_id,
            "order_id": purchase_order_id,
            "number": number_normalised,
            "total": total_minor,
            "currency": currency,
            "invoiced_on": invoiced_on,
            "days": days,
            "without": without_invoice_id,
        },
    ).first()
    return None if row is None else str(row.supplier_invoice_number)


def set_variance(session: Session, invoice_line_id: UUID, amount_minor: int, variance_minor: int) -> None:
    """What the line claims in the end, and by how much that differs from the order's price."""
    session.execute(
        text("update invoice_line set variance_minor = :variance, amount_minor = :amount where invoice_line_id = :id"),
        {"id": invoice_line_id, "variance": variance_minor, "amount": amount_minor},
    )


@dataclass(frozen=True)
class Part:
    """Which funds position a part of a payable stands on."""

    document_line_id: UUID
    budget_line_id: UUID
    amount_minor: int
    net_minor: int = 0
    tax_minor: int = 0
    foreign_minor: int | None = None


@dataclass(frozen=True)
class NewPayable:
    """A payable to open."""

    payable_id: UUID
    agency_id: UUID
    source: Source
    source_document_id: UUID
    source_document_number: str
    purchase_order_id: UUID | None
    creditor: str
    currency: str
    due_on: date
    parts: tuple[Part, ...]
    withholdings: Mapping[str, int]
    contract_id: UUID | None = None
    # Cash of an imprest moves no budget line: (fund, amount) instead of parts.
    cash: tuple[str, int] | None = None
    # The creditor's own currency, when that is not the books': its amounts are in the parts.
    foreign_currency: str | None = None

    @property
    def amount_minor(self) -> int:
        """The gross amount."""
        return sum(part.amount_minor for part in self.parts) + (0 if self.cash is None else self.cash[1])

    @property
    def foreign_minor(self) -> int | None:
        """The gross amount as the creditor has it."""
        return None if self.foreign_currency is None else sum(part.foreign_minor or 0 for part in self.parts)


def insert_payable(session: Session, new: NewPayable) -> bool:
    """Open a payable with its parts; False when its source document has one for that creditor already."""
    row = session.execute(
        text(
            """
            insert into payable (payable_id, agency_id, source, source_document_id, source_document_number,
                purchase_order_id, contract_id, fund_code, creditor, currency, amount_minor, due_on, status, version,
                foreign_currency, foreign_minor)
            values (:payable_id, :agency_id, :source, :document_id, :number, :order_id, :contract_id, :fund_code,
                    :creditor, :currency, :amount, :due_on, 'OPEN', 1, :foreign_currency, :foreign_minor)
            on conflict (source, source_document_id, creditor) do nothing returning payable_id
            """
        ),
        {
            "payable_id": new.payable_id,
            "agency_id": new.agency_id,
            "source": new.source.value,
            "document_id": new.source_document_id,
            "number": new.source_document_number,
            "order_id": new.purchase_order_id,
            "contract_id": new.contract_id,
            "fund_code": None if new.cash is None else new.cash[0],
            "creditor": new.creditor,
            "currency": new.currency,
            "amount": new.amount_minor,
            "due_on": new.due_on,
            "foreign_currency": new.foreign_currency,
            "foreign_minor": new.foreign_minor,
        },
    ).first()
    if row is None:
        return False
    session.execute(
        text(
            """
            insert into payable_part (payable_id, document_line_id, budget_line_id, agency_id, amount_minor, net_minor,
                                      tax_minor, foreign_minor)
            select :payable_id, d, b, :agency_id, a, n, t, f
            from unnest(cast(:d as uuid[]), cast(:b as uuid[]), cast(:a as bigint[]), cast(:n as bigint[]),
                        cast(:t as bigint[]), cast(:f as bigint[])) as v (d, b, a, n, t, f)
            """
        ),
        {
            "payable_id": new.payable_id,
            "agency_id": new.agency_id,
            "d": [part.document_line_id for part in new.parts],
            "b": [part.budget_line_id for part in new.parts],
            "a": [part.amount_minor for part in new.parts],
            "n": [part.net_minor for part in new.parts],
            "t": [part.tax_minor for part in new.parts],
            "f": [part.foreign_minor for part in new.parts],
        },
    )
    for code, amount in sorted(new.withholdings.items()):
        session.execute(
            text(
                "insert into payable_withholding (payable_id, withholding_code, agency_id, amount_minor)"
                " values (:payable_id, :code, :agency_id, :amount)"
            ),
            {"payable_id": new.payable_id, "code": code, "agency_id": new.agency_id, "amount": amount},
        )
    return True


def mark_paid(session: Session, invoice_ids: Sequence[UUID]) -> None:
    """The bank debited the payment orders of these invoices."""
    session.execute(
        text(
            "update invoice set status = 'PAID', version = version + 1"
            " where invoice_id = any (cast(:ids as uuid[])) and status = 'APPROVED'"
        ),
        {"ids": list(invoice_ids)},
    )


def has_payables(session: Session, source_document_id: UUID) -> bool:
    """Whether a document has opened payables."""
    found = session.execute(
        text("select 1 from payable where source_document_id = :id limit 1"), {"id": source_document_id}
    ).first()
    return found is not None


def move_line(session: Session, invoice_line_id: UUID, invoice_id: UUID) -> None:
    """A whole line goes to the invoice that was split off."""
    session.execute(
        text("update invoice_line set invoice_id = :invoice_id where invoice_line_id = :id"),
        {"id": invoice_line_id, "invoice_id": invoice_id},
    )


def keep_of_line(session: Session, invoice_line_id: UUID, line: domain.InvoiceLine) -> None:
    """What stays of a line whose other part was split off."""
    session.execute(
        text(
            "update invoice_line set quantity = :quantity, net_minor = :net, tax_minor = :tax, amount_minor = :amount"
            " where invoice_line_id = :id"
        ),
        {
            "id": invoice_line_id,
            "quantity": exact(line.quantity),
            "net": line.net,
            "tax": line.tax,
            "amount": line.amount,
        },
    )
