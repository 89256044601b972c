"""Contracts of several years: propose, decide, and obligate each year's slice when its year is opened."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import KelolaError, NotFound
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import domain as funds
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item, Line, LineStatus
from services.finance.budget.store import biggest_users, lock_lines
from services.finance.budget.years import domain, store
from services.finance.budget.years.domain import Authorisation, AuthorisationStatus, Slice
from services.finance.budget.years.events import MultiYearAuthorisationChanged
from services.finance.classification.fiscal_calendar import Period
from services.finance.classification.pack import fiscal_calendar


def propose(session: Session, wanted: Authorisation) -> Authorisation:
    """Keep an authorisation as PROPOSED; it obligates nothing before another person approves it."""
    first_id = wanted.slices[0].budget_line_id
    first = None if first_id is None else _line(session, wanted, first_id)
    domain.check_form(wanted, first, fiscal_calendar())
    if not store.insert_authorisation(session, wanted):
        raise domain.ContractAuthorised(
            f"the agency has a multi-year authorisation {wanted.document_number}, or one of contract "
            f"{wanted.contract_number}",
            metadata={"document_number": wanted.document_number, "contract_id": str(wanted.contract_id)},
        )
    outbox.emit(session, MultiYearAuthorisationChanged(wanted))
    approval.begin_on_lines(
        session,
        RoutedKind.MULTI_YEAR_AUTHORISATION,
        wanted.multi_year_authorisation_id,
        wanted.agency_id,
        amount=Money(wanted.ceiling, wanted.currency),
        budget_line_ids={part.budget_line_id for part in wanted.slices if part.budget_line_id is not None},
        maker_person_id=wanted.proposed_by,
        at=wanted.proposed_at,
    )
    return wanted


def approve(session: Session, authorisation_id: UUID, *, person_id: UUID, at: datetime) -> Authorisation:
    """Another person approves: the first year's slice, and those that its line pays too, are obligated in the same
    transaction; the others wait."""
    approved = domain.decide(_locked(session, authorisation_id), AuthorisationStatus.APPROVED, by=person_id, at=at)
    name = f"multi-year authorisation {approved.document_number}"
    approval.passed(session, authorisation_id, name, person_id=person_id, step="approve it")
    first, on = approved.slices[0], approved.effective_on
    assert first.budget_line_id is not None, "check_form saw to it"
    parts = _obligate(session, approved, first, first.budget_line_id, on=on, person_id=person_id)
    approved = replace(domain.obligated(approved, parts, on), version=approved.version)
    store.save(session, approved)
    outbox.emit(session, MultiYearAuthorisationChanged(approved))
    return approved


def reject(session: Session, authorisation_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Authorisation:
    """Another person refuses a proposal, with a reason."""
    return _end(session, authorisation_id, AuthorisationStatus.REJECTED, person_id, reason, at)


def recall(session: Session, authorisation_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Authorisation:
    """The proposer takes the proposal back."""
    return _end(session, authorisation_id, AuthorisationStatus.RECALLED, person_id, reason, at)


def open_year(session: Session, agency_id: UUID, fiscal_year: int, *, on: date, person_id: UUID) -> list[Authorisation]:
    """Obligate the slices of a year that wait, in the order of their approval; the authorisations looked at.

    Called by the activation of the year's appropriation, in its transaction, so that nobody is before them; and again
    when budget has come. A slice without a line, or without enough budget, keeps its reason and goes on waiting.
    """
    looked_at = []
    planned = [_planned(session, one, fiscal_year) for one in store.lock_waiting(session, agency_id, fiscal_year)]
    # All lines at once and in their one order: the slices come in the order of their approval, and an act on two of the
    # lines would otherwise hold one of them and wait for the other, while this one waits for the first.
    lock_lines(session, agency_id, {found for _, _, found in planned if not isinstance(found, KelolaError)})
    for one, waiting, found in planned:
        try:
            if isinstance(found, KelolaError):
                raise found
            parts = _obligate(session, one, waiting, found, on=on, person_id=person_id)
            changed = domain.obligated(one, parts, on)
        except KelolaError as refusal:
            # Whatever stops one slice stops neither the others nor the year. Nothing of it was written: an act is
            # written after all its checks.
            after = replace(waiting, exception=refusal.message)
            changed = one if after == waiting else domain.with_slice(one, after)
        if changed is not one:
            store.save(session, changed)
            outbox.emit(session, MultiYearAuthorisationChanged(changed))
        looked_at.append(changed)
    return looked_at


def _planned(session: Session, one: Authorisation, fiscal_year: int) -> tuple[Authorisation, Slice, UUID | KelolaError]:
    """An authorisation with its slice of a year, and the line that pays it or why there is none."""
    waiting = next(part for part in one.slices if part.fiscal_year == fiscal_year)
    try:
        return one, waiting, _line_for(session, one, waiting)
    except KelolaError as refusal:
        return one, waiting, refusal


def get(session: Session, authorisation_id: UUID) -> Authorisation:
    """One authorisation; NOT_FOUND when the caller does not see it."""
    found = store.authorisation(session, authorisation_id)
    if found is None:
        raise NotFound.resource("multi-year authorisation", authorisation_id)
    return found


def _end(
    session: Session,
    authorisation_id: UUID,
    status: AuthorisationStatus,
    person_id: UUID,
    reason: str,
    at: datetime,
) -> Authorisation:
    ended = domain.decide(_locked(session, authorisation_id), status, by=person_id, at=at, reason=reason)
    store.save(session, ended)
    outbox.emit(session, MultiYearAuthorisationChanged(ended))
    approval.recall(session, authorisation_id)
    return ended


def _locked(session: Session, authorisation_id: UUID) -> Authorisation:
    found = store.authorisation(session, authorisation_id, lock=True)
    if found is None:
        raise NotFound.resource("multi-year authorisation", authorisation_id)
    return found


def _line(session: Session, one: Authorisation, line_id: UUID) -> Line:
    """A line of the agency as it is now, not locked: its years and segments never change."""
    lines = lock_lines(session, one.agency_id, [line_id], lock=False)
    return next(line for line in lines if line.budget_line_id == line_id)


def _line_for(session: Session, one: Authorisation, waiting: Slice) -> UUID:
    """The line that the slice names; else the one that paid the slice before, where it reaches into the year; else the
    year's line with that one's segments, or the codes that have taken their place since."""
    if waiting.budget_line_id is not None:
        return waiting.budget_line_id
    earlier = [part for part in one.slices if part.fiscal_year < waiting.fiscal_year and part.budget_line_id]
    before_id = earlier[-1].budget_line_id
    assert before_id is not None, "the first slice has a line"
    before = _line(session, one, before_id)
    if before.covers(waiting.fiscal_year):
        return before_id
    calendar = fiscal_calendar()
    found = store.same_line_of(
        session,
        before_id,
        waiting.fiscal_year,
        first_day=calendar.first_day(before.fiscal_year),
        next_day=calendar.first_day(waiting.fiscal_year),
    )
    if found is None:
        raise NotFound.resource(f"active budget line of {waiting.fiscal_year} with the segments of line", before_id)
    return found


def _obligate(
    session: Session, one: Authorisation, part: Slice, line_id: UUID, *, on: date, person_id: UUID
) -> list[Slice]:
    """O of a slice on its line, and of later ones that the line pays too; refused before anything is written.

    Checked as every obligation is. A slice in another currency than its line is obligated at the rate of the day on
    which it is.
    """
    act = budget.begin(
        session,
        one.agency_id,
        Document(DocumentKind.CONTRACT, one.contract_id, one.contract_number),
        effective_on=on,
        budget_line_ids=[line_id],
        document_line_ids=[each.document_line_id for each in one.slices],
        currencies=[one.currency],
    )
    line = act.lines[line_id]
    if not line.covers(part.fiscal_year) or line.status is not LineStatus.ACTIVE:
        raise funds.BudgetLineNotUsable(
            f"budget line {line.organisation_code} {line.account_code} ({line_id}) of {line.fiscal_year} is "
            f"{line.status.value}; the slice of {Money(part.amount, one.currency)} is of {part.fiscal_year}",
            metadata={"budget_line_id": str(line_id)},
        )
    parts = domain.at_once(one, part, line)
    for each in parts:
        # What is of a later year than the act falls due in that year's first period, for the releases to date.
        later = each.fiscal_year > fiscal_calendar().year_of(on)
        schedule = ((Period(each.fiscal_year, 1), each.amount),) if later else ()
        act.obligate(Item(each.document_line_id, line_id, each.amount, one.currency, schedule=schedule))
    short = act.shortages()
    if short:
        raise funds.exceeded(short, biggest_users(session, short[0].line.budget_line_id))
    budget.settle(session, act, one.agency_id, effective_on=on, person_id=person_id)
    budget.tell_obligated(session, act, one.agency_id)
    return parts
