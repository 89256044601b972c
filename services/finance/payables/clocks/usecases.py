"""What each act on a payment request does to the days of its steps. Called by `payment` in its own transaction."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.payables.clocks import pack, store
from services.finance.payables.clocks.domain import Outcome, Step


def begin(session: Session, payment_request_id: UUID, agency_id: UUID, step: Step, *, on: date) -> None:
    """Let a step run from a day on, where the law of that day sets days for it."""
    rule = pack.rule(step, on)
    if rule is not None:
        store.start(session, payment_request_id, agency_id, rule, on)


def end(session: Session, payment_request_id: UUID, outcome: Outcome, *, on: date) -> None:
    """End the step that runs."""
    store.end(session, payment_request_id, outcome, on)


def due_on(session: Session, payment_request_id: UUID) -> date | None:
    """By when a request's next step is due; None where the law sets no day, or none is left."""
    return store.due_days(session, [payment_request_id]).get(payment_request_id)
