"""Interest on late payments: day by day, by dated rates, rounded once."""

from __future__ import annotations

import random
from datetime import date, timedelta
from fractions import Fraction

import pytest

from services.finance.payables.late import pack
from services.finance.payables.late.domain import (
    Charged,
    Late,
    LateInterestCharged,
    LateInterestNil,
    LateInterestRateMissing,
    PayableNotLate,
    Rate,
    charge,
    interest,
)

DUE = date(2025, 4, 13)


def rate(percent: str, start: date, end: date | None, *, grace: int = 0, basis: int = 360) -> Rate:
    return Rate(Fraction(percent) / 100, basis, grace, start, end)


STEADY = [rate("6", date(2020, 1, 1), None)]


def test_a_payment_on_its_due_date_owes_nothing():
    assert interest(1_000_000, due_on=DUE, until=DUE, rates=STEADY) == Late(0, 0)


def test_thirty_days_at_six_percent_are_half_a_percent():
    late = interest(1_000_000, due_on=DUE, until=DUE + timedelta(days=30), rates=STEADY)

    assert late == Late(30, 5_000)


def test_each_day_has_the_rate_of_that_day():
    change = DUE + timedelta(days=11)
    rates = [rate("6", date(2020, 1, 1), change), rate("3", change, None)]

    late = interest(3_600_000, due_on=DUE, until=DUE + timedelta(days=30), rates=rates)

    assert late == Late(30, 10 * 600 + 20 * 300)


def test_within_the_days_of_grace_nothing_is_owed_and_after_them_from_the_first_day():
    rates = [rate("6", date(2020, 1, 1), None, grace=14)]

    assert interest(1_000_000, due_on=DUE, until=DUE + timedelta(days=14), rates=rates) == Late(14, 0)
    assert interest(3_600_000, due_on=DUE, until=DUE + timedelta(days=15), rates=rates) == Late(15, 9_000)


def test_a_day_without_a_rate_is_refused():
    rates = [rate("6", DUE + timedelta(days=5), None)]

    with pytest.raises(LateInterestRateMissing, match="26 of the 30 days"):
        interest(1_000_000, due_on=DUE, until=DUE + timedelta(days=30), rates=rates)


def test_splitting_the_rates_anywhere_changes_nothing():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(200):
        days, cut = numbers.randrange(1, 400), date(2025, 4, 13) + timedelta(days=numbers.randrange(-5, 405))
        amount = numbers.randrange(1, 10**12)
        two = [rate("5.75", date(2020, 1, 1), cut), rate("5.75", cut, None)]

        one_rate = interest(
            amount, due_on=DUE, until=DUE + timedelta(days=days), rates=[rate("5.75", date(2020, 1, 1), None)]
        )

        assert interest(amount, due_on=DUE, until=DUE + timedelta(days=days), rates=two) == one_rate


def test_the_packs_rates_follow_one_another_without_gap_or_overlap():
    rates = pack.rates("IDR")

    assert [one.valid_to for one in rates[:-1]] == [one.valid_from for one in rates[1:]]
    assert rates[-1].valid_to is None


def test_charges_of_one_payable_follow_each_other_and_come_to_the_whole():
    days = [DUE + timedelta(days=nth) for nth in (7, 19, 30)]
    whole = interest(1_000_001, due_on=DUE, until=days[-1], rates=STEADY).interest
    charged = Charged(None, 0)

    made = []
    for until in days:
        one = charge("INV", 1_000_001, due_on=DUE, until=until, rates=STEADY, charged=charged)
        charged = Charged(one.until, charged.amount + one.amount)
        made.append(one)

    assert sum(one.amount for one in made) == whole
    assert [one.days for one in made] == [7, 12, 11]
    assert made[1].from_on == days[0] + timedelta(days=1)


def test_what_is_charged_or_not_late_or_nil_is_refused_by_name():
    until = DUE + timedelta(days=10)

    with pytest.raises(PayableNotLate):
        charge("INV", 1_000_000, due_on=DUE, until=DUE, rates=STEADY, charged=Charged(None, 0))
    with pytest.raises(LateInterestCharged):
        charge("INV", 1_000_000, due_on=DUE, until=until, rates=STEADY, charged=Charged(until, 1))
    with pytest.raises(LateInterestNil):
        charge("INV", 1, due_on=DUE, until=until, rates=STEADY, charged=Charged(None, 0))
