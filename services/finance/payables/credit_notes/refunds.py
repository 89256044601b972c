"""The creditor's refund of a paid invoice's credit: P -> available (or O), cash in, expenditure taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.money import Money, allocate, total
from services.finance.budget import requests
from services.finance.budget import usecases as budget
from services.finance.classification.fiscal_calendar import Period
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables import invoice_store, payment_store
from services.finance.payables.credit_notes import crediting, events, journals, refunding, store, usecases
from services.finance.payables.credit_notes.domain import CreditLine, CreditNoteStatus
from services.finance.payables.credit_notes.exchange import domain as exchange
from services.finance.payables.credit_notes.exchange.domain import Back
from services.finance.payables.credit_notes.store import CreditNote
from services.finance.payables.credit_notes.withholding import store as corrections
from services.finance.payables.credit_notes.withholding.store import Correction
from services.finance.payables.payment_store import PayablePart


@dataclass(frozen=True)
class _Refund:
    """A refund as the bank told it."""

    note: Row[Any]
    treasury_agency_id: UUID
    refunded_on: date
    came: Money
    # What does not come, for the treasury withholds it no more.
    withheld: Sequence[Correction]
    person_id: UUID
    paid_on: date
    requested_in: Period


def record(
    session: Session,
    credit_note_id: UUID,
    *,
    treasury_agency_id: UUID,
    bank_reference: str,
    refunded_on: date,
    amount: Money,
    person_id: UUID,
) -> CreditNote:
    """P -> available (replaced: O), cash in, expenditure taken back; after the year it is other revenue instead.

    The mirror of the payment: gross on the funds and in the agency's books, while what was withheld comes from what the
    treasury owes to others (credit_notes/withholding) and the rest from the creditor. Of a note in a foreign currency
    what really came counts. The same reference again changes nothing.
    """
    note = usecases.locked(session, credit_note_id)
    row = note.row
    if row.status == CreditNoteStatus.REFUNDED.value and row.bank_reference == bank_reference:
        return note
    usecases.in_status(row, CreditNoteStatus.RECEIVABLE, "refunded")
    exchange.check_refund(
        row.credit_note_number,
        Money(row.total_minor, row.currency),
        amount,
        row.functional_currency,
        withheld=Money(row.withheld_minor, row.currency),
    )
    invoice = invoice_store.get(session, row.invoice_id).row
    payment_store.lock_payables(session, [invoice.payable_id])
    order = store.paid_by(session, invoice.payable_id)
    if order.treasury_agency_id != treasury_agency_id:
        raise InvalidArgument.field(
            "treasury_agency_id", f"the invoice was paid by {order.treasury_agency_id} (order {order.order_number})"
        )
    if refunded_on < order.value_date:
        raise InvalidArgument.field("refunded_on", f"before the payment of {order.value_date}")
    requested_in = fiscal_calendar().period_of(order.requested_on)
    withheld = corrections.of_note(session, credit_note_id)
    said = _Refund(row, treasury_agency_id, refunded_on, amount, withheld, person_id, order.value_date, requested_in)
    came = _worth(session, said)
    worth = came + total(one.amount for one in withheld)
    earlier_year = _settle(session, said, note.lines, usecases.parts(session, invoice.payable_id), worth)
    store.update(
        session,
        credit_note_id,
        status=CreditNoteStatus.REFUNDED.value,
        refunded_on=refunded_on,
        refunded_by_person_id=person_id,
        treasury_agency_id=treasury_agency_id,
        bank_reference=bank_reference,
        earlier_year=earlier_year,
        **({} if row.functional_currency is None else {"refunded_minor": came}),
    )
    told = events.PriorYearRefunded if earlier_year else events.ExpenditureRefunded
    outbox.emit(
        session,
        told(
            credit_note_id,
            row.agency_id,
            row.invoice_id,
            row.purchase_order_id,
            row.currency,
            row.total_minor,
            refunded_on,
            row.replaced,
            row.version + 1,
            withheld_minor=row.withheld_minor,
        ),
    )
    return store.get(session, credit_note_id)


def _worth(session: Session, said: _Refund) -> int:
    """What came, in the currency of the books: EXCHANGE_RATE_MISSING for a day without a rate."""
    own = said.note.functional_currency
    if own is None or said.came.currency == own:
        return said.came.minor
    rate, _ = rates.rate_on(session, currency=said.came.currency, functional_currency=own, on=said.refunded_on)
    return functional_amount(said.came, rate.rate, own).minor


def _settle(
    session: Session, said: _Refund, lines: Sequence[CreditLine], parts: dict[UUID, PayablePart], worth: int
) -> bool:
    """Post a refund and, in the year of its expenditure, move its funds back; whether that year is over."""
    row, on = said.note, said.refunded_on
    act = crediting.begin(session, row, lines, parts, on, at_the_days_rate=False)
    mine = [parts[line.purchase_order_line_id] for line in lines]
    came = allocate(worth, [line.amount for line in lines])
    backs = [refunding.back(act, row, line, part, amount) for line, part, amount in zip(lines, mine, came, strict=True)]
    refunded = [_refunded(row, *one, movement_id=None) for one in zip(lines, mine, backs, strict=True)]
    posted = journals.post_refund(
        session,
        agency_id=row.agency_id,
        treasury_agency_id=said.treasury_agency_id,
        credit_note_id=row.credit_note_id,
        number=row.credit_note_number,
        refunded_on=on,
        lines=refunded,
        foreign_cash=None if said.came.currency == mine[0].currency else said.came,
        withheld=said.withheld,
        person_id=said.person_id,
    )
    budget_lines = [act.lines[part.budget_line_id] for part in mine]
    earlier_year = any(refunding.earlier_year(one, posted.fiscal_year, paid_on=said.paid_on) for one in budget_lines)
    if not earlier_year:
        refunded = [
            _refunded(row, line, part, one, movement_id=refunding.refund(act, row, line, part, one))
            for line, part, one in zip(lines, mine, backs, strict=True)
        ]
        budget.check(session, act)
    realised = journals.post_realised(
        session,
        agency_id=row.agency_id,
        credit_note_id=row.credit_note_id,
        number=row.credit_note_number,
        refunded_on=on,
        lines=refunded,
        earlier_year=earlier_year,
        person_id=said.person_id,
    )
    if earlier_year:
        return True
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=on,
        person_id=said.person_id,
        accounting_on=realised.accounting_on,
        journal_entry_id=realised.entry.journal_entry_id,
    )
    # What came back may be requested again within the releases (F3).
    by_line: dict[UUID, int] = {}
    for part, line, one in zip(mine, lines, backs, strict=True):
        by_line[part.budget_line_id] = by_line.get(part.budget_line_id, 0) + refunding.released(line, part, one)
    requests.withdraw(session, row.agency_id, by_line, on=said.requested_in)
    return False


def _refunded(
    row: Row[Any], line: CreditLine, part: PayablePart, back: Back, *, movement_id: UUID | None
) -> journals.Refunded:
    foreign = row.functional_currency is not None
    return journals.Refunded(
        crediting.tag_of(part, movement_id),
        back.spent,
        back.revenue,
        line.carried,
        Money(line.amount, row.currency) if foreign else None,
    )
