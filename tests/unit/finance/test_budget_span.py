"""The span of a project's budget on plain values: which years and days it holds, and how its periods run on."""

from __future__ import annotations

from datetime import date

import pytest

from chassis.errors import InvalidArgument
from services.finance.budget.span import Span, current_period, period_within, running_period, span_of
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR, FiscalCalendar, Period

# Sembara's year 2026 is July 2025 to June 2026.
JULY_TO_JUNE = FiscalCalendar(first_month=7, named_by_its_end=True)


def test_a_span_ends_with_the_fiscal_year_of_its_last_day():
    calendar_years = span_of(date(2025, 3, 1), date(2028, 1, 1), fiscal_year=2025, calendar=CALENDAR_YEAR)
    other_years = span_of(date(2025, 7, 1), date(2027, 7, 1), fiscal_year=2026, calendar=JULY_TO_JUNE)

    assert calendar_years == Span(date(2025, 3, 1), date(2028, 1, 1), 2027)
    assert other_years == Span(date(2025, 7, 1), date(2027, 7, 1), 2027)
    assert span_of(None, None, fiscal_year=2025, calendar=CALENDAR_YEAR) is None


@pytest.mark.parametrize(
    ("valid_from", "valid_to"),
    [
        (date(2025, 1, 1), None),
        (None, date(2026, 6, 1)),
        # Begins in another year than the budget's first, ends within the first, ends before it begins.
        (date(2024, 12, 31), date(2026, 6, 1)),
        (date(2025, 1, 1), date(2026, 1, 1)),
        (date(2025, 6, 1), date(2025, 5, 1)),
    ],
)
def test_what_is_no_span_of_several_years_is_refused(valid_from: date | None, valid_to: date | None):
    with pytest.raises(InvalidArgument):
        span_of(valid_from, valid_to, fiscal_year=2025, calendar=CALENDAR_YEAR)


def test_a_last_year_gives_a_span_of_whole_years():
    whole = span_of(None, None, last_year=2028, fiscal_year=2026, calendar=JULY_TO_JUNE)

    assert whole == Span(date(2025, 7, 1), date(2028, 7, 1), 2028)


@pytest.mark.parametrize(("day", "last_year"), [(None, 2025), (None, 2024), (date(2025, 1, 1), 2026)])
def test_a_last_year_is_after_the_first_and_instead_of_days(day: date | None, last_year: int):
    with pytest.raises(InvalidArgument):
        span_of(day, day, last_year=last_year, fiscal_year=2025, calendar=CALENDAR_YEAR)


def test_the_last_day_of_a_span_is_the_one_before_it_ends():
    span = Span(date(2025, 3, 1), date(2027, 3, 1), 2027)

    held = [span.holds(day) for day in (date(2025, 2, 28), date(2025, 3, 1), date(2027, 2, 28), date(2027, 3, 1))]

    assert held == [False, True, True, False]


def test_periods_run_on_over_the_years_of_a_span():
    assert [running_period(2025, 2027, Period(2025 + n, 3)) for n in (-1, 0, 1, 2, 3)] == [1, 3, 15, 27, None]
    assert [current_period(2025, 2027, Period(2025 + n, 3)) for n in (-1, 0, 1, 2, 3)] == [1, 3, 15, 27, 36]
    assert [period_within(running) for running in (1, 12, 13, 24, 36)] == [1, 12, 1, 12, 12]


def test_a_line_of_one_year_counts_the_periods_of_its_year():
    assert [running_period(2025, 2025, Period(year, 4)) for year in (2024, 2025, 2026)] == [1, 4, None]
    assert [current_period(2025, 2025, Period(year, 4)) for year in (2024, 2025, 2026)] == [1, 4, 12]
