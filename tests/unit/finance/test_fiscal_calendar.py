"""Fiscal years that begin with any month, named by either of their calendar years."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from chassis.dates import Month
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR, PERIODS, FiscalCalendar, Period

JULY_BY_END = FiscalCalendar(7, named_by_its_end=True)
EVERY = [FiscalCalendar(month, named_by_its_end=by_end) for month in range(1, PERIODS + 1) for by_end in (False, True)]


@pytest.mark.parametrize(
    ("calendar", "day", "period"),
    [
        (CALENDAR_YEAR, date(2025, 3, 14), Period(2025, 3)),
        (JULY_BY_END, date(2025, 6, 30), Period(2025, 12)),
        (JULY_BY_END, date(2025, 7, 1), Period(2026, 1)),
        (FiscalCalendar(4), date(2025, 3, 31), Period(2024, 12)),
        (FiscalCalendar(4), date(2025, 4, 1), Period(2025, 1)),
        (FiscalCalendar(1, named_by_its_end=True), date(2025, 12, 31), Period(2025, 12)),
    ],
)
def test_a_day_lies_in_one_period(calendar: FiscalCalendar, day: date, period: Period):
    assert calendar.period_of(day) == period


@pytest.mark.parametrize("calendar", EVERY)
def test_years_follow_each_other_without_gap_and_their_periods_are_their_months(calendar: FiscalCalendar):
    assert calendar.first_day(2026) == calendar.last_day(2025) + timedelta(days=1)
    for number in range(1, PERIODS + 1):
        month = calendar.month_of(Period(2025, number))
        assert {calendar.period_of(day) for day in (month.first, month.last)} == {Period(2025, number)}
    assert calendar.month_of(Period(2025, 1)) == Month.of(calendar.first_day(2025))
    assert calendar.first_day(2025).year == 2025 - (calendar.named_by_its_end and calendar.first_month > 1)


def test_a_month_beyond_the_calendar_is_refused():
    with pytest.raises(ValueError, match="month 13"):
        FiscalCalendar(13)
