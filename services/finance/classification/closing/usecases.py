"""Reopenings, blockers and the issue of statements: load, decide, save, emit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.approval.domain import Subject
from services.finance.classification import store as calendar
from services.finance.classification import usecases as calendar_usecases
from services.finance.classification.closing import blocker_store, domain, store
from services.finance.classification.closing.domain import Blocker, Reopening, ReopeningStatus
from services.finance.classification.closing.events import FinancialStatementsIssued, FiscalPeriodReopened
from services.finance.classification.domain import (
    ADJUSTMENT_PERIOD,
    Area,
    FiscalPeriod,
    FiscalYear,
    PeriodOutOfTurn,
)
from services.finance.classification.pack import fiscal_calendar


def propose(session: Session, reopening: Reopening) -> Reopening:
    """Record a proposal; what could not be approved now is refused now."""
    before, _ = _reopened(session, reopening)
    if store.pending(session, reopening.agency_id, reopening.year, reopening.number) is not None:
        raise domain.ReopeningPending(
            f"period {reopening.year}-{reopening.number:02} has a proposal already: decide on it first",
            metadata={"year": str(reopening.year), "number": str(reopening.number)},
        )
    proposed = replace(reopening, from_state=domain.common_state(before))
    store.add(session, proposed)
    subject = Subject(
        RoutedKind.FISCAL_PERIOD_REOPENING,
        proposed.fiscal_period_reopening_id,
        proposed.agency_id,
        None,
        frozenset(),
        proposed.proposed_by,
    )
    approval.begin(session, subject, at=proposed.proposed_at)
    return proposed


def approve(
    session: Session, fiscal_period_reopening_id: UUID, *, person_id: UUID, at: datetime
) -> tuple[Reopening, list[FiscalPeriod]]:
    """Bring the period one step back; the reopening and the periods as they are now."""
    reopening = _for_update(session, fiscal_period_reopening_id)
    approved = domain.decide(reopening, ReopeningStatus.APPROVED, by=person_id, at=at)
    name = f"the reopening of period {reopening.year}-{reopening.number:02}"
    approval.passed(session, fiscal_period_reopening_id, name, person_id=person_id, step="approve it")
    before, after = _reopened(session, reopening)
    state = domain.common_state(before)
    if state is not reopening.from_state:
        raise PeriodOutOfTurn(
            f"period {reopening.year}-{reopening.number:02} was {reopening.from_state.value} when this was proposed, "
            f"it is {state.value} now: propose it anew",
            metadata={"state": state.value},
        )
    calendar.save_states(session, after, at=at)
    store.save_decision(session, approved)
    outbox.emit(session, FiscalPeriodReopened(approved))
    return approved, after


def reject(
    session: Session, fiscal_period_reopening_id: UUID, *, person_id: UUID, reason: str, at: datetime
) -> Reopening:
    """Refuse a proposal of another person."""
    return _settle(session, fiscal_period_reopening_id, ReopeningStatus.REJECTED, person_id, reason, at)


def recall(
    session: Session, fiscal_period_reopening_id: UUID, *, person_id: UUID, reason: str, at: datetime
) -> Reopening:
    """Take one's own proposal back."""
    return _settle(session, fiscal_period_reopening_id, ReopeningStatus.RECALLED, person_id, reason, at)


def get(session: Session, fiscal_period_reopening_id: UUID) -> Reopening:
    """One reopening."""
    found = store.get(session, fiscal_period_reopening_id)
    if found is None:
        raise NotFound.resource("fiscal period reopening", fiscal_period_reopening_id)
    return found


def blockers(
    session: Session,
    *,
    agency_id: UUID,
    year: int,
    number: int,
    areas: Sequence[Area],
    after: tuple[str, str] | None,
    limit: int,
) -> list[Blocker]:
    """What stands in the way of closing a period for good in `areas` (none: all)."""
    periods = calendar.list_periods(session, agency_id=agency_id, year=year)
    period = next((one for one in periods if one.number == number), None)
    if period is None:
        raise calendar_usecases.year_unknown(agency_id, year)
    return blocker_store.blockers(session, period, areas or Area, after=after, limit=limit)


def issue_statements(
    session: Session,
    *,
    agency_id: UUID,
    year: int,
    issued_on: date,
    document_number: str,
    person_id: UUID,
    at: datetime,
) -> FiscalYear:
    """Record that a year's statements are issued. Holds all its periods, so nothing is opened beside it."""
    calendar.lock_periods(
        session, agency_id=agency_id, year=year, numbers=range(1, ADJUSTMENT_PERIOD + 1), areas=list(Area)
    )
    fiscal_year = _year(session, agency_id, year)
    periods = calendar.list_periods(session, agency_id=agency_id, year=year)
    issued = domain.issue(
        fiscal_year,
        periods,
        issued_on=issued_on,
        document_number=document_number,
        today=at.date(),
        ends_on=fiscal_calendar().last_day(fiscal_year.year),
    )
    store.add_statements(session, issued, person_id=person_id, at=at)
    outbox.emit(session, FinancialStatementsIssued(issued))
    return issued


def _year(session: Session, agency_id: UUID, year: int) -> FiscalYear:
    found = calendar.fiscal_year_of(session, agency_id, year)
    if found is None:
        raise calendar_usecases.year_unknown(agency_id, year)
    return found


def _for_update(session: Session, fiscal_period_reopening_id: UUID) -> Reopening:
    found = store.get(session, fiscal_period_reopening_id, lock=True)
    if found is None:
        raise NotFound.resource("fiscal period reopening", fiscal_period_reopening_id)
    return found


def _settle(
    session: Session,
    fiscal_period_reopening_id: UUID,
    status: ReopeningStatus,
    person_id: UUID,
    reason: str,
    at: datetime,
) -> Reopening:
    reopening = _for_update(session, fiscal_period_reopening_id)
    settled = domain.decide(reopening, status, by=person_id, at=at, decision_reason=reason)
    store.save_decision(session, settled)
    approval.recall(session, fiscal_period_reopening_id)
    return settled


def _reopened(session: Session, reopening: Reopening) -> tuple[list[FiscalPeriod], list[FiscalPeriod]]:
    """(the periods as they are, the periods one step back), all that decide about it held from here on."""
    agency_id, year, number = reopening.agency_id, reopening.year, reopening.number
    # The later ones too: none of them is closed for good while an earlier one is opened.
    numbers = range(number, ADJUSTMENT_PERIOD + 1)
    calendar.lock_periods(session, agency_id=agency_id, year=year, numbers=numbers, areas=list(Area))
    domain.check_not_issued(_year(session, agency_id, year))
    current = calendar.list_periods(session, agency_id=agency_id, year=year)
    wanted = [period for period in current if period.number == number and period.area in reopening.areas]
    others = [period for period in current if period.number == number and period.area not in reopening.areas]
    later = [period for period in current if period.number > number and period.area in reopening.areas]
    return wanted, domain.reopen(wanted, others, later)
