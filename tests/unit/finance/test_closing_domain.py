"""Which way a period goes back, who decides, and when a year is final (domain rules §7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from services.finance.classification import domain as calendar
from services.finance.classification.closing import domain
from services.finance.classification.closing.domain import Blocker, BlockerKind, Reopening, ReopeningStatus
from services.finance.classification.domain import Area, FiscalPeriod, FiscalYear, PeriodOutOfTurn, PeriodState
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR

AGENCY, MAKER, CHECKER = UUID(int=1), UUID(int=2), UUID(int=3)
AT = datetime(2026, 2, 3, tzinfo=UTC)
LAST_DAY = date(2025, 12, 31)
YEAR = FiscalYear(UUID(int=9), AGENCY, 2025, "IDR")
SOFT, HARD, OPEN, FUTURE = (
    PeriodState.SOFT_CLOSED,
    PeriodState.HARD_CLOSED,
    PeriodState.OPEN,
    PeriodState.FUTURE,
)


def period(number: int, area: Area = Area.LEDGER, state: PeriodState = SOFT) -> FiscalPeriod:
    made = next(one for one in calendar.periods_of(YEAR, CALENDAR_YEAR) if one.number == number and one.area is area)
    return replace(made, state=state)


def proposal(**values) -> Reopening:
    return Reopening(UUID(int=4), AGENCY, 2025, 3, (Area.LEDGER,), "a late invoice", MAKER, AT, **values)


@pytest.mark.parametrize(("before", "after"), [(SOFT, OPEN), (HARD, SOFT)])
def test_a_period_goes_back_one_step(before: PeriodState, after: PeriodState):
    areas = [period(3, area, before) for area in Area]

    assert {one.state for one in domain.reopen(areas, [], [])} == {after}
    assert proposal(from_state=before).to_state is after


@pytest.mark.parametrize("states", [(OPEN,), (FUTURE,), (SOFT, HARD)])
def test_only_areas_that_are_closed_alike_are_opened_in_one_act(states: tuple[PeriodState, ...]):
    periods = [period(3, area, state) for area, state in zip(Area, states, strict=False)]

    with pytest.raises(PeriodOutOfTurn):
        domain.reopen(periods, [], [])


def test_months_that_closed_for_good_in_order_go_back_the_other_way_round():
    march = [period(3, state=HARD)]

    with pytest.raises(PeriodOutOfTurn, match="2025-05"):
        domain.reopen(march, [], [period(4, state=HARD), period(5, state=HARD), period(6, state=SOFT)])
    assert domain.reopen(march, [], [period(4, state=SOFT)])[0].state is SOFT


def test_an_area_is_not_opened_under_a_ledger_that_is_closed_for_good():
    stock = [period(3, Area.STOCK, HARD)]

    with pytest.raises(PeriodOutOfTurn, match="ledger"):
        domain.reopen(stock, [period(3, Area.LEDGER, HARD)], [])
    assert domain.reopen(stock, [period(3, Area.LEDGER, SOFT)], [])[0].state is SOFT


def test_another_person_decides_and_the_proposer_alone_recalls():
    with pytest.raises(domain.SamePerson):
        domain.decide(proposal(), ReopeningStatus.APPROVED, by=MAKER, at=AT)
    with pytest.raises(domain.SamePerson):
        domain.decide(proposal(), ReopeningStatus.REJECTED, by=MAKER, at=AT)
    with pytest.raises(domain.NotTheProposer):
        domain.decide(proposal(), ReopeningStatus.RECALLED, by=CHECKER, at=AT)
    decided = domain.decide(proposal(), ReopeningStatus.APPROVED, by=CHECKER, at=AT)
    assert (decided.status, decided.decided_by) == (ReopeningStatus.APPROVED, CHECKER)
    assert domain.decide(proposal(), ReopeningStatus.RECALLED, by=MAKER, at=AT).decided_by == MAKER


def test_what_was_decided_is_not_decided_again():
    decided = domain.decide(proposal(), ReopeningStatus.REJECTED, by=CHECKER, at=AT)

    for status in (ReopeningStatus.APPROVED, ReopeningStatus.REJECTED, ReopeningStatus.RECALLED):
        with pytest.raises(domain.ReopeningNotProposed):
            domain.decide(decided, status, by=CHECKER, at=AT)


def closed_year(adjustment: PeriodState = FUTURE) -> list[FiscalPeriod]:
    return [period(number, area, HARD if number < 13 else adjustment) for number in range(1, 14) for area in Area]


@pytest.mark.parametrize("adjustment", [FUTURE, HARD])
def test_statements_are_issued_when_nothing_of_the_year_may_change(adjustment: PeriodState):
    issued = domain.issue(
        YEAR,
        closed_year(adjustment),
        issued_on=date(2026, 2, 1),
        document_number="LK-1",
        today=AT.date(),
        ends_on=LAST_DAY,
    )

    assert issued.statements_issued_on == date(2026, 2, 1)
    with pytest.raises(domain.StatementsIssued):
        domain.issue(
            issued, closed_year(), issued_on=date(2026, 2, 2), document_number="LK-2", today=AT.date(), ends_on=LAST_DAY
        )
    with pytest.raises(domain.StatementsIssued):
        domain.check_not_issued(issued)


@pytest.mark.parametrize("adjustment", [OPEN, SOFT])
def test_statements_wait_for_an_adjustment_period_that_was_opened(adjustment: PeriodState):
    with pytest.raises(domain.YearNotClosed, match="LEDGER 13"):
        domain.issue(
            YEAR,
            closed_year(adjustment),
            issued_on=date(2026, 2, 1),
            document_number="L",
            today=AT.date(),
            ends_on=LAST_DAY,
        )


@pytest.mark.parametrize("issued_on", [date(2025, 12, 31), date(2026, 2, 4)])
def test_statements_are_issued_after_their_year_and_not_in_the_future(issued_on: date):
    with pytest.raises(Exception, match="issued_on"):
        domain.issue(
            YEAR, closed_year(), issued_on=issued_on, document_number="LK-1", today=AT.date(), ends_on=LAST_DAY
        )


@pytest.mark.parametrize(("december", "opens"), [(FUTURE, False), (OPEN, False), (SOFT, True), (HARD, True)])
def test_the_adjustment_period_opens_after_the_last_month(december: PeriodState, opens: bool):
    earlier = [period(number, state=HARD) for number in range(1, 12)] + [period(12, state=december)]
    adjustment = period(13, state=FUTURE)

    if opens:
        assert calendar.move(adjustment, OPEN, [], earlier).state is OPEN
    else:
        with pytest.raises(PeriodOutOfTurn, match="after the last month"):
            calendar.move(adjustment, OPEN, [], earlier)


def test_a_refused_close_tells_the_first_of_what_blocks_it():
    blockers = [Blocker(BlockerKind.EVENT_PARKED, Area.LEDGER, str(n), f"event {n} is parked") for n in range(10)]

    refusal = domain.blocked(2025, 3, blockers, more=True)

    assert refusal.metadata["blockers"] == "more than 10"
    assert refusal.metadata["blocker_10"] == "EVENT_PARKED: event 9 is parked"
