"""F3: releases to date, by the example of domain-rules §2 (line 1 200, SPD Q1 300, wages of 100 a month)."""

from __future__ import annotations

from services.finance.budget.todate import Release, to_date_shortage

FIRST_QUARTER = [Release(1, 3, 300)]
WAGES = dict.fromkeys(range(1, 13), 100)


def test_the_payment_request_of_march_passes_within_the_first_quarters_release():
    assert to_date_shortage(FIRST_QUARTER, {1: 100, 2: 100}, {3: 100}, current_month=3) is None


def test_the_payment_request_of_april_before_the_second_release_is_short_by_100():
    shortage = to_date_shortage(FIRST_QUARTER, {1: 100, 2: 100, 3: 100}, {4: 100}, current_month=4)

    assert shortage is not None
    assert (shortage.month, shortage.allotted, shortage.reached, shortage.short_by) == (4, 300, 300, 100)


def test_a_later_release_makes_it_pass_and_what_was_left_stays_usable():
    releases = [*FIRST_QUARTER, Release(4, 6, 250)]

    assert to_date_shortage(releases, {1: 100, 2: 50}, {4: 400}, current_month=4) is None


def test_at_the_step_obligate_a_phased_year_passes_against_one_quarter():
    assert to_date_shortage(FIRST_QUARTER, {}, WAGES, current_month=1) is None


def test_at_the_step_obligate_an_order_of_301_due_in_march_does_not_pass():
    shortage = to_date_shortage(FIRST_QUARTER, {}, {3: 301}, current_month=1)

    assert shortage is not None
    assert (shortage.month, shortage.short_by) == (3, 1)


def test_what_was_promised_to_a_later_released_month_cannot_be_taken_now():
    # 250 are due in March already: January may take 50 of the quarter's 300, not 100.
    assert to_date_shortage(FIRST_QUARTER, {3: 250}, {1: 100}, current_month=1) is not None
    assert to_date_shortage(FIRST_QUARTER, {3: 250}, {1: 50}, current_month=1) is None
