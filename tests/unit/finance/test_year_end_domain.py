"""What a year's end closes, and to which account."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from services.finance.classification.domain import Area, FiscalYear, PeriodState, periods_of
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR
from services.finance.ledger import domain as ledger
from services.finance.ledger.domain import Basis
from services.finance.ledger.yearend import domain
from services.finance.ledger.yearend.domain import Balance, OpenEstimate, Targets

TARGETS = Targets(equity="3.1.01.01", surplus="3.1.02.06", estimate="3.1.02.05")
ACCRUAL, BUDGET = Basis.ACCRUAL, Basis.BUDGET


def balance(account_code: str, kind: str, minor: int, basis: Basis = ACCRUAL, **values) -> Balance:
    return replace(Balance(basis, "UMUM", account_code, kind, "IDR", minor, minor), **values)


def closed(*balances: Balance):
    entries, results = domain.close(balances, TARGETS, "IDR")
    for number, lines in enumerate(entries):
        entry = domain.entry(
            lines,
            journal_entry_id=UUID(int=number + 1),
            agency_id=UUID(int=9),
            source_id=UUID(int=8),
            year=2025,
            last_day=date(2025, 12, 31),
            person_id=UUID(int=7),
        )
        ledger.check(entry, "IDR")
    return entries, {(one.account_code, one.fund_code, one.currency): one.minor for one in results}


@pytest.mark.parametrize(
    ("one", "target"),
    [
        (balance("7.1.01.01", "REVENUE", -5), "3.1.01.01"),
        (balance("8.1.02.01", "EXPENSE", 5), "3.1.01.01"),
        (balance("1.1.01.07", "CASH", 5), None),
        (balance("2.1.06.99", "PAYABLE", -5), None),
        (balance("3.1.01.01", "EQUITY", -5), None),
        (balance("3.1.03.01", "INTER_ENTITY", -5), None),
        (balance("3.1.02.90", "INTER_ENTITY", 5, BUDGET), None),
        (balance("4.1.01", "REVENUE", -5, BUDGET), "3.1.02.06"),
        (balance("5.1.02", "EXPENDITURE", 5, BUDGET), "3.1.02.06"),
        (balance("6.1.01", "FINANCING", -5, BUDGET), "3.1.02.06"),
        (balance("3.1.02.03", "EQUITY", -5, BUDGET), "3.1.02.05"),
        (balance("3.1.02.05", "EQUITY", -5, BUDGET), None),
        (balance("3.1.02.06", "EQUITY", -5, BUDGET), None),
    ],
)
def test_results_are_closed_and_everything_else_stands_on(one: Balance, target: str | None):
    assert TARGETS.of(one) == target


def test_the_bases_are_closed_each_to_its_own():
    _, results = closed(
        balance("7.1.01.01", "REVENUE", -900),
        balance("8.1.02.01", "EXPENSE", 300),
        balance("5.1.02", "EXPENDITURE", 250, BUDGET),
        balance("3.1.02.03", "EQUITY", -1_000, BUDGET),
    )

    assert results == {
        ("3.1.01.01", "UMUM", "IDR"): -600,
        ("3.1.02.06", "UMUM", "IDR"): 250,
        ("3.1.02.05", "UMUM", "IDR"): -1_000,
    }


def test_a_year_that_comes_out_even_is_closed_without_a_line_of_equity():
    (lines,), results = closed(balance("7.1.01.01", "REVENUE", -5), balance("8.1.02.01", "EXPENSE", 5))

    assert ([line.account_code for line in lines], results) == (["7.1.01.01", "8.1.02.01"], {})


def test_nothing_to_close_is_no_entry():
    assert closed(balance("1.1.01.07", "CASH", 5)) == ([], {})


def test_what_a_project_has_left_of_its_estimate_stands_on():
    held = [
        balance("3.1.02.03", "EQUITY", -1_500, BUDGET),
        balance("3.1.02.03", "EQUITY", -10, BUDGET, fund_code="HIBAH"),
        balance("3.1.02.03", "EQUITY", -7, BUDGET, currency="USD", functional_minor=None),
        balance("5.1.02", "EXPENDITURE", 250, BUDGET),
    ]
    left = [OpenEstimate("UMUM", "IDR", 900), OpenEstimate("UMUM", "USD", 4)]

    _, results = closed(*domain.without_open(held, left, "3.1.02.03", "IDR"))

    assert results == {
        ("3.1.02.06", "UMUM", "IDR"): 250,
        ("3.1.02.05", "UMUM", "IDR"): -600,
        ("3.1.02.05", "UMUM", "USD"): -3,
        ("3.1.02.05", "HIBAH", "IDR"): -10,
    }


def test_an_estimate_that_an_earlier_closing_took_back_whole_is_put_up_again():
    _, results = closed(*domain.without_open([], [OpenEstimate("UMUM", "IDR", 740)], "3.1.02.03", "IDR"))

    assert results == {("3.1.02.05", "UMUM", "IDR"): 740}


@pytest.mark.parametrize(
    ("minor", "functional", "lines"),
    [
        (100, 1_500, [("USD", 0, 100, 1_500)]),
        (100, -1_500, [("USD", 0, 100, 0), ("IDR", 1_500, 0, None)]),
        (0, 700, [("IDR", 0, 700, None)]),
        (100, 0, [("USD", 0, 100, 0)]),
        (100, None, [("USD", 0, 100, None)]),
    ],
)
def test_a_foreign_result_is_brought_to_nil_in_both_currencies(minor: int, functional: int | None, lines: list):
    (entry,), _ = closed(balance("8.1.02.01", "EXPENSE", minor, currency="USD", functional_minor=functional))

    mine = [line for line in entry if line.account_code == "8.1.02.01"]
    assert [(one.currency, one.debit_minor, one.credit_minor, one.functional_minor) for one in mine] == lines


def test_many_balances_fill_several_entries_that_each_balance_and_sum_to_the_whole(seed: int):
    rng = random.Random(seed)
    balances = [
        balance(f"8.1.{n}", "EXPENSE", rng.randrange(1, 10**9), fund_code=rng.choice("ABC")) for n in range(1_201)
    ]

    entries, results = closed(*balances)

    assert len(entries) == 3
    assert sum(results.values()) == sum(one.minor for one in balances)


@pytest.mark.parametrize(
    ("months", "adjustment", "ready"),
    [
        (PeriodState.HARD_CLOSED, PeriodState.OPEN, True),
        (PeriodState.SOFT_CLOSED, PeriodState.OPEN, False),
        (PeriodState.HARD_CLOSED, PeriodState.FUTURE, False),
        (PeriodState.HARD_CLOSED, PeriodState.SOFT_CLOSED, False),
    ],
)
def test_a_year_is_closed_between_its_months_and_its_statements(months, adjustment, ready: bool):
    year = FiscalYear(UUID(int=1), UUID(int=9), 2025, "IDR")
    periods = [
        replace(one, state=adjustment if one.starts_on == date(2025, 12, 31) else months)
        for one in periods_of(year, CALENDAR_YEAR)
        if one.area is Area.LEDGER
    ]

    if ready:
        domain.check_ready(periods)
    else:
        with pytest.raises(domain.YearNotReady):
            domain.check_ready(periods)
