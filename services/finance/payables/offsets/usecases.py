"""Offsets: proposed by one person, approved by another; then the payable is smaller and the credit note settled.

Both lines keep their gross movements (domain rules §3): the invoice's part goes E -> S -> P as if it were paid, the
credit note's P -> available (or -> O when the goods come again) as if it were refunded. No cash moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from chassis.money import Money, allocate
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import requests
from services.finance.budget import usecases as budget
from services.finance.budget.buckets import Buckets
from services.finance.budget.domain import Document, DocumentKind, Key
from services.finance.budget.movements import FundsAct
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables import domain as payables
from services.finance.payables import invoice_store, ordering_store, payment_store, withholding
from services.finance.payables.credit_notes import refunding
from services.finance.payables.credit_notes import store as credit_store
from services.finance.payables.credit_notes import usecases as credit_notes
from services.finance.payables.credit_notes.domain import CreditLine
from services.finance.payables.credit_notes.exchange.domain import Back
from services.finance.payables.credit_notes.store import CreditNote
from services.finance.payables.credit_notes.withholding import store as corrections
from services.finance.payables.domain import OutOfTurn
from services.finance.payables.journals import Tag
from services.finance.payables.offsets import domain, journals, store
from services.finance.payables.offsets.domain import Claim, Debt, Owed, SetOff
from services.finance.payables.offsets.events import CreditOffsetApproved
from services.finance.payables.offsets.journals import Side
from services.finance.payables.payment_store import PayablePart
from services.finance.payables.penalties import keeping


@dataclass(frozen=True)
class NewOffset:
    """What is to be set off: a credit note, whole, against a payable."""

    agency_id: UUID
    credit_note_id: UUID
    payable_id: UUID
    explanation: str


@dataclass(frozen=True)
class _Pair:
    """Both sides, locked: the note with the paid payable that it takes back of, and the payable that it is set off."""

    note: CreditNote
    claim: Claim
    paid_payable_id: UUID
    debt: Debt


def create(session: Session, new: NewOffset, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Propose an offset; what the two papers themselves forbid is refused now. Nothing moves before it is approved.

    Fund, year and what is withheld are asked on the day of the approval.
    """
    pair = _locked(session, new.credit_note_id, new.payable_id)
    domain.check(pair.claim, pair.debt)
    if pair.claim.agency_id != new.agency_id:
        raise InvalidArgument.field("credit_offset.agency_id", "the credit note is another agency's")
    offset_id = new_id()
    inserted = store.insert(
        session,
        {
            "credit_offset_id": offset_id,
            "agency_id": new.agency_id,
            "credit_note_id": new.credit_note_id,
            "credit_note_number": pair.claim.number,
            "payable_id": new.payable_id,
            "currency": pair.claim.currency,
            "amount_minor": pair.claim.amount,
            "explanation": new.explanation,
            "status": "PROPOSED",
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    if not inserted:
        raise domain.OffsetNotAllowed(
            f"credit note {pair.claim.number} is proposed to be set off already; have that one ended first",
            metadata={"credit_note_status": pair.claim.status},
        )
    parts = payment_store.parts(session, [pair.paid_payable_id, new.payable_id])
    approval.begin_on_lines(
        session,
        RoutedKind.CREDIT_OFFSET,
        offset_id,
        new.agency_id,
        amount=Money(pair.claim.amount, pair.claim.currency),
        budget_line_ids={part.budget_line_id for part in parts},
        maker_person_id=person_id,
        at=at,
    )
    return store.get(session, offset_id)


def approve(session: Session, credit_offset_id: UUID, *, effective_on: date, person_id: UUID, at: datetime) -> Row[Any]:
    """Set off: never by who proposed it, and only while both sides still bear it."""
    known = store.get(session, credit_offset_id)
    pair = _locked(session, known.credit_note_id, known.payable_id)
    row = _proposed(session, credit_offset_id, "approved")
    payables.different_persons(
        person_id,
        {f"proposed to set off credit note {row.credit_note_number}": row.created_by_person_id},
        "approve it",
    )
    name = f"the offset of credit note {row.credit_note_number}"
    approval.passed(session, credit_offset_id, name, person_id=person_id, step="approve it")
    domain.check(pair.claim, pair.debt)
    owed = payment_store.parts(session, [row.payable_id])
    paid = credit_notes.parts(session, pair.paid_payable_id)
    owing = [(paid[line.purchase_order_line_id], line) for line in pair.note.lines]
    domain.check_same_fund(pair.claim, pair.debt, [*(p.fund_code for p in owed), *(p.fund_code for p, _ in owing)])
    withheld = withholding.of_payables(session, [row.payable_id], owed, pair.debt.books_currency, effective_on)
    # What was withheld of the credit is given back by what is withheld less of the payment that it lessens.
    corrected = corrections.by_code(session, row.credit_note_id)
    withheld = withholding.less(withheld, corrected, pair.debt.books_currency)
    # What is kept as a penalty is left to be paid no more than what is withheld.
    kept = sum(withheld.values()) + keeping.amount(
        session, row.payable_id, currency=pair.debt.books_currency, on=effective_on
    )
    fallen = domain.taken(pair.claim, pair.debt, kept)
    order = credit_store.paid_by(session, pair.paid_payable_id)
    if effective_on < order.value_date:
        raise InvalidArgument.field("effective_on", f"before the payment of {order.value_date}")
    abroad = row.currency != pair.debt.books_currency
    act = budget.begin(
        session,
        row.agency_id,
        Document(DocumentKind.CREDIT_OFFSET, credit_offset_id, row.credit_note_number),
        effective_on=effective_on,
        budget_line_ids={*(part.budget_line_id for part in owed), *(part.budget_line_id for part, _ in owing)},
        document_line_ids={*(part.document_line_id for part in owed), *(part.document_line_id for part, _ in owing)},
        currencies=[row.currency] if abroad else [],
    )
    year = fiscal_calendar().year_of(effective_on)
    earlier = any(
        refunding.earlier_year(act.lines[part.budget_line_id], year, paid_on=order.value_date) for part, _ in owing
    )
    domain.check_same_year(pair.claim, pair.debt, earlier_year=earlier)
    today = _today(act, Money(row.amount_minor, row.currency), pair.debt.books_currency)
    came = allocate(today, [line.amount for _, line in owing])
    backs = [
        refunding.back(act, pair.note.row, line, part, worth) for (part, line), worth in zip(owing, came, strict=True)
    ]
    back = [_refunded(act, pair.note.row, part, line, one) for (part, line), one in zip(owing, backs, strict=True)]
    taken = domain.shares(row.amount_minor, [_owed(part) for part in owed], today)
    gone = [_paid(act, part, one) for part, one in zip(owed, taken, strict=True) if one.amount]
    budget.cover(session, act, row.agency_id, on=effective_on, person_id=person_id)
    budget.check(session, act)
    posted = journals.post_offset(
        session,
        agency_id=row.agency_id,
        credit_offset_id=credit_offset_id,
        number=row.credit_note_number,
        effective_on=effective_on,
        owed=gone,
        owing=back,
        person_id=person_id,
    )
    entry_id = posted.entry.journal_entry_id
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=effective_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=entry_id,
    )
    budget.tell_revalued(session, act, row.agency_id)
    # What came back may be requested again, and what was paid by it counts as requested (F3).
    requests.withdraw(
        session,
        row.agency_id,
        _by_line([(part, refunding.released(line, part, one)) for (part, line), one in zip(owing, backs, strict=True)]),
        on=fiscal_calendar().period_of(order.requested_on),
    )
    requests.request(
        session,
        row.agency_id,
        _by_line([(part, one.paid) for part, one in zip(owed, taken, strict=True)]),
        on=fiscal_calendar().period_of(effective_on),
    )
    store.reduce_payable(
        session,
        row.payable_id,
        [(part.document_line_id, part.budget_line_id, one) for part, one in zip(owed, taken, strict=True)],
    )
    credit_store.update(session, row.credit_note_id, status="OFFSET")
    store.update(
        session,
        credit_offset_id,
        status="APPROVED",
        effective_on=effective_on,
        approved_by_person_id=person_id,
        approved_at=at,
        journal_entry_id=entry_id,
        functional_minor=fallen if abroad else None,
    )
    approved = store.get(session, credit_offset_id)
    outbox.emit(session, CreditOffsetApproved(approved))
    return approved


def reject(session: Session, credit_offset_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Refuse a proposal, never by who made it."""
    row = _proposed(session, credit_offset_id, "rejected")
    payables.different_persons(
        person_id,
        {f"proposed to set off credit note {row.credit_note_number}": row.created_by_person_id},
        "reject it",
    )
    return _end(session, credit_offset_id, "REJECTED", explanation, person_id)


def recall(session: Session, credit_offset_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Take a proposal back."""
    _proposed(session, credit_offset_id, "recalled")
    return _end(session, credit_offset_id, "RECALLED", explanation, person_id)


def _locked(session: Session, credit_note_id: UUID, payable_id: UUID) -> _Pair:
    """Both sides, locked as every act on them does: orders, then the note, then payables, each in id order."""
    note = credit_store.get(session, credit_note_id)
    owed = payment_store.payable(session, payable_id)
    orders = {note.row.purchase_order_id, *([owed.purchase_order_id] if owed.purchase_order_id else [])}
    for purchase_order_id in sorted(orders):
        ordering_store.lock_order(session, purchase_order_id)
    note = credit_store.get(session, credit_note_id, lock=True)
    paid_payable_id = invoice_store.get(session, note.row.invoice_id).row.payable_id
    found = {one.payable_id: one for one in payment_store.lock_payables(session, {paid_payable_id, payable_id})}
    row, owed = note.row, found[payable_id]
    return _Pair(
        note,
        Claim(row.credit_note_number, row.status, row.agency_id, str(row.supplier_id), row.total_minor, row.currency),
        paid_payable_id,
        Debt(
            owed.source_document_number,
            owed.source,
            owed.status,
            owed.agency_id,
            owed.creditor,
            owed.amount_minor if owed.foreign_currency is None else owed.foreign_minor,
            owed.foreign_currency or owed.currency,
            owed.amount_minor,
            owed.currency,
        ),
    )


def _today(act: FundsAct, amount: Money, books_currency: str) -> int:
    """What an amount is worth in the currency of the books at the rate of the day."""
    if amount.currency == books_currency:
        return amount.minor
    return functional_amount(amount, act.rates[amount.currency, books_currency].rate, books_currency).minor


def _owed(part: PayablePart) -> Owed:
    return Owed(part.amount_minor if part.foreign_minor is None else part.foreign_minor, part.amount_minor)


def _paid(act: FundsAct, part: PayablePart, one: SetOff) -> Side:
    """E -> S -> P by what is set off of one part, which is first brought to the rate of the day."""
    key = Key(part.document_line_id, part.budget_line_id)
    act.revalue(key, Buckets(expended=one.paid - one.carried))
    ordered, paid = act.order(key, one.paid, one.amount), act.pay(key, one.paid, one.amount)
    own = None if part.foreign_currency is None else Money(one.amount, part.foreign_currency)
    return Side(_tag(part, ordered.funds_movement_id), _tag(part, paid.funds_movement_id), one.carried, one.paid, own)


def _refunded(act: FundsAct, note: Row[Any], part: PayablePart, line: CreditLine, one: Back) -> Side:
    """P -> available (or O) by one line of the note."""
    movement_id = refunding.refund(act, note, line, part, one)
    abroad = note.functional_currency is not None
    return Side(
        _tag(part, None),
        _tag(part, movement_id),
        one.worth if line.carried is None else line.carried,
        one.spent,
        Money(line.amount, note.currency) if abroad else None,
        one.revenue,
    )


def _tag(part: PayablePart, movement_id: UUID | None) -> Tag:
    return Tag(
        part.budget_line_id, part.fund_code, part.account_code, part.currency, part.document_line_id, movement_id
    )


def _by_line(amounts: list[tuple[PayablePart, int]]) -> dict[UUID, int]:
    sums: dict[UUID, int] = {}
    for part, amount in amounts:
        sums[part.budget_line_id] = sums.get(part.budget_line_id, 0) + amount
    return sums


def _end(session: Session, credit_offset_id: UUID, status: str, explanation: str, person_id: UUID) -> Row[Any]:
    store.update(session, credit_offset_id, status=status, ended_by_person_id=person_id, end_explanation=explanation)
    approval.recall(session, credit_offset_id)
    return store.get(session, credit_offset_id)


def _proposed(session: Session, credit_offset_id: UUID, becomes: str) -> Row[Any]:
    row = store.get(session, credit_offset_id, lock=True)
    if row.status != "PROPOSED":
        raise OutOfTurn(
            f"the offset of credit note {row.credit_note_number} is {row.status}; only a PROPOSED one can be {becomes}",
            metadata={"status": row.status, "needed": "PROPOSED"},
        )
    return row
