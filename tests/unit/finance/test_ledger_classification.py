"""Dated trees, the mapping, and the order of period states."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from chassis.errors import InvalidArgument
from services.finance.classification.domain import (
    AccountMapping,
    Area,
    ClassificationConflict,
    DimensionValue,
    FiscalYear,
    Method,
    ParentUnknown,
    PeriodOutOfTurn,
    PeriodState,
    admit,
    move,
    periods_of,
)
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR, FiscalCalendar
from services.finance.ledger.report_store import last_ended

FROM = date(2025, 1, 1)


def value(code: str = "A", **values) -> DimensionValue:
    """A valid dimension value."""
    return DimensionValue(
        **{
            "dimension_value_id": uuid4(),
            "kind": "PROGRAM",
            "code": code,
            "parent_code": "",
            "display_name": f"Programme {code}",
            "valid_from": FROM,
            **values,
        }
    )


def rule(prefix: str, account_code: str, method: Method = Method.MIRROR) -> AccountMapping:
    """A mapping rule."""
    return AccountMapping(uuid4(), "EXP", prefix, method, account_code, "", FROM)


def test_what_is_there_with_the_same_content_is_taken_as_it_is():
    there = value()

    assert admit([value()], [there]) == [(there, False)]
    assert admit([value("B")], [there])[0][1]


def test_two_rows_of_one_code_may_not_hold_on_one_day():
    there = value(valid_to=date(2026, 1, 1))
    later = value(display_name="Renamed", valid_from=date(2026, 1, 1))

    assert admit([later], [there]) == [(later, True)]
    with pytest.raises(ClassificationConflict):
        admit([value(display_name="Renamed", valid_from=date(2025, 12, 31))], [there])
    with pytest.raises(ClassificationConflict):
        admit([later, value(display_name="Twice", valid_from=date(2027, 1, 1))], [there])


def test_a_child_needs_its_parent_on_its_first_day():
    child = value("A.1", parent_code="A")

    assert admit([child, value("A")], [])[0] == (child, True)
    for parents in ([], [value("A", valid_from=date(2025, 1, 2))], [value("A", kind="PROJECT")]):
        with pytest.raises(ParentUnknown):
            admit([child], parents)


def test_a_row_ends_after_it_begins():
    with pytest.raises(InvalidArgument):
        admit([value(valid_to=FROM)], [])


def test_a_rule_covers_whole_levels():
    one = rule("5.1.02", "8.1.02")

    assert one.covers("5.1.02")
    assert one.covers("5.1.02.01")
    assert not one.covers("5.1.021")
    assert rule("", "2.1.06.90").covers("")


def test_a_mirrored_code_falls_back_to_what_lies_above_it_and_never_above_the_rule():
    assert rule("5.1", "8.1").candidates("5.1.02.01") == ["8.1.02.01", "8.1.02", "8.1"]
    assert rule("", "2.1.06.90", Method.FIXED).candidates("5.1.02.01") == ["2.1.06.90"]


def year() -> list:
    return periods_of(FiscalYear(UUID(int=1), UUID(int=2), 2025, "IDR"), CALENDAR_YEAR)


def test_a_year_is_covered_day_by_day_in_every_area():
    for area in Area:
        months = [p for p in year() if p.area is area and p.number <= 12]
        assert months[0].starts_on == date(2025, 1, 1)
        assert months[-1].ends_on == date(2025, 12, 31)
        assert all((b.starts_on - a.ends_on).days == 1 for a, b in pairwise(months))


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (PeriodState.FUTURE, PeriodState.SOFT_CLOSED),
        (PeriodState.FUTURE, PeriodState.HARD_CLOSED),
        (PeriodState.OPEN, PeriodState.HARD_CLOSED),
        (PeriodState.SOFT_CLOSED, PeriodState.OPEN),
        (PeriodState.HARD_CLOSED, PeriodState.OPEN),
        (PeriodState.HARD_CLOSED, PeriodState.SOFT_CLOSED),
    ],
)
def test_a_state_is_not_skipped_and_not_taken_back(state, wanted):
    period = replace(year()[0], state=state)

    with pytest.raises(PeriodOutOfTurn):
        move(period, wanted, [], [])
    assert move(period, state, [], []) == period


@pytest.mark.parametrize(
    ("calendar", "day", "period"),
    [
        (CALENDAR_YEAR, date(2025, 1, 1), 202500),
        (CALENDAR_YEAR, date(2025, 1, 31), 202501),
        (CALENDAR_YEAR, date(2025, 2, 27), 202501),
        (CALENDAR_YEAR, date(2024, 2, 28), 202401),
        (CALENDAR_YEAR, date(2024, 2, 29), 202402),
        (CALENDAR_YEAR, date(2025, 12, 30), 202511),
        (CALENDAR_YEAR, date(2025, 12, 31), 202513),
        (FiscalCalendar(7, named_by_its_end=True), date(2025, 6, 30), 202513),
        (FiscalCalendar(7, named_by_its_end=True), date(2025, 7, 1), 202600),
        (FiscalCalendar(7, named_by_its_end=True), date(2025, 12, 31), 202606),
        (FiscalCalendar(4), date(2026, 3, 31), 202513),
    ],
)
def test_the_last_period_that_has_ended_by_a_day(calendar, day, period):
    assert last_ended(day, calendar) == period
