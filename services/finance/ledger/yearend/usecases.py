"""Closing a year: load, decide, post, note."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from services.finance.classification import mapping
from services.finance.classification import store as calendar
from services.finance.classification.closing.domain import check_not_issued
from services.finance.classification.domain import ADJUSTMENT_PERIOD, Area
from services.finance.classification.pack import fiscal_calendar
from services.finance.classification.usecases import year_unknown
from services.finance.ledger import usecases as posting
from services.finance.ledger.yearend import domain, run_store, store
from services.finance.ledger.yearend.domain import Targets, YearClosing
from services.finance.ledger.yearend.events import FiscalYearClosed


def close(session: Session, *, agency_id: UUID, year: int, person_id: UUID, at: datetime) -> YearClosing:
    """Close what a year's result accounts hold; a second time, what was posted since."""
    run_store.lock(session, agency_id)
    # Held against a reopening and against adjustments that are being posted: nothing slips in behind the sums.
    calendar.lock_periods(
        session, agency_id=agency_id, year=year, numbers=range(1, ADJUSTMENT_PERIOD + 1), areas=[Area.LEDGER]
    )
    fiscal_year = calendar.fiscal_year_of(session, agency_id, year)
    if fiscal_year is None:
        raise year_unknown(agency_id, year)
    check_not_issued(fiscal_year)
    domain.check_ready(calendar.list_periods(session, agency_id=agency_id, year=year, area=Area.LEDGER))
    currency, last_day = fiscal_year.functional_currency, fiscal_calendar().last_day(year)
    targets = targets_of(session, on=last_day)
    balances = store.balances(session, agency_id, year, currency, last_day)
    open_estimates = store.open_estimates(session, agency_id, year, last_day)
    if open_estimates:
        appropriations = mapping.account_for(session, "APR", on=last_day)
        balances = domain.without_open(balances, open_estimates, appropriations, currency)
    entries, results = domain.close(balances, targets, currency)
    closing_id = new_id()
    entry_ids = posting.post(
        session,
        [
            domain.entry(
                lines,
                journal_entry_id=new_id(),
                agency_id=agency_id,
                source_id=closing_id,
                year=year,
                last_day=last_day,
                person_id=person_id,
            )
            for lines in entries
        ],
        at=at,
        person_id=person_id,
    )
    done = YearClosing(
        closing_id, agency_id, year, tuple(entry_ids), person_id, at, tuple(results), tuple(open_estimates)
    )
    store.add(session, done)
    outbox.emit(session, FiscalYearClosed(done))
    return done


def targets_of(session: Session, *, on: date) -> Targets:
    """The accounts that a closing on a day carries results and estimates to."""
    roles = mapping.accounts_for(session, [("EQUITY", ""), ("SAL-RESULT", ""), ("SAL", "")], on=on)
    return Targets(roles["EQUITY", ""], roles["SAL-RESULT", ""], roles["SAL", ""])
