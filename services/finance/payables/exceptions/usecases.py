"""What people do with the queue of held invoices: take, give, ask the supplier, decide (domain rules §3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from services.finance.payables import invoicing
from services.finance.payables.exceptions import domain, store
from services.finance.payables.exceptions.domain import Action, Outcome
from services.finance.payables.exceptions.events import InvoiceExceptionChanged
from services.finance.payables.exceptions.following import Cause


def assign(
    session: Session, invoice_exception_id: UUID, *, owner_person_id: UUID, explanation: str, person_id: UUID
) -> Row[Any]:
    """Give the exception to a person, or take it oneself; who had it before stays in its history."""
    row = _locked(session, invoice_exception_id)
    domain.check_assignment(row.supplier_invoice_number, row.owner_person_id, owner_person_id)
    store.update(session, invoice_exception_id, owner_person_id=owner_person_id)
    return _noted(session, invoice_exception_id, Action.ASSIGNED, person_id, explanation)


def ask_supplier(
    session: Session, invoice_exception_id: UUID, *, explanation: str, answer_days: int, person_id: UUID
) -> Row[Any]:
    """Note what the supplier was asked; the exception is due when his answer is."""
    row = _locked(session, invoice_exception_id)
    domain.check_owner(row.supplier_invoice_number, row.owner_person_id, person_id)
    at = store.now(session)
    store.update(session, invoice_exception_id, supplier_asked_at=at, due_at=domain.inquiry_due(at, answer_days))
    return _noted(session, invoice_exception_id, Action.SUPPLIER_ASKED, person_id, explanation)


def decide(
    session: Session, invoice_exception_id: UUID, *, outcome: Outcome, explanation: str, person_id: UUID
) -> Row[Any]:
    """Release the hold (no duplicate), or reject the invoice: it is void, and the others of its order matched anew."""
    row = _locked(session, invoice_exception_id)
    domain.check_owner(row.supplier_invoice_number, row.owner_person_id, person_id)
    invoice = invoicing.locked(session, row.invoice_id)
    domain.check_decision(
        row.supplier_invoice_number,
        {hold.reason for hold in invoice.holds},
        outcome,
        registrant_person_id=row.registered_by_person_id,
        by=person_id,
    )
    if outcome is Outcome.RELEASED:
        invoicing.release_hold(session, row.invoice_id, explanation=explanation, person_id=person_id)
    else:
        invoicing.void(
            session,
            row.invoice_id,
            explanation=explanation,
            person_id=person_id,
            cause=Cause(Outcome.REJECTED, person_id, explanation),
        )
    return store.get(session, invoice_exception_id)


def _locked(session: Session, invoice_exception_id: UUID) -> Row[Any]:
    """The open exception, locked after its invoice and order, as every act on them does."""
    invoicing.locked(session, store.get(session, invoice_exception_id).invoice_id)
    row = store.get(session, invoice_exception_id, lock=True)
    domain.check_open(row.supplier_invoice_number, row.status)
    return row


def _noted(session: Session, invoice_exception_id: UUID, action: Action, person_id: UUID, explanation: str) -> Row[Any]:
    store.note(session, invoice_exception_id, action, by_person_id=person_id, explanation=explanation)
    row = store.get(session, invoice_exception_id)
    outbox.emit(session, InvoiceExceptionChanged(row))
    return row
