"""Overrides: propose, decide, end. What they give is written by `settling`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind
from services.finance.budget import store as funds
from services.finance.budget.domain import Line
from services.finance.budget.overrides import domain, settling, store
from services.finance.budget.overrides.domain import Override, OverrideStatus
from services.finance.budget.overrides.events import BudgetOverrideChanged
from services.finance.classification.pack import fiscal_calendar


def propose(session: Session, wanted: Override) -> Override:
    """Keep an override as PROPOSED: it gives nothing before another person opens it."""
    domain.check_form(wanted, fiscal_calendar())
    domain.check_nodes(wanted, _named(session, wanted, lock=False).values())
    if not store.insert_override(session, wanted):
        raise domain.OverrideNumberTaken(
            f"the agency has an override {wanted.document_number} in {wanted.fiscal_year}",
            metadata={"document_number": wanted.document_number},
        )
    outbox.emit(session, BudgetOverrideChanged(wanted))
    approval.begin_on_lines(
        session,
        DocumentKind.BUDGET_OVERRIDE,
        wanted.budget_override_id,
        wanted.agency_id,
        amount=Money(sum(item.granted for item in wanted.items), wanted.currency),
        budget_line_ids={item.budget_line_id for item in wanted.items},
        maker_person_id=wanted.proposed_by,
        at=wanted.proposed_at,
    )
    return wanted


def approve(
    session: Session, budget_override_id: UUID, *, person_id: UUID, role_in: Callable[[UUID], str], at: datetime
) -> Override:
    """Another person opens a proposed override; `role_in` says in which role he may in an agency."""
    present, lines = _locked(session, budget_override_id)
    opened = domain.decide(present, OverrideStatus.OPEN, by=person_id, at=at, role=role_in(present.agency_id))
    approval.passed(
        session, budget_override_id, f"override {present.document_number}", person_id=person_id, step="approve it"
    )
    domain.check_nodes(opened, lines.values())
    granted = {item.budget_line_id: item.granted for item in opened.items}
    settling.write_authority(
        session, opened.agency_id, opened, granted, lines, on=opened.effective_on, person_id=person_id
    )
    return opened


def reject(session: Session, budget_override_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Override:
    """Another person refuses a proposal, with a reason."""
    return _ended(session, budget_override_id, OverrideStatus.REJECTED, person_id, reason, at)


def recall(session: Session, budget_override_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Override:
    """The proposer takes the proposal back."""
    return _ended(session, budget_override_id, OverrideStatus.RECALLED, person_id, reason, at)


def close(session: Session, budget_override_id: UUID, *, person_id: UUID, at: datetime) -> Override:
    """End an open override early: what nobody used is gone; what was used stays open until it is covered."""
    present, lines = _locked(session, budget_override_id)
    day = min(max(at.date(), present.effective_on), present.expires_on)
    settling.settle(session, present.agency_id, lines.values(), on=day)
    present, lines = _locked(session, budget_override_id)
    ended = domain.unused_ended(present)
    amounts = {was.budget_line_id: now.open - was.open for was, now in zip(present.items, ended.items, strict=True)}
    settling.write_authority(session, ended.agency_id, ended, amounts, lines, on=day, person_id=person_id)
    return ended


def get(session: Session, budget_override_id: UUID) -> Override:
    """One override; NOT_FOUND when the caller does not see it."""
    found = store.override(session, budget_override_id)
    if found is None:
        raise NotFound.resource("budget override", budget_override_id)
    return found


def _ended(
    session: Session, budget_override_id: UUID, status: OverrideStatus, person_id: UUID, reason: str, at: datetime
) -> Override:
    present, _ = _locked(session, budget_override_id)
    ended = domain.decide(present, status, by=person_id, at=at, reason=reason)
    store.save(session, ended)
    outbox.emit(session, BudgetOverrideChanged(ended))
    approval.recall(session, budget_override_id)
    return ended


def _locked(session: Session, budget_override_id: UUID) -> tuple[Override, dict[UUID, Line]]:
    """The nodes first, then the document: acts on a node lock in this order, and then shrink its overrides."""
    seen = get(session, budget_override_id)
    lines = _named(session, seen, lock=True)
    locked = store.override(session, budget_override_id, lock=True)
    assert locked is not None, "it was seen a moment ago and is never deleted"
    return locked, lines


def _named(session: Session, override: Override, *, lock: bool) -> dict[UUID, Line]:
    named = {item.budget_line_id for item in override.items}
    lines = funds.lock_lines(session, override.agency_id, named, lock=lock)
    return {line.budget_line_id: line for line in lines if line.budget_line_id in named}
