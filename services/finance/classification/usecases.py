"""Changes of the classification and the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.classification import domain, store
from services.finance.classification.closing import blocker_store
from services.finance.classification.closing import domain as closing
from services.finance.classification.domain import (
    Account,
    AccountMapping,
    Area,
    DimensionValue,
    FiscalPeriod,
    FiscalYear,
    PeriodState,
)
from services.finance.classification.pack import fiscal_calendar


def create_accounts(session: Session, accounts: Sequence[Account]) -> list[tuple[Account, bool]]:
    """Add accounts, all or none; (account, is it new) in the order given. No code comes to stand above itself."""
    store.lock_classification(session)
    codes = {a.code for a in accounts} | {a.parent_code for a in accounts if a.parent_code}
    outcome = domain.admit(accounts, store.accounts_by_code(session, codes))
    added = [row for row, is_new in outcome if is_new]
    domain.check_acyclic(added, store.accounts_above(session, added))
    store.add_accounts(session, added)
    return outcome


def create_dimension_values(session: Session, values: Sequence[DimensionValue]) -> list[tuple[DimensionValue, bool]]:
    """Add dimension values, all or none; (value, is it new) in the order given. None comes to stand above itself."""
    store.lock_classification(session)
    keys = {v.key for v in values} | {v.parent_key for v in values if v.parent_key is not None}
    outcome = domain.admit(values, store.dimension_values_by_key(session, keys))
    added = [row for row, is_new in outcome if is_new]
    domain.check_acyclic(added, store.dimension_values_above(session, added))
    store.add_dimension_values(session, added)
    return outcome


def create_mappings(session: Session, mappings: Sequence[AccountMapping]) -> list[tuple[AccountMapping, bool]]:
    """Add mapping rules, all or none; (rule, is it new) in the order given."""
    store.lock_classification(session)
    outcome = domain.admit(mappings, store.mappings_by_key(session, {m.key for m in mappings}))
    store.add_mappings(session, [row for row, is_new in outcome if is_new])
    return outcome


def create_fiscal_year(session: Session, fiscal_year: FiscalYear, *, at: datetime) -> FiscalYear:
    """Add an agency's year with its periods, all FUTURE. Refused when the agency has it."""
    store.lock_classification(session)
    if store.fiscal_year_of(session, fiscal_year.agency_id, fiscal_year.year) is not None:
        raise domain.FiscalYearExists(
            f"agency {fiscal_year.agency_id} has the fiscal year {fiscal_year.year} already",
            metadata={"agency_id": str(fiscal_year.agency_id), "year": str(fiscal_year.year)},
        )
    store.add_fiscal_year(session, fiscal_year, domain.periods_of(fiscal_year, fiscal_calendar()), at=at)
    return fiscal_year


def get_fiscal_year(session: Session, fiscal_year_id: UUID) -> FiscalYear:
    """One fiscal year."""
    found = store.fiscal_year(session, fiscal_year_id)
    if found is None:
        raise NotFound.resource("fiscal year", fiscal_year_id)
    return found


def move_periods(
    session: Session,
    *,
    agency_id: UUID,
    year: int,
    first_number: int,
    last_number: int,
    areas: Sequence[Area],
    state: PeriodState,
    at: datetime,
) -> list[FiscalPeriod]:
    """Bring periods to `state` (in `areas`, or all): waits for the postings that hold them, then nothing lands.

    Periods that are in that state already stay as they are. Refused for all or none: out of turn, opened after the
    year's statements were issued, closed for good while something stands in the way.
    """
    # The ledger goes last, so that one act may close an agency's month in every area.
    wanted = sorted(areas or Area, key=lambda area: area is Area.LEDGER)
    store.lock_periods(
        session, agency_id=agency_id, year=year, numbers=range(first_number, last_number + 1), areas=wanted
    )
    # The others are only looked at: one that is opened again meanwhile holds these too (closing/usecases.py).
    current = {(p.number, p.area): p for p in store.list_periods(session, agency_id=agency_id, year=year)}
    fiscal_year = store.fiscal_year_of(session, agency_id, year)
    if fiscal_year is None:
        raise year_unknown(agency_id, year)
    if state is PeriodState.OPEN:
        closing.check_not_issued(fiscal_year)
    moved = []
    for number in range(first_number, last_number + 1):
        for area in wanted:
            others = [p for p in current.values() if p.number == number and p.area is not area]
            earlier = [p for p in current.values() if p.number < number and p.area is area]
            period = domain.move(current[number, area], state, others, earlier)
            current[number, area] = period
            moved.append(period)
    if state is PeriodState.HARD_CLOSED:
        _check_nothing_blocks(session, moved)
    store.save_states(session, moved, at=at)
    return sorted(moved, key=lambda p: (p.number, p.area.value))


def year_unknown(agency_id: UUID, year: int) -> domain.FiscalYearUnknown:
    """The refusal of an act on a year that the agency does not have."""
    return domain.FiscalYearUnknown(
        f"agency {agency_id} has no fiscal year {year}: create it first",
        metadata={"agency_id": str(agency_id), "year": str(year)},
    )


def _check_nothing_blocks(session: Session, closed: Sequence[FiscalPeriod]) -> None:
    """Refuse to close one period for good in its areas while something that belongs into it is not there."""
    limit = closing.BLOCKERS_SHOWN_MAX
    found = blocker_store.blockers(session, closed[0], [period.area for period in closed], limit=limit + 1)
    if found:
        raise closing.blocked(closed[0].year, closed[0].number, found[:limit], more=len(found) > limit)
