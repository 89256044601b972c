"""What the match of an invoice does to its exception. Called by `invoicing` in its own transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from services.finance.payables.domain import HoldReason
from services.finance.payables.exceptions import domain, pack, store
from services.finance.payables.exceptions.domain import Action, Outcome
from services.finance.payables.exceptions.events import InvoiceExceptionChanged


@dataclass(frozen=True)
class Cause:
    """Why an invoice is matched anew or leaves the queue: by itself, or by what a person decided."""

    outcome: Outcome
    person_id: UUID | None = None
    explanation: str = ""


BY_ITSELF = Cause(Outcome.RESOLVED)


def follow(session: Session, invoice: Row[Any], reasons: Collection[HoldReason], cause: Cause = BY_ITSELF) -> None:
    """Bring the exception of `invoice` (its row) to why it is held now: opened, changed, or closed without a reason."""
    found = store.open_of(session, invoice.invoice_id)
    wanted = [reason for reason in HoldReason if reason in reasons]
    if found is None:
        if wanted:
            _open(session, invoice, wanted)
        return
    if not wanted:
        store.update(
            session,
            found.invoice_exception_id,
            status="CLOSED",
            outcome=cause.outcome.value,
            closed_at=store.now(session),
            closed_by_person_id=cause.person_id,
        )
        _noted(session, found.invoice_exception_id, Action.CLOSED, cause)
    elif set(found.reasons) != {reason.value for reason in wanted}:
        # Other reasons buy no time: the deadline stays.
        store.update(session, found.invoice_exception_id, reasons=[reason.value for reason in wanted])
        _noted(session, found.invoice_exception_id, Action.REASONS_CHANGED, cause)


def _open(session: Session, invoice: Row[Any], reasons: list[HoldReason]) -> None:
    at = store.now(session)
    begun = domain.opened(
        reasons,
        pack.hold_rules(reasons, at.date()),
        registrant_person_id=invoice.created_by_person_id,
        at=at,
    )
    exception_id = new_id()
    store.insert(
        session,
        invoice_exception_id=exception_id,
        invoice=invoice,
        reasons=reasons,
        owner_person_id=begun.owner_person_id,
        due_at=begun.due_at,
    )
    outbox.emit(session, InvoiceExceptionChanged(store.get(session, exception_id)))


def _noted(session: Session, invoice_exception_id: UUID, action: Action, cause: Cause) -> None:
    store.note(session, invoice_exception_id, action, by_person_id=cause.person_id, explanation=cause.explanation)
    outbox.emit(session, InvoiceExceptionChanged(store.get(session, invoice_exception_id)))
