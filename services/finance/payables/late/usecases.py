"""Late interest made payable: proposed on a listed payable by one person, approved and posted by another.

The approval expends directly from available on the line named and opens a payable to the same creditor, which is paid
as every other one (domain rules §2: a direct EXPEND, Dr expense / Cr payable).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument, NotFound
from chassis.ids import new_id
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis
from services.finance.payables import domain as payables
from services.finance.payables import invoice_store, payment_store
from services.finance.payables.domain import OutOfTurn, Source
from services.finance.payables.invoice_store import NewPayable, Part
from services.finance.payables.journals import Tag, credit, debit, entry
from services.finance.payables.late import domain, pack, store
from services.finance.payables.late.events import LateInterestApproved


@dataclass(frozen=True)
class LatePayment:
    """A payable that was not paid on its due date: what was owed of it on which days, and the interest."""

    row: Row[Any]
    owed: list[domain.Owed]
    late: domain.Late


@dataclass(frozen=True)
class NewCharge:
    """Interest to charge: on which payable, up to which day (or the debit, if that was before), to which line."""

    agency_id: UUID
    late_payable_id: UUID
    budget_line_id: UUID
    until: date


def late_payments(
    session: Session, *, agency_id: UUID, as_of: date, after: tuple[Any, ...] | None, limit: int
) -> list[LatePayment]:
    """A page of an agency's late payments up to a day; LATE_INTEREST_RATE_MISSING for a day without a rate."""
    rows = store.page(session, agency_id=agency_id, as_of=as_of, after=after, limit=limit)
    falls = store.falls(session, [row.payable_id for row in rows])
    found = []
    for row in rows:
        pieces = domain.owed(row.amount_minor, falls[row.payable_id], due_on=row.due_on, until=row.until)
        found.append(LatePayment(row, pieces, domain.interest(pieces, rates=pack.rates(row.currency))))
    return found


def create(session: Session, new: NewCharge, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Propose the interest of the days that no charge of the payable has yet; nothing moves before it is approved."""
    payment_store.lock_payables(session, [new.late_payable_id])
    owed = store.owed(session, new.late_payable_id, as_of=new.until)
    if owed is None or owed.agency_id != new.agency_id:
        raise NotFound.resource("supplier's payable of this agency", new.late_payable_id)
    if not payment_store.line_codes(session, [new.budget_line_id]):
        raise InvalidArgument.field("late_interest_charge.budget_line_id", f"no budget line {new.budget_line_id}")
    found = domain.charge(
        owed.source_document_number,
        _pieces(session, owed),
        due_on=owed.due_on,
        until=owed.until,
        rates=pack.rates(owed.currency),
        charged=store.charged(session, new.late_payable_id),
    )
    charge_id = new_id()
    store.insert(
        session,
        {
            "late_interest_charge_id": charge_id,
            "agency_id": new.agency_id,
            "late_payable_id": new.late_payable_id,
            "source_document_number": owed.source_document_number,
            "creditor": owed.creditor,
            "budget_line_id": new.budget_line_id,
            "currency": owed.currency,
            "from_on": found.from_on,
            "until_on": found.until,
            "amount_minor": found.amount,
            "status": "PROPOSED",
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    approval.begin_on_lines(
        session,
        RoutedKind.LATE_INTEREST_CHARGE,
        charge_id,
        new.agency_id,
        amount=Money(found.amount, owed.currency),
        budget_line_ids={new.budget_line_id},
        maker_person_id=person_id,
        at=at,
    )
    return store.get(session, charge_id)


def _pieces(session: Session, late: Row[Any]) -> list[domain.Owed]:
    """What was owed of a payable on which of its late days. The caller has locked it."""
    falls = store.falls(session, [late.payable_id])[late.payable_id]
    return domain.owed(late.amount_minor, falls, due_on=late.due_on, until=late.until)


def document(row: Row[Any]) -> Document:
    """The document in whose name funds move."""
    return Document(DocumentKind.LATE_INTEREST_CHARGE, row.late_interest_charge_id, row.source_document_number)


def approve(
    session: Session, late_interest_charge_id: UUID, *, effective_on: date, person_id: UUID, at: datetime
) -> Row[Any]:
    """available -> E on the line, Dr expense / Cr payable, and the creditor's payable; never by who proposed it."""
    row = _proposed(session, late_interest_charge_id, "approved")
    payables.different_persons(
        person_id,
        {f"proposed the interest on {row.source_document_number}": row.created_by_person_id},
        "approve it",
    )
    name = f"the interest on {row.source_document_number}"
    approval.passed(session, late_interest_charge_id, name, person_id=person_id, step="approve it")
    if effective_on < row.until_on:
        raise InvalidArgument.field("effective_on", f"before {row.until_on}, the last day of the interest")
    late = store.owed(session, row.late_payable_id, as_of=row.until_on)
    assert late is not None, "interest is charged on a supplier's payable"
    domain.check_unchanged(
        row.source_document_number,
        _pieces(session, late),
        until=row.until_on,
        charged=store.charged(session, row.late_payable_id).amount,
        rates=pack.rates(row.currency),
    )
    act = budget.begin(
        session,
        row.agency_id,
        document(row),
        effective_on=effective_on,
        budget_line_ids=[row.budget_line_id],
        document_line_ids=[late_interest_charge_id],
    )
    movement = act.expend(
        Item(
            document_line_id=late_interest_charge_id,
            budget_line_id=row.budget_line_id,
            amount=row.amount_minor,
            currency=row.currency,
        )
    )
    budget.check(session, act)
    line = act.lines[row.budget_line_id]
    tag = Tag(
        row.budget_line_id,
        line.fund_code,
        line.account_code,
        line.currency,
        late_interest_charge_id,
        movement.funds_movement_id,
    )
    accounts = mapping.accounts_for(session, [("EXP", line.account_code), ("AP", line.account_code)], on=effective_on)
    posted = post_one(
        session,
        entry(
            row.agency_id,
            effective_on,
            f"Interest on late payment of {row.source_document_number}",
            DocumentKind.LATE_INTEREST_CHARGE.value,
            late_interest_charge_id,
            [
                debit(Basis.ACCRUAL, accounts["EXP", line.account_code], row.amount_minor, tag),
                credit(Basis.ACCRUAL, accounts["AP", line.account_code], row.amount_minor, tag),
            ],
            person_id=person_id,
        ),
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
    budget.tell_expended(session, act, row.agency_id)
    store.update(
        session,
        late_interest_charge_id,
        status="APPROVED",
        approved_by_person_id=person_id,
        approved_at=at,
        payable_id=_open_payable(session, row, due_on=effective_on),
        journal_entry_id=entry_id,
    )
    approved = store.get(session, late_interest_charge_id)
    outbox.emit(session, LateInterestApproved(approved))
    return approved


def reject(session: Session, late_interest_charge_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Refuse a proposal, never by who made it; its days may be charged anew."""
    row = _proposed(session, late_interest_charge_id, "rejected")
    payables.different_persons(
        person_id,
        {f"proposed the interest on {row.source_document_number}": row.created_by_person_id},
        "reject it",
    )
    return _end(session, late_interest_charge_id, "REJECTED", explanation, person_id)


def recall(session: Session, late_interest_charge_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Take a proposal back; its days may be charged anew."""
    _proposed(session, late_interest_charge_id, "recalled")
    return _end(session, late_interest_charge_id, "RECALLED", explanation, person_id)


def _open_payable(session: Session, row: Row[Any], *, due_on: date) -> UUID:
    payable_id = new_id()
    # Interest is no price of goods: nothing of it is the base of a tax that is withheld from supplies.
    part = Part(row.late_interest_charge_id, row.budget_line_id, row.amount_minor)
    opened = invoice_store.insert_payable(
        session,
        NewPayable(
            payable_id,
            row.agency_id,
            Source.LATE_INTEREST,
            row.late_interest_charge_id,
            row.source_document_number,
            None,
            row.creditor,
            row.currency,
            due_on,
            (part,),
            {},
        ),
    )
    assert opened, "a charge is approved once: its row was locked and PROPOSED"
    return payable_id


def _end(session: Session, late_interest_charge_id: UUID, status: str, explanation: str, person_id: UUID) -> Row[Any]:
    store.update(
        session, late_interest_charge_id, status=status, ended_by_person_id=person_id, end_explanation=explanation
    )
    approval.recall(session, late_interest_charge_id)
    return store.get(session, late_interest_charge_id)


def _proposed(session: Session, late_interest_charge_id: UUID, becomes: str) -> Row[Any]:
    payment_store.lock_payables(session, [store.get(session, late_interest_charge_id).late_payable_id])
    row = store.get(session, late_interest_charge_id, lock=True)
    if row.status != "PROPOSED":
        raise OutOfTurn(
            f"the interest on {row.source_document_number} is {row.status}; only a PROPOSED charge can be {becomes}",
            metadata={"status": row.status, "needed": "PROPOSED"},
        )
    return row
