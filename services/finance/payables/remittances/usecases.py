"""Remittances: proposed by one person, approved by another, then paid as every other payable (domain rules §2).

What an approval opens is a payable of the treasury's own entity. A rejected payment order puts its amount back into the
account of what is withheld, and the payable is open again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money, total
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.approval.domain import Subject
from services.finance.payables import domain as payables
from services.finance.payables import invoice_store
from services.finance.payables.credit_notes.withholding import store as corrections
from services.finance.payables.domain import OutOfTurn, Source
from services.finance.payables.invoice_store import NewPayable
from services.finance.payables.remittances import domain, pack, store
from services.finance.payables.remittances.events import WithholdingReceiptRecorded


@dataclass(frozen=True)
class NewRemittance:
    """What is to be remitted: everything withheld of a kind in a fund up to a day."""

    agency_id: UUID
    withholding_code: str
    fund_code: str
    currency: str
    withheld_to: date


def create(session: Session, new: NewRemittance, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Collect what is withheld and not remitted yet, less what is withheld no more of credited payments since.

    NOTHING_TO_REMIT when there is none, or no more than credit notes took back: both wait for the next period then.
    """
    remitter = pack.remitter(new.withholding_code, new.withheld_to)
    found = store.withheld(
        session,
        new.agency_id,
        withholding_code=new.withholding_code,
        fund_code=new.fund_code,
        currency=new.currency,
        withheld_to=new.withheld_to,
        limit=domain.ITEMS_MAX,
    )
    taken = store.remitted(session, [one.payment_order_id for one in found], new.withholding_code)
    items = [item for item in domain.outstanding(found, taken) if item.fund_code == new.fund_code]
    corrected = corrections.waiting(
        session,
        new.agency_id,
        withholding_code=new.withholding_code,
        fund_code=new.fund_code,
        currency=new.currency,
        until=new.withheld_to,
    )
    less = total(one.amount_minor for one in corrected)
    collected = total(item.amount for item in items)
    if collected <= less:
        what = (
            f"nothing is left to remit of {Money(collected, new.currency)} that was withheld, for credit notes took "
            f"back {Money(less, new.currency)},"
            if items
            else "nothing waits to be remitted of what was withheld"
        )
        raise domain.NothingToRemit(
            f"{what} as {new.withholding_code} in {new.currency} and fund {new.fund_code} up to {new.withheld_to}",
            metadata={"withholding_code": new.withholding_code, "withheld_to": str(new.withheld_to)},
        )
    remittance_id = new_id()
    store.insert(
        session,
        {
            "withholding_remittance_id": remittance_id,
            "agency_id": new.agency_id,
            "withholding_code": new.withholding_code,
            "creditor": remitter.creditor,
            "fund_code": new.fund_code,
            "currency": new.currency,
            "withheld_to": new.withheld_to,
            "due_on": domain.due_on(new.withheld_to, remitter.due_day),
            "amount_minor": collected - less,
            "corrected_minor": less,
            "status": "PROPOSED",
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
        items,
    )
    corrections.take(session, remittance_id, new.withholding_code, corrected)
    amount = Money(collected - less, new.currency)
    subject = Subject(RoutedKind.WITHHOLDING_REMITTANCE, remittance_id, new.agency_id, amount, frozenset(), person_id)
    approval.begin(session, subject, at=at)
    return store.get(session, remittance_id)


def approve(session: Session, withholding_remittance_id: UUID, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Open the payable to whom the amount is owed; never by who proposed it."""
    row = _proposed(session, withholding_remittance_id, "approved")
    payables.different_persons(
        person_id, {f"proposed remittance {withholding_remittance_id}": row.created_by_person_id}, "approve it"
    )
    name = f"remittance {withholding_remittance_id}"
    approval.passed(session, withholding_remittance_id, name, person_id=person_id, step="approve it")
    payable_id = new_id()
    opened = invoice_store.insert_payable(
        session,
        NewPayable(
            payable_id,
            row.agency_id,
            Source.REMITTANCE,
            withholding_remittance_id,
            f"{row.withholding_code} {row.withheld_to}",
            None,
            row.creditor,
            row.currency,
            row.due_on,
            (),
            {},
            cash=(row.fund_code, row.amount_minor),
        ),
    )
    assert opened, "a remittance is approved once: its row was locked and PROPOSED"
    store.update(
        session,
        withholding_remittance_id,
        status="APPROVED",
        approved_by_person_id=person_id,
        approved_at=at,
        payable_id=payable_id,
    )
    return store.get(session, withholding_remittance_id)


def reject(session: Session, withholding_remittance_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Refuse a proposal; never by who made it. Another one may take its amounts."""
    row = _proposed(session, withholding_remittance_id, "rejected")
    payables.different_persons(
        person_id, {f"proposed remittance {withholding_remittance_id}": row.created_by_person_id}, "reject it"
    )
    return _end(session, withholding_remittance_id, "REJECTED", explanation, person_id)


def recall(session: Session, withholding_remittance_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Take a proposal back. Another one may take its amounts."""
    _proposed(session, withholding_remittance_id, "recalled")
    return _end(session, withholding_remittance_id, "RECALLED", explanation, person_id)


def record_receipt(
    session: Session, withholding_remittance_id: UUID, *, receipt_number: str, received_on: date, person_id: UUID
) -> Row[Any]:
    """Keep and tell the number of the creditor's receipt. The same number again changes nothing."""
    row = store.get(session, withholding_remittance_id, lock=True)
    if row.status != "REMITTED":
        raise OutOfTurn(
            f"remittance {withholding_remittance_id} is {row.status}; only a REMITTED one has a receipt",
            metadata={"status": row.status, "needed": "REMITTED"},
        )
    if row.receipt_number == receipt_number:
        return row
    other = store.of_receipt(session, row.agency_id, receipt_number)
    domain.check_receipt(
        receipt_number, row.receipt_number, other, received_on=received_on, remitted_on=row.remitted_on
    )
    store.update(
        session,
        withholding_remittance_id,
        receipt_number=receipt_number,
        received_on=received_on,
        receipt_recorded_by_person_id=person_id,
    )
    recorded = store.get(session, withholding_remittance_id)
    outbox.emit(session, WithholdingReceiptRecorded(recorded))
    return recorded


def _end(session: Session, withholding_remittance_id: UUID, status: str, explanation: str, person_id: UUID) -> Row[Any]:
    store.free(session, withholding_remittance_id)
    corrections.free(session, withholding_remittance_id)
    store.update(
        session,
        withholding_remittance_id,
        status=status,
        ended_by_person_id=person_id,
        end_explanation=explanation,
    )
    approval.recall(session, withholding_remittance_id)
    return store.get(session, withholding_remittance_id)


def _proposed(session: Session, withholding_remittance_id: UUID, becomes: str) -> Row[Any]:
    row = store.get(session, withholding_remittance_id, lock=True)
    if row.status != "PROPOSED":
        raise OutOfTurn(
            f"remittance {withholding_remittance_id} is {row.status}; only a PROPOSED one can be {becomes}",
            metadata={"status": row.status, "needed": "PROPOSED"},
        )
    return row
