"""From one chart to the next: successors named, what has none listed, balances carried."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from services.finance.classification import mapping
from services.finance.classification import store as chart
from services.finance.classification.carryover import domain, store
from services.finance.classification.carryover.domain import CarryOver, Holding, Succession, Uncarried
from services.finance.classification.carryover.events import BalancesCarriedOver
from services.finance.classification.domain import Account
from services.finance.classification.pack import fiscal_calendar
from services.finance.classification.segment_store import check_known
from services.finance.classification.segments import Segment
from services.finance.classification.usecases import year_unknown
from services.finance.ledger import usecases as posting
from services.finance.ledger.domain import Basis
from services.finance.ledger.yearend import run_store
from services.finance.ledger.yearend import store as year_end
from services.finance.ledger.yearend import usecases as closing
from services.finance.ledger.yearend.domain import Balance


def create_successions(session: Session, wanted: Sequence[Succession]) -> list[tuple[Succession, bool]]:
    """Name successors, all or none; (succession, is it new) in the order given. Old codes that are open end."""
    chart.lock_classification(session)
    present = store.successions_of(session, {(one.segment, one.old_code) for one in wanted})
    outcome = domain.admit(wanted, present)
    new = [one for one, is_new in outcome if is_new]
    check_known(
        session,
        [
            (one.segment, code, day)
            for one in new
            for code, day in ((one.old_code, _day_before(one)), (one.new_code, one.effective_on))
        ],
    )
    domain.check_accounts(new, _accounts(session, new))
    store.add_successions(session, new)
    return outcome


def _day_before(one: Succession) -> date:
    return one.effective_on - timedelta(days=1)


def _accounts(session: Session, successions: Sequence[Succession]) -> dict[tuple[str, date], Account]:
    """Old accounts by code and the day before, new ones by code and day."""
    of_accounts = [one for one in successions if one.segment is Segment.ACCOUNT]
    rows = chart.accounts_by_code(session, {code for one in of_accounts for code in (one.old_code, one.new_code)})
    wanted = {(one.old_code, _day_before(one)) for one in of_accounts}
    wanted |= {(one.new_code, one.effective_on) for one in of_accounts}
    return {
        (code, day): row
        for code, day in wanted
        for row in rows
        if row.code == code and row.valid_from <= day and (row.valid_to is None or day < row.valid_to)
    }


def uncarried(session: Session, agency_id: UUID, year: int) -> list[Uncarried]:
    """The codes that hold a balance or a budget, or that a bank account or a template which goes on names, end before a
    year and have no successor; by segment and code."""
    holdings = _holdings(session, agency_id, year)
    return _uncarried(session, agency_id, year, holdings)


def _uncarried(session: Session, agency_id: UUID, year: int, holdings: Sequence[Holding]) -> list[Uncarried]:
    calendar = fiscal_calendar()
    first_day = calendar.first_day(year)
    held = {(Segment.ACCOUNT, one.account_code) for one in holdings if one.successor_code == one.account_code}
    budgeted = set(
        store.uncarried_budget(session, agency_id, year, before=calendar.first_day(year - 1), first_day=first_day)
    )
    held |= {(Segment.FUND, one.fund_code) for one in _of_ended_funds(session, agency_id, year)}
    budgeted |= {(Segment.FUND, code) for code in store.funds_with_open_lines(session, agency_id, first_day=first_day)}
    mirrored = {(Segment.ACCOUNT, code) for code in store.cash_without_heir(session, agency_id, first_day=first_day)}
    named = set(store.named_by_templates(session, agency_id, first_day=first_day))
    reasons = (held, budgeted, mirrored, named)
    return [
        Uncarried(*code, *(code in reason for reason in reasons))
        for code in sorted(set().union(*reasons), key=lambda one: (one[0].value, one[1]))
    ]


def _of_ended_funds(session: Session, agency_id: UUID, year: int) -> list[Balance]:
    """What funds hold that end before a year, without what the closing of the year before takes."""
    calendar = fiscal_calendar()
    found = store.fund_balances(session, agency_id, first_day=calendar.first_day(year))
    if not found:
        return []
    targets = closing.targets_of(session, on=calendar.last_day(year - 1))
    return [one for one in found if targets.of(one) is None]


def _holdings(session: Session, agency_id: UUID, year: int) -> list[Holding]:
    """What goes over into a year: not what its closing takes from result accounts and estimates."""
    calendar = fiscal_calendar()
    found = store.holdings(session, agency_id, first_day=calendar.first_day(year))
    if not found:
        return []
    on = calendar.last_day(year - 1)
    targets = closing.targets_of(session, on=on)
    going = [one for one, kind in found if targets.of(_balance(one, kind)) is None]
    return going + _open_estimates(session, agency_id, year - 1, [one for one, _ in found], on)


def _open_estimates(
    session: Session, agency_id: UUID, year: int, holdings: Sequence[Holding], on: date
) -> list[Holding]:
    """What of the appropriations the closing of `year` leaves for budgets that outlive it, where their account ends."""
    open_estimates = year_end.open_estimates(session, agency_id, year, on)
    if not open_estimates:
        return []
    account_code = mapping.account_for(session, "APR", on=on)
    held = [one for one in holdings if (one.basis, one.account_code) == (Basis.BUDGET, account_code)]
    at_its_end = year_end.held_on(session, agency_id, account_code, year)
    return domain.standing(held, at_its_end, open_estimates)


def _balance(one: Holding, kind: str) -> Balance:
    return Balance(one.basis, one.fund_code, one.account_code, kind, one.currency, one.minor, one.functional_minor)


def carry_over(session: Session, *, agency_id: UUID, year: int, person_id: UUID, at: datetime) -> CarryOver:
    """Carry what stands on ended accounts to their successors; a second time, what was posted since."""
    run_store.lock(session, agency_id)
    fiscal_year = chart.fiscal_year_of(session, agency_id, year)
    if fiscal_year is None:
        raise year_unknown(agency_id, year)
    holdings = _holdings(session, agency_id, year)
    missing = _uncarried(session, agency_id, year, holdings)
    if missing:
        raise domain.incomplete(year, missing)
    entries, carried = domain.carry(holdings, fiscal_year.functional_currency)
    carry_over_id, first_day = new_id(), fiscal_calendar().first_day(year)
    entry_ids = posting.post(
        session,
        [
            domain.entry(
                lines,
                journal_entry_id=new_id(),
                agency_id=agency_id,
                source_id=carry_over_id,
                year=year,
                first_day=first_day,
                person_id=person_id,
            )
            for lines in entries
        ],
        at=at,
        person_id=person_id,
    )
    done = CarryOver(carry_over_id, agency_id, year, tuple(entry_ids), person_id, at, tuple(carried))
    store.add(session, done)
    outbox.emit(session, BalancesCarriedOver(done, first_day))
    return done
