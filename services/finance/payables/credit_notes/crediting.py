"""What an approved credit note does to funds, in the currency of the books (domain rules §2 and §3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.money import Money
from services.finance.budget import usecases as budget
from services.finance.budget.buckets import Buckets
from services.finance.budget.domain import Document, DocumentKind, Key
from services.finance.budget.movements import FundsAct
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables.credit_notes import journals
from services.finance.payables.credit_notes.domain import CreditLine, InvoicedLine
from services.finance.payables.credit_notes.exchange import domain as exchange
from services.finance.payables.credit_notes.exchange.domain import InBooks, Standing
from services.finance.payables.domain import Treatment
from services.finance.payables.journals import Tag
from services.finance.payables.payment_store import PayablePart


def begin(
    session: Session,
    row: Row[Any],
    lines: Sequence[CreditLine],
    parts: dict[UUID, PayablePart],
    on: date,
    *,
    at_the_days_rate: bool,
) -> FundsAct:
    """The act of a credit note (`row`) on the funds of its lines; EXCHANGE_RATE_MISSING when it needs the day's."""
    foreign = row.functional_currency is not None and at_the_days_rate
    return budget.begin(
        session,
        row.agency_id,
        Document(DocumentKind.CREDIT_NOTE, row.credit_note_id, row.credit_note_number),
        effective_on=on,
        budget_line_ids=[parts[line.purchase_order_line_id].budget_line_id for line in lines],
        document_line_ids=[line.purchase_order_line_id for line in lines],
        currencies=[row.currency] if foreign else [],
    )


def in_books(
    act: FundsAct, row: Row[Any], line: CreditLine, invoiced: InvoicedLine, part: PayablePart, *, paid: bool
) -> InBooks:
    """One line of a note in the currency of the books: what it takes of an open payable, or is owed for a paid one."""
    if row.functional_currency is None:
        return exchange.in_one_currency(line)

    def worth(minor: int) -> int:
        rate = act.rates[row.currency, row.functional_currency].rate
        return functional_amount(Money(minor, row.currency), rate, row.functional_currency).minor

    if paid:
        return exchange.of_receivable(line, invoiced, worth(line.amount), currency=row.currency)
    assert part.foreign_minor is not None, "a payable in a foreign currency has its parts in it"
    return exchange.of_payable(
        line,
        invoiced,
        Standing(part.foreign_minor, part.amount_minor, part.tax_minor),
        again=worth(line.cleared) if row.replaced else 0,
        currency=row.currency,
    )


def credit(
    act: FundsAct,
    row: Row[Any],
    line: CreditLine,
    books: InBooks,
    *,
    treatment: Treatment,
    part: PayablePart,
    paid: bool,
) -> journals.Credited:
    """E -> available by the price, and by what went back (replaced: E -> O). What is paid moves when it is refunded.

    In a foreign currency E is first brought to what goes back to the line or is bound again: REVALUE.
    """
    key = Key(part.document_line_id, part.budget_line_id)
    # Stock leaves the books by the stock ledger's own movement; till then it is received and not invoiced.
    leaves = bool(line.quantity) and treatment is not Treatment.STOCK
    varied = moved = None
    if not paid:
        back = (books.again if row.replaced else books.cost.cleared) if leaves else 0
        gone = books.carried if leaves else books.carried - books.cleared
        act.revalue(key, Buckets(expended=back + books.variance_cost - gone))
        varied = act.vary(key, -books.variance_cost, -line.variance)
        if leaves:
            moved = act.return_delivery(key, back, line.quantity, replaced=row.replaced, foreign=line.cleared)
    tag = tag_of(part, None if varied is None else varied.funds_movement_id)
    went_back = tag_of(part, None if moved is None else moved.funds_movement_id) if leaves else None
    return journals.Credited(tag, treatment, line, books, went_back)


def tag_of(part: PayablePart, movement_id: UUID | None) -> Tag:
    """What ties a journal line to the budget line of a part."""
    return Tag(
        part.budget_line_id, part.fund_code, part.account_code, part.currency, part.document_line_id, movement_id
    )
