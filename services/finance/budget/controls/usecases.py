"""Changes of control: propose, decide, and write the modes that an approval gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import store as funds
from services.finance.budget.controls import domain, store
from services.finance.budget.controls.domain import ControlChange, ControlStatus
from services.finance.budget.controls.events import BudgetControlChanged


def propose(session: Session, wanted: ControlChange) -> ControlChange:
    """Keep a change as PROPOSED. What could not be approved now is refused now, with the same words."""
    domain.check_form(wanted)
    proposed = _plan(session, wanted, lock=False)
    if not store.insert_change(session, proposed):
        raise domain.ControlNumberTaken(
            f"the agency has a change of control {wanted.document_number} in {wanted.fiscal_year}",
            metadata={"document_number": wanted.document_number},
        )
    outbox.emit(session, BudgetControlChanged(proposed))
    approval.begin_on_lines(
        session,
        RoutedKind.BUDGET_CONTROL_CHANGE,
        proposed.budget_control_change_id,
        proposed.agency_id,
        amount=None,
        budget_line_ids=proposed.line_ids(),
        maker_person_id=proposed.proposed_by,
        at=proposed.proposed_at,
    )
    return proposed


def approve(session: Session, budget_control_change_id: UUID, *, person_id: UUID, at: datetime) -> ControlChange:
    """Put the modes in force, checked again on the locked lines: an act on funds is before this or after it."""
    change = _locked(session, budget_control_change_id)
    approved = domain.decide(change, ControlStatus.APPROVED, by=person_id, at=at)
    name = f"change of control {change.document_number}"
    approval.passed(session, budget_control_change_id, name, person_id=person_id, step="approve it")
    approved = replace(approved, items=_plan(session, change, lock=True).items)
    store.set_modes(session, approved.items)
    store.save_decision(session, approved)
    outbox.emit(session, BudgetControlChanged(approved))
    return approved


def reject(
    session: Session, budget_control_change_id: UUID, *, person_id: UUID, reason: str, at: datetime
) -> ControlChange:
    """Another person refuses a proposal, with a reason."""
    return _end(session, budget_control_change_id, ControlStatus.REJECTED, person_id=person_id, reason=reason, at=at)


def recall(
    session: Session, budget_control_change_id: UUID, *, person_id: UUID, reason: str, at: datetime
) -> ControlChange:
    """The proposer takes the proposal back."""
    return _end(session, budget_control_change_id, ControlStatus.RECALLED, person_id=person_id, reason=reason, at=at)


def get(session: Session, budget_control_change_id: UUID) -> ControlChange:
    """One change; NOT_FOUND when the caller does not see it."""
    found = store.change(session, budget_control_change_id)
    if found is None:
        raise NotFound.resource("change of budget control", budget_control_change_id)
    return found


def _end(
    session: Session,
    budget_control_change_id: UUID,
    status: ControlStatus,
    *,
    person_id: UUID,
    reason: str,
    at: datetime,
) -> ControlChange:
    ended = domain.decide(_locked(session, budget_control_change_id), status, by=person_id, at=at, reason=reason)
    store.save_decision(session, ended)
    outbox.emit(session, BudgetControlChanged(ended))
    approval.recall(session, budget_control_change_id)
    return ended


def _plan(session: Session, change: ControlChange, *, lock: bool) -> ControlChange:
    named = funds.lock_lines(session, change.agency_id, change.line_ids(), lock=lock)
    below = store.lines_below(session, change.line_ids())
    return domain.plan(change, domain.by_id([*below, *named]))


def _locked(session: Session, budget_control_change_id: UUID) -> ControlChange:
    found = store.change(session, budget_control_change_id, lock=True)
    if found is None:
        raise NotFound.resource("change of budget control", budget_control_change_id)
    return found
