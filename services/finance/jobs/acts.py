"""What each kind of job does: the use case that a person, or the service's own round, would call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from services.finance.approval import store as approval_store
from services.finance.approval import usecases as approval
from services.finance.budget.foreign import usecases as commitments
from services.finance.classification import store as calendar
from services.finance.classification.domain import ADJUSTMENT_PERIOD, Area
from services.finance.classification.pack import fiscal_calendar
from services.finance.jobs import proving
from services.finance.jobs import store as job_store
from services.finance.jobs.domain import JobDayNotDue, JobKind, Result
from services.finance.ledger.schedule import usecases as schedule
from services.finance.ledger.schedule.domain import ScheduledStatus
from services.finance.payables import exchange
from services.finance.payables.late import usecases as late_interest

# Payables of one page of the late list.
_PAGE = 500

Act = Callable[[Session, UUID, date, UUID | None, datetime], Result]


def _templates(session: Session, agency_id: UUID, due_on: date, person_id: UUID | None, at: datetime) -> Result:
    outcome, more = schedule.run(session, agency_id, to=due_on, at=at, person_id=person_id)
    posted = sum(one.status is ScheduledStatus.POSTED for one in outcome)
    return Result(posted, len(outcome) - posted, more)


def _commitments(session: Session, agency_id: UUID, due_on: date, person_id: UUID | None, at: datetime) -> Result:
    if person_id is None:
        done = commitments.run(session, agency_id, due_on, at=at)
    else:
        done = commitments.revalue(
            session, agency_id=agency_id, on=due_on, budget_line_id=None, owner=None, person_id=person_id, at=at
        )
    return Result(0 if done is None else len(done.items))


def _balances(session: Session, agency_id: UUID, due_on: date, person_id: UUID | None, at: datetime) -> Result:
    assert person_id is not None, "balances are revalued by persons, who know when a month's entries are in"
    year = fiscal_calendar().year_of(due_on)
    periods = calendar.list_periods(session, agency_id=agency_id, year=year, area=Area.LEDGER)
    number = next((one.number for one in periods if one.ends_on == due_on and one.number < ADJUSTMENT_PERIOD), None)
    if number is None:
        raise JobDayNotDue(
            f"{due_on} is not the last day of a period of the agency's books: balances are revalued at such days",
            metadata={"due_on": str(due_on)},
        )
    done = exchange.revalue_balances(session, agency_id=agency_id, year=year, number=number, person_id=person_id, at=at)
    return Result(len(done.items))


def _late(session: Session, agency_id: UUID, due_on: date, person_id: UUID | None, at: datetime) -> Result:
    count, after = 0, None
    while True:
        # Raises LATE_INTEREST_RATE_MISSING for the first payable with a day that has no rate.
        found = late_interest.late_payments(session, agency_id=agency_id, as_of=due_on, after=after, limit=_PAGE)
        count += len(found)
        if len(found) < _PAGE:
            return Result(count)
        after = (found[-1].row.payable_id,)


def _escalation(session: Session, agency_id: UUID, due_on: date, person_id: UUID | None, at: datetime) -> Result:
    waiting = approval_store.overdue(session, at, approval.ESCALATIONS_MAX, agency_id=agency_id)
    opened = sum(approval.escalate(session, approval_id, now=at) for approval_id, _ in waiting)
    return Result(opened, more=len(waiting) >= approval.ESCALATIONS_MAX)


def _proofs(session: Session, agency_id: UUID, due_on: date, person_id: UUID | None, at: datetime) -> Result:
    if person_id is None and not job_store.unproved(session, due_on, agency_id=agency_id):
        # Another process of the service was here first.
        return Result(0)
    held = proving.prove(session)
    job_store.proved(session, agency_id, due_on)
    return Result(held)


ACTS: Mapping[JobKind, Act] = {
    JobKind.JOURNAL_TEMPLATES: _templates,
    JobKind.FUNDS_REVALUATION: _commitments,
    JobKind.BALANCE_REVALUATION: _balances,
    JobKind.LATE_INTEREST: _late,
    JobKind.APPROVAL_ESCALATION: _escalation,
    JobKind.PROOFS: _proofs,
}
