"""What a foreign amount is worth, which rate holds, and what a revaluation posts."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest

from chassis.errors import InvalidArgument
from chassis.money import Money
from services.finance.ledger import domain as ledger
from services.finance.ledger.rates import domain, pack
from services.finance.ledger.rates.domain import Balance, Rate, RateKind, Revalued

DAY = date(2025, 3, 31)
USD = Rate(UUID(int=1), "USD", "IDR", DAY, RateKind.MIDDLE, Decimal("15400"), "BI", datetime(2025, 3, 31, tzinfo=UTC))
AP = Balance("2.1.06.02", "UMUM", "USD", -1_000_00, -15_300_000_00)


@pytest.mark.parametrize(
    ("minor", "currency", "rate", "into", "expected"),
    [
        (1_000_00, "USD", "15400", "IDR", 15_400_000_00),
        (-1_000_00, "USD", "15400", "IDR", -15_400_000_00),
        (1, "USD", "0.5", "EUR", 1),  # half a cent goes away from zero
        (-1, "USD", "0.5", "EUR", -1),
        (1, "USD", "0.49999", "EUR", 0),
        (100, "JPY", "103.125", "IDR", 10_312_50),  # JPY has no decimals, IDR two
        (1_000_00, "IDR", "0.0095", "JPY", 10),  # 9.5 yen
        (1_234, "KWD", "3.25", "USD", 4_01),  # KWD has three decimals: 4.0105
    ],
)
def test_a_foreign_amount_is_rounded_half_away_from_zero_in_the_other_currencys_minor_units(
    minor: int, currency: str, rate: str, into: str, expected: int
):
    assert domain.functional_amount(Money(minor, currency), Decimal(rate), into) == Money(expected, into)


def test_negative_amounts_mirror_positive_ones_and_nothing_drifts(seed: int):
    rng = random.Random(seed)
    for _ in range(500):
        minor, rate = rng.randrange(10**9), Decimal(rng.randrange(1, 10**9)).scaleb(-4)

        there = domain.functional_amount(Money(minor, "USD"), rate, "IDR").minor

        assert domain.functional_amount(Money(-minor, "USD"), rate, "IDR").minor == -there
        assert abs(there - minor * Fraction(rate)) <= Fraction(1, 2), f"{minor} at {rate}"


def holding(rate: Rate | None, on: date) -> tuple[Rate, int]:
    return domain.holding(rate, currency="USD", functional_currency="IDR", on=on, kind=RateKind.MIDDLE, age_days_max=10)


def test_a_last_known_rate_holds_for_the_days_that_the_pack_allows():
    assert holding(USD, DAY) == (USD, 0)
    assert holding(USD, date(2025, 4, 10)) == (USD, 10)
    with pytest.raises(domain.ExchangeRateMissing, match="2025-03-31, 11 days before"):
        holding(USD, date(2025, 4, 11))
    with pytest.raises(domain.ExchangeRateMissing, match="none before it"):
        holding(None, DAY)
    assert pack.age_days_max(RateKind.MIDDLE, DAY) == 10


@pytest.mark.parametrize(
    "change",
    [
        {"rate": Decimal("0")},
        {"rate": Decimal("-1")},
        {"rate": Decimal("1e12")},
        {"rate": Decimal("0.0000000000001")},
        {"currency": "IDR"},
    ],
)
def test_a_rate_that_no_bank_publishes_is_refused(change: dict):
    with pytest.raises(InvalidArgument):
        domain.check_rate(replace(USD, **change), "exchange_rates[0]")


def test_a_known_rate_is_taken_as_it_is_another_one_corrects_it_and_twice_is_refused():
    again = replace(USD, exchange_rate_id=UUID(int=2), rate=Decimal("15400.00"), recorded_at=None)
    other = replace(again, rate=Decimal("15401"))

    assert domain.admit([again], {USD.key: USD}) == [(USD, None)]
    assert domain.admit([other], {USD.key: USD}) == [(other, USD)]
    assert domain.admit([other], {}) == [(other, None)]
    with pytest.raises(InvalidArgument, match="already"):
        domain.admit([again, other], {})


def test_a_balance_is_brought_to_the_rate_and_one_that_is_there_is_left_out():
    (changed,) = domain.revalue([AP, replace(AP, fund_code="B", carrying_minor=-15_400_000_00)], {"USD": USD}, "IDR")

    assert (changed.revalued_minor, changed.difference_minor) == (-15_400_000_00, -100_000_00)


def test_more_balances_than_an_entry_carries_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(domain, "ITEMS_MAX", 1)

    with pytest.raises(domain.RevaluationTooWide):
        domain.revalue([AP, replace(AP, fund_code="B")], {"USD": USD}, "IDR")


def test_the_entry_balances_fund_by_fund_and_names_the_difference_account():
    gain = Revalued(Balance("1.1.01.07", "B", "USD", 500_00, 7_000_000_00), USD, 7_700_000_00)
    loss = Revalued(AP, USD, -15_400_000_00)

    made = domain.entry(
        [gain, loss],
        journal_entry_id=UUID(int=5),
        agency_id=UUID(int=6),
        source_id=UUID(int=7),
        on=DAY,
        difference_account_code="8.5.03.90",
        functional_currency="IDR",
        person_id=UUID(int=8),
    )

    ledger.check(made, "IDR")
    assert [(line.fund_code, line.account_code, line.debit_minor, line.credit_minor) for line in made.lines] == [
        ("B", "1.1.01.07", 700_000_00, 0),
        ("B", "8.5.03.90", 0, 700_000_00),
        ("UMUM", "2.1.06.02", 0, 100_000_00),
        ("UMUM", "8.5.03.90", 100_000_00, 0),
    ]
    assert made.without_funds


@pytest.mark.parametrize(
    ("account_code", "expected"),
    [
        ("1.1.01.07", True),
        ("1.1.04.01", True),
        ("1.1.09.05", False),
        ("1.1.09.05.01", False),
        ("1.1.12", False),
        ("1.3.02.10", False),
        ("2.1.06.02", True),
        ("2.1.05", False),
        ("3.1.01.01", False),
        ("8.1.02.01", False),
        ("20.1", False),
    ],
)
def test_the_pack_says_which_accounts_are_monetary(account_code: str, expected: bool):
    assert domain.monetary(account_code, pack.monetary_prefixes(DAY)) is expected
