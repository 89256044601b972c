"""What part of a month a fact earns."""

from __future__ import annotations

from datetime import date

import pytest

from chassis.dates import Month
from services.hr.payroll import columns, reference
from services.hr.payroll.period import Period, Span
from services.hr.payroll.rules import Entitlement, PayKind
from tests.unit.hr.builders import PACK, inputs, period_of, population, rules_of

APRIL = Month(2026, 4)


def weekdays_only(day: date) -> bool:
    return day.weekday() >= 5


def with_good_friday(day: date) -> bool:
    return day.weekday() >= 5 or day == date(2026, 4, 3)


def base_pay(entitlement: Entitlement, period: Period) -> int:
    """Base pay of April for 3 089 300 until the 14th and 3 186 600 from the 15th, by both engines."""
    rules = rules_of(APRIL).entitled(entitlement)
    spans = [
        Span(date(2026, 4, 1), date(2026, 4, 15), inputs(service_years=4)),
        Span(date(2026, 4, 15), date(2026, 5, 1), inputs(service_years=6)),
    ]
    slip = reference.compute(rules, PayKind.REGULAR, period, spans)
    result = columns.compute(rules, PayKind.REGULAR, period, population([spans]))
    assert slip is not None
    assert result.amounts["BASE_PAY"][0] == slip.amount("BASE_PAY")
    return slip.amount("BASE_PAY")


@pytest.mark.parametrize(
    ("entitlement", "is_free", "expected"),
    [
        (Entitlement.CALENDAR, weekdays_only, 3_141_193),
        (Entitlement.WORKING, weekdays_only, 3_142_373),
        (Entitlement.WORKING, with_good_friday, 3_144_900),
        (Entitlement.FULL_MONTH, with_good_friday, 3_089_300),
    ],
)
def test_n14_a_rise_in_mid_month_by_entitlement(entitlement: Entitlement, is_free, expected: int) -> None:
    assert base_pay(entitlement, Period.regular(APRIL, is_free)) == expected


def test_thirtieths_of_a_long_month_never_exceed_the_month() -> None:
    may = Month(2026, 5)
    rules = rules_of(may).entitled(Entitlement.THIRTIETHS)
    halves = [
        Span(date(2026, 5, 1), date(2026, 5, 16), inputs()),
        Span(date(2026, 5, 16), date(2026, 6, 1), inputs()),
    ]

    slip = reference.compute(rules, PayKind.REGULAR, period_of(may), halves)
    result = columns.compute(rules, PayKind.REGULAR, period_of(may), population([halves]))

    assert slip is not None
    assert slip.amount("BASE_PAY") == 3_089_300
    assert result.amounts["BASE_PAY"][0] == 3_089_300


def test_service_begun_after_the_first_is_paid_from_the_next_month() -> None:
    late = [Span(date(2026, 4, 2), date(2026, 5, 1), inputs())]

    assert reference.compute(rules_of(APRIL), PayKind.REGULAR, period_of(APRIL), late) is None
    assert not columns.compute(rules_of(APRIL), PayKind.REGULAR, period_of(APRIL), population([late])).paid[0]


def test_service_begun_on_the_first_working_day_after_a_holiday_is_paid_that_month() -> None:
    # 1 May 2026 is Labour Day, a Friday: the first working day is Monday the 4th.
    may = Month(2026, 5)
    spans = [Span(date(2026, 5, 4), date(2026, 6, 1), inputs())]

    slip = reference.compute(rules_of(may), PayKind.REGULAR, Period.regular(may, PACK.is_free), spans)

    assert slip is not None
    assert slip.amount("BASE_PAY") == 3_089_300


def test_contract_staff_are_paid_by_calendar_days() -> None:
    spans = [Span(date(2026, 4, 11), date(2026, 5, 1), inputs(staff_kind="CONTRACT", contract_pay=3_000_001))]

    slip = reference.compute(rules_of(APRIL), PayKind.REGULAR, period_of(APRIL), spans)

    assert slip is not None
    assert slip.amount("BASE_PAY") == 2_000_001  # 20/30 of 3 000 001 is 2 000 000.67
