"""Fees and interest of the bank: an entry proposed as one by one person, approved and posted by another.

What an account in a foreign currency pays or earns is in the books at the rate of its value day, with both amounts.
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
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import requests
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item, Key, Movement
from services.finance.classification import store as calendar
from services.finance.classification.pack import fiscal_calendar
from services.finance.classification.usecases import year_unknown
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables.domain import OutOfTurn, different_persons
from services.finance.payables.journals import Tag
from services.finance.treasury import account_store, rows
from services.finance.treasury.bank_rules import Outcome
from services.finance.treasury.charges import domain, journals, pack, store
from services.finance.treasury.charges.domain import ChargeKind, InBooks
from services.finance.treasury.charges.events import BankChargeBooked


@dataclass(frozen=True)
class NewCharge:
    """An entry of the bank as a person explains it."""

    agency_id: UUID
    bank_entry_id: UUID
    kind: ChargeKind
    bearing_agency_id: UUID | None
    budget_line_id: UUID | None
    fund_code: str
    explanation: str


def create(session: Session, new: NewCharge, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Propose an unmatched entry as a fee of a budget line, or as interest of a fund; nothing is posted yet."""
    entry = rows.get(session, "bank_entry", new.bank_entry_id, lock=True)
    if entry.agency_id != new.agency_id:
        raise InvalidArgument.field("bank_charge.agency_id", "the entry is another treasury's")
    domain.check_bearer(
        new.kind,
        agency=new.bearing_agency_id is not None,
        budget_line=new.budget_line_id is not None,
        fund=bool(new.fund_code),
    )
    rule = domain.kind_of(_seen(entry), pack.charge_rules(entry.booked_on), new.kind)
    bearing_agency_id, fund_code, line = entry.agency_id, new.fund_code, None
    if new.budget_line_id is not None:
        line = store.budget_line(session, new.budget_line_id)
        if line is None or new.bearing_agency_id != line.agency_id:
            raise InvalidArgument.field("bank_charge.budget_line_id", "no budget line of bearing_agency_id")
        domain.check_line(rule, line.account_code)
        bearing_agency_id, fund_code = line.agency_id, line.fund_code
    booked = _in_books(session, entry, line)
    charge_id = new_id()
    inserted = store.insert(
        session,
        {
            "bank_charge_id": charge_id,
            "agency_id": entry.agency_id,
            "bank_entry_id": new.bank_entry_id,
            "kind": new.kind.value,
            "transaction_code": entry.transaction_code,
            "bearing_agency_id": bearing_agency_id,
            "budget_line_id": new.budget_line_id,
            "fund_code": fund_code,
            "currency": entry.currency,
            "amount_minor": entry.amount_minor,
            **_kept(booked),
            "value_on": entry.value_on,
            "explanation": new.explanation,
            "status": "PROPOSED",
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    if not inserted:
        raise domain.EntryNotChargeable(
            f"bank entry {new.bank_entry_id} is proposed as a charge already; have that one rejected first",
            metadata={"bank_entry_id": str(new.bank_entry_id)},
        )
    approval.begin_on_lines(
        session,
        RoutedKind.BANK_CHARGE,
        charge_id,
        entry.agency_id,
        # Interest has no line whose currency would say what the amount counts in.
        amount=booked.amount,
        budget_line_ids=set() if new.budget_line_id is None else {new.budget_line_id},
        maker_person_id=person_id,
        at=at,
    )
    return store.get(session, charge_id)


def document(row: Row[Any]) -> Document:
    """The document in whose name funds move."""
    return Document(DocumentKind.BANK_CHARGE, row.bank_charge_id, str(row.bank_entry_id))


def approve(session: Session, bank_charge_id: UUID, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Post the charge on its value day, and explain the bank's entry by it; never by who proposed it.

    A fee is expended from available, ordered and paid in one act, for the money has left. BUDGET_EXCEEDED when the line
    has too little, ALLOTMENT_EXCEEDED when it has too little released.
    """
    row = _proposed(session, bank_charge_id, "approved")
    different_persons(person_id, {f"proposed bank charge {bank_charge_id}": row.created_by_person_id}, "approve it")
    approval.passed(session, bank_charge_id, f"bank charge {bank_charge_id}", person_id=person_id, step="approve it")
    entry = rows.get(session, "bank_entry", row.bank_entry_id, lock=True)
    if entry.status == "MATCHED":
        raise domain.EntryNotChargeable(
            f"bank entry {row.bank_entry_id} was matched with a payment since; reject this charge",
            metadata={"bank_entry_id": str(row.bank_entry_id)},
        )
    account = rows.get(session, "bank_account", entry.bank_account_id)
    cash_account = account_store.cash(session, account, row.value_on).code
    # A rate that was corrected since the proposal is the rate of the day.
    line = None if row.budget_line_id is None else store.budget_line(session, row.budget_line_id)
    booked = _in_books(session, row, line)
    entry_id = (
        journals.post_interest(session, row, booked, cash_account=cash_account, person_id=person_id)
        if row.budget_line_id is None
        else _spend(session, row, booked, cash_account=cash_account, person_id=person_id)
    )
    store.update(
        session,
        bank_charge_id,
        status="APPROVED",
        approved_by_person_id=person_id,
        approved_at=at,
        journal_entry_id=entry_id,
        **_kept(booked),
    )
    rows.update(
        session,
        "bank_entry",
        row.bank_entry_id,
        status="MATCHED",
        outcome=Outcome.BOOKED.value,
        explanation=f"{row.kind} of the bank",
        journal_entry_id=entry_id,
        matched_by_person_id=person_id,
        match_explanation=row.explanation,
    )
    approved = store.get(session, bank_charge_id)
    outbox.emit(session, BankChargeBooked(approved))
    return approved


def reject(session: Session, bank_charge_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Refuse a proposal, never by who made it; the entry stays unmatched."""
    row = _proposed(session, bank_charge_id, "rejected")
    different_persons(person_id, {f"proposed bank charge {bank_charge_id}": row.created_by_person_id}, "reject it")
    store.update(
        session,
        bank_charge_id,
        status="REJECTED",
        rejected_by_person_id=person_id,
        rejection_explanation=explanation,
    )
    approval.recall(session, bank_charge_id)
    return store.get(session, bank_charge_id)


def _in_books(session: Session, charge: Row[Any], line: Row[Any] | None) -> InBooks:
    """An entry of the bank, or a charge, in the currency of its budget line or else of the treasury's books.

    At the rate of its value day: EXCHANGE_RATE_MISSING when none holds on it.
    """
    amount = Money(charge.amount_minor, charge.currency)
    currency = _books_currency(session, charge.agency_id, charge.value_on) if line is None else str(line.currency)
    if amount.currency == currency:
        return InBooks(amount)
    rate, _ = rates.rate_on(session, currency=amount.currency, functional_currency=currency, on=charge.value_on)
    return InBooks(functional_amount(amount, rate.rate, currency), rate.rate)


def _books_currency(session: Session, treasury_agency_id: UUID, on: date) -> str:
    """The currency of a treasury's books on a day; FISCAL_YEAR_UNKNOWN when it has none for it."""
    year = fiscal_calendar().year_of(on)
    found = calendar.fiscal_year_of(session, treasury_agency_id, year)
    if found is None:
        raise year_unknown(treasury_agency_id, year)
    return found.functional_currency


def _kept(booked: InBooks) -> dict[str, Any]:
    """The columns of a charge that say what it is in the books, when that is another amount."""
    if booked.rate is None:
        return {}
    return {
        "functional_currency": booked.amount.currency,
        "functional_minor": booked.amount.minor,
        "exchange_rate": booked.rate,
    }


def _spend(session: Session, row: Row[Any], booked: InBooks, *, cash_account: str, person_id: UUID) -> UUID:
    act = budget.begin(
        session,
        row.bearing_agency_id,
        document(row),
        effective_on=row.value_on,
        budget_line_ids=[row.budget_line_id],
        document_line_ids=[row.bank_charge_id],
        currencies=[row.currency],
    )
    key, amount = Key(row.bank_charge_id, row.budget_line_id), booked.amount.minor
    # The movements keep both amounts, as those of every expenditure in a foreign currency do.
    own = None if booked.rate is None else row.amount_minor
    spent = act.expend(Item(row.bank_charge_id, row.budget_line_id, amount=row.amount_minor, currency=row.currency))
    act.order(key, amount, own)
    paid = act.pay(key, amount, own)
    budget.check(session, act)
    line = act.lines[row.budget_line_id]

    def tag(movement: Movement) -> Tag:
        return Tag(
            line.budget_line_id,
            line.fund_code,
            line.account_code,
            line.currency,
            row.bank_charge_id,
            movement.funds_movement_id,
        )

    posted, cash_entry_id = journals.post_fee(
        session, row, booked, cash_account=cash_account, spent=tag(spent), paid=tag(paid), person_id=person_id
    )
    budget.settle(
        session,
        act,
        row.bearing_agency_id,
        effective_on=row.value_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=posted.entry.journal_entry_id,
    )
    budget.tell_expended(session, act, row.bearing_agency_id)
    # No payment request asked for it, and it counts as requested all the same (F3).
    on = fiscal_calendar().period_of(row.value_on)
    requests.request(session, row.bearing_agency_id, {row.budget_line_id: amount}, on=on)
    return cash_entry_id


def _seen(entry: Row[Any]) -> domain.Entry:
    return domain.Entry(
        str(entry.bank_entry_id), entry.transaction_code, entry.direction == "DEBIT", entry.status == "MATCHED"
    )


def _proposed(session: Session, bank_charge_id: UUID, becomes: str) -> Row[Any]:
    row = store.get(session, bank_charge_id, lock=True)
    if row.status != "PROPOSED":
        raise OutOfTurn(
            f"bank charge {bank_charge_id} is {row.status}; only a PROPOSED one can be {becomes}",
            metadata={"status": row.status, "needed": "PROPOSED"},
        )
    return row
