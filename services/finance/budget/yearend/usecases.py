"""The end of a budget year: propose, and on another person's approval carry, cancel and lapse in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import authority_store, journals
from services.finance.budget import store as funds
from services.finance.budget.domain import DocumentKind
from services.finance.budget.overrides import settling
from services.finance.budget.yearend import charts, domain, store
from services.finance.budget.yearend.domain import YearEnd, YearEndAct, YearEndStatus
from services.finance.budget.yearend.events import BudgetYearEndChanged
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger.domain import Basis, JournalEntry, Line

# Two lines each; an entry holds at most 2 000.
_PAIRS_PER_ENTRY = 450


def propose(session: Session, wanted: YearEnd) -> YearEnd:
    """Keep the end of a year as PROPOSED. What stands in its way now is told now."""
    domain.check_form(wanted, fiscal_calendar())
    act, blockers = _act(session, wanted, lock=False)
    if blockers:
        raise domain.blocked(blockers)
    proposed = replace(wanted, currency=next((line.currency for line in act.before.values()), ""))
    if not store.insert_year_end(session, proposed):
        raise domain.YearEndExists(
            f"the agency's year {wanted.fiscal_year} has ended or is proposed to end, or has a document "
            f"{wanted.document_number}",
            metadata={"fiscal_year": str(wanted.fiscal_year), "document_number": wanted.document_number},
        )
    outbox.emit(session, BudgetYearEndChanged(proposed))
    approval.begin_on_lines(
        session,
        RoutedKind.BUDGET_YEAR_END,
        proposed.budget_year_end_id,
        proposed.agency_id,
        amount=None,
        budget_line_ids=set(act.before),
        maker_person_id=proposed.proposed_by,
        at=proposed.proposed_at,
    )
    return proposed


def approve(session: Session, budget_year_end_id: UUID, *, person_id: UUID, at: datetime) -> YearEnd:
    """Another person approves, and the year ends: checked again on the locked lines, then all in one transaction."""
    approved = domain.decide(_locked(session, budget_year_end_id), YearEndStatus.APPROVED, by=person_id, at=at)
    name = f"the end of budget year {approved.fiscal_year}"
    approval.passed(session, budget_year_end_id, name, person_id=person_id, step="approve it")
    act, blockers = _act(session, approved, lock=True)
    if blockers:
        raise domain.blocked(blockers)
    owed = store.owed(session, list(act.carried))
    authority_store.save_authority(session, act.before, act.lines)
    funds.save_lines(session, act.before, act.lines)
    entry_id = _post(session, approved, act, owed, person_id=person_id)
    for movements, on, journal_id in (
        (act.ended, fiscal_calendar().last_day(approved.fiscal_year), None),
        (act.opened, approved.opened_on, entry_id),
    ):
        funds.insert_movements(
            session,
            approved.agency_id,
            movements,
            effective_on=on,
            accounting_on=on,
            person_id=person_id,
            journal_entry_id=journal_id,
        )
    funds.save_positions(session, approved.agency_id, act.positions)
    results = act.results()
    store.point_to(session, {one.budget_line_id: one.next_line_id for one in results if one.next_line_id})
    store.close_lines(session, approved.agency_id, approved.fiscal_year)
    done = replace(
        approved,
        lapsed=sum(one.lapsed for one in results),
        carried=sum(one.carried for one in results),
        paid=sum(one.paid for one in results),
        closed_advances=sum(one.closed_advances for one in results),
        line_count=len(results),
    )
    store.save(session, done)
    store.save_results(session, done, results)
    outbox.emit(session, BudgetYearEndChanged(done))
    return done


def reject(session: Session, budget_year_end_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> YearEnd:
    """Another person refuses a proposal, with a reason."""
    return _end(session, budget_year_end_id, YearEndStatus.REJECTED, person_id, reason, at)


def recall(session: Session, budget_year_end_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> YearEnd:
    """The proposer takes the proposal back."""
    return _end(session, budget_year_end_id, YearEndStatus.RECALLED, person_id, reason, at)


def get(session: Session, budget_year_end_id: UUID) -> YearEnd:
    """One document; NOT_FOUND when the caller does not see it."""
    found = store.year_end(session, budget_year_end_id)
    if found is None:
        raise NotFound.resource("budget year end", budget_year_end_id)
    return found


def _end(
    session: Session, budget_year_end_id: UUID, status: YearEndStatus, person_id: UUID, reason: str, at: datetime
) -> YearEnd:
    ended = domain.decide(_locked(session, budget_year_end_id), status, by=person_id, at=at, reason=reason)
    store.save(session, ended)
    outbox.emit(session, BudgetYearEndChanged(ended))
    approval.recall(session, budget_year_end_id)
    return ended


def _locked(session: Session, budget_year_end_id: UUID) -> YearEnd:
    found = store.year_end(session, budget_year_end_id, lock=True)
    if found is None:
        raise NotFound.resource("budget year end", budget_year_end_id)
    return found


def _act(session: Session, year_end: YearEnd, *, lock: bool) -> tuple[YearEndAct, list[str]]:
    """The year's end on its lines, tried or for good, and what stands in its way."""
    calendar, year = fiscal_calendar(), year_end.fiscal_year
    days = {"first_day": calendar.first_day(year), "next_day": calendar.first_day(year + 1)}
    pairs = store.lines_of_year(session, year_end.agency_id, year, **days)
    if not pairs:
        raise NotFound.resource(f"active budget line of {year_end.fiscal_year} of agency", year_end.agency_id)
    next_lines = {line_id: next_id for line_id, next_id in pairs.items() if next_id is not None}
    lines = funds.lock_lines(session, year_end.agency_id, {*pairs, *next_lines.values()}, lock=lock)
    if lock:
        lines = settling.expire(session, year_end.agency_id, lines, on=year_end.opened_on)
    else:
        lines = settling.as_of(session, lines, on=year_end.opened_on)
    named = store.open_document_lines(session, list(pairs))
    positions = [one for one in funds.positions(session, named) if one.key.budget_line_id in pairs]
    act = YearEndAct(year_end, lines, positions, next_lines=next_lines, new_id=new_id, calendar=fiscal_calendar())
    direct = store.direct_spending(session, list(pairs))
    blockers = act.blockers() + store.payables_under_way(session, list(pairs))
    blockers += store.imprests_open(session, year_end.agency_id, year)
    blockers += charts.blockers(session, year_end.agency_id, year, pairs, positions)
    currencies = sorted({line.currency for line in lines})
    if len(currencies) > 1:
        blockers.append(f"the lines are in {', '.join(currencies)}: a year ends in one currency")
    blockers += [
        f"budget line {line_id}: entry {document.document_number} is owed, and no active line of "
        f"{year_end.fiscal_year + 1} has its segments"
        for line_id, document in direct
        if line_id not in next_lines
    ]
    if not blockers:
        act.end(direct)
    return act, blockers


def _post(
    session: Session, year_end: YearEnd, act: YearEndAct, owed: Sequence[Row[Any]], *, person_id: UUID
) -> UUID | None:
    """BUDGET Dr SAL / Cr APR for what next year's lines get; ACCRUAL debts go over to next year's lines (F5)."""
    by_fund: dict[str, int] = {}
    for movement in act.opened:
        fund = act.lines[movement.budget_line_id].fund_code
        by_fund[fund] = by_fund.get(fund, 0) + movement.authority
    currency = next((line.currency for line in act.before.values()), "")
    posted = journals.post_authority(
        session,
        agency_id=year_end.agency_id,
        document_id=year_end.budget_year_end_id,
        source_kind=DocumentKind.YEAR_END.value,
        description=f"Carried from {year_end.fiscal_year} by {year_end.document_number}",
        by_fund=by_fund,
        currency=currency,
        effective_on=year_end.opened_on,
        person_id=person_id,
    )
    next_lines = {one.budget_line_id: one.next_line_id for one in act.results()}
    for start in range(0, len(owed), _PAIRS_PER_ENTRY):
        lines = []
        for row in owed[start : start + _PAIRS_PER_ENTRY]:
            for debt in domain.debts(row.owed, row.foreign_owed, row.currency, row.own):
                for line_id, turned in ((row.budget_line_id, False), (next_lines[row.budget_line_id], True)):
                    debit, credit = (0, abs(debt.minor)) if (debt.minor < 0) != turned else (abs(debt.minor), 0)
                    lines.append(
                        Line(
                            Basis.ACCRUAL,
                            row.fund_code,
                            row.account_code,
                            debit,
                            credit,
                            debt.currency,
                            debt.functional_minor,
                            budget_line_id=line_id,
                            document_line_id=row.document_line_id,
                        )
                    )
        journals.post_one(
            session,
            JournalEntry(
                journal_entry_id=new_id(),
                agency_id=year_end.agency_id,
                effective_on=year_end.opened_on,
                accounting_on=None,
                description=f"Debts of {year_end.fiscal_year} owed under the lines of {year_end.fiscal_year + 1}",
                source_kind="CLOSING",
                source_id=year_end.budget_year_end_id,
                lines=lines,
                person_id=person_id,
            ),
        )
    return posted.entry.journal_entry_id if posted else None
