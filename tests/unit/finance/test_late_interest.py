"""Interest on late payments: day by day, by dated rates, rounded once."""

from __future__ import annotations

import random
from datetime import date, timedelta
from fractions import Fraction

import pytest

from services.finance.payables.late import pack
from services.finance.payables.late.domain import (
    Charge,
    Charged,
    Fall,
    Late,
    LateInterestChanged,
    LateInterestCharged,
    LateInterestNil,
    LateInterestRateMissing,
    Owed,
    PayableNotLate,
    Rate,
    charge,
    check_unchanged,
    interest,
    owed,
)

DUE = date(2025, 4, 13)


def rate(percent: str, start: date, end: date | None, *, grace: int = 0, basis: int = 360) -> Rate:
    return Rate(Fraction(percent) / 100, basis, grace, start, end)


STEADY = [rate("6", date(2020, 1, 1), None)]


def of(amount: int, days: int, rates: list[Rate] = STEADY, falls: list[Fall] | None = None) -> Late:
    """The interest on a debt that is `amount` in the end, `days` late."""
    return interest(owed(amount, falls or [], due_on=DUE, until=day(days)), rates=rates)


def charge_of(amount: int, until: date, charged: Charged, falls: list[Fall] | None = None) -> Charge:
    pieces = owed(amount, falls or [], due_on=DUE, until=until)
    return charge("INV", pieces, due_on=DUE, until=until, rates=STEADY, charged=charged)


def day(late: int) -> date:
    return DUE + timedelta(days=late)


def test_a_payment_on_its_due_date_owes_nothing():
    assert of(1_000_000, 0) == Late(0, 0)


def test_thirty_days_at_six_percent_are_half_a_percent():
    late = of(1_000_000, 30)

    assert late == Late(30, 5_000)


def test_each_day_has_the_rate_of_that_day():
    change = DUE + timedelta(days=11)
    rates = [rate("6", date(2020, 1, 1), change), rate("3", change, None)]

    late = of(3_600_000, 30, rates)

    assert late == Late(30, 10 * 600 + 20 * 300)


def test_within_the_days_of_grace_nothing_is_owed_and_after_them_from_the_first_day():
    rates = [rate("6", date(2020, 1, 1), None, grace=14)]

    assert of(1_000_000, 14, rates) == Late(14, 0)
    assert of(3_600_000, 15, rates) == Late(15, 9_000)


def test_a_day_without_a_rate_is_refused():
    rates = [rate("6", DUE + timedelta(days=5), None)]

    with pytest.raises(LateInterestRateMissing, match="26 of the 30 days"):
        of(1_000_000, 30, rates)


def test_splitting_the_rates_anywhere_changes_nothing():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(200):
        days, cut = numbers.randrange(1, 400), date(2025, 4, 13) + timedelta(days=numbers.randrange(-5, 405))
        amount = numbers.randrange(1, 10**12)
        two = [rate("5.75", date(2020, 1, 1), cut), rate("5.75", cut, None)]

        one_rate = of(amount, days, [rate("5.75", date(2020, 1, 1), None)])

        assert of(amount, days, two) == one_rate


def test_the_packs_rates_follow_one_another_without_gap_or_overlap():
    rates = pack.rates("IDR")

    assert [one.valid_to for one in rates[:-1]] == [one.valid_from for one in rates[1:]]
    assert rates[-1].valid_to is None


def test_charges_of_one_payable_follow_each_other_and_come_to_the_whole():
    days = [DUE + timedelta(days=nth) for nth in (7, 19, 30)]
    whole = of(1_000_001, 30).interest
    charged = Charged(None, 0)

    made = []
    for until in days:
        one = charge_of(1_000_001, until, charged)
        charged = Charged(one.until, charged.amount + one.amount)
        made.append(one)

    assert sum(one.amount for one in made) == whole
    assert [one.days for one in made] == [7, 12, 11]
    assert made[1].from_on == days[0] + timedelta(days=1)


def test_what_is_charged_or_not_late_or_nil_is_refused_by_name():
    until = DUE + timedelta(days=10)

    with pytest.raises(PayableNotLate):
        charge_of(1_000_000, DUE, Charged(None, 0))
    with pytest.raises(LateInterestCharged):
        charge_of(1_000_000, until, Charged(until, 1))
    with pytest.raises(LateInterestNil):
        charge_of(1, until, Charged(None, 0))


def test_each_day_is_reckoned_on_what_was_owed_on_it():
    """3 600 000, of which 1 200 000 are set off on the 10th day and 600 000 credited on the 20th, 30 days late."""
    falls = [Fall(day(20), 600_000), Fall(day(10), 1_200_000)]

    pieces = owed(1_800_000, falls, due_on=DUE, until=day(30))

    assert pieces == [
        Owed(day(1), day(10), 3_600_000),
        Owed(day(11), day(20), 2_400_000),
        Owed(day(21), day(30), 1_800_000),
    ]
    # 6 % of 360 days: 600, 400 and 300 a day.
    assert interest(pieces, rates=STEADY) == Late(30, 6_000 + 4_000 + 3_000)


def test_what_fell_before_the_days_or_after_them_is_no_piece_of_its_own():
    falls = [Fall(DUE, 100), Fall(day(-3), 100), Fall(day(9), 50), Fall(day(30), 25)]

    assert owed(1_000, falls, due_on=DUE, until=day(9)) == [Owed(day(1), day(9), 1_075)]
    assert owed(0, [Fall(day(4), 300), Fall(day(4), 700)], due_on=DUE, until=day(9)) == [Owed(day(1), day(4), 1_000)]
    assert owed(0, [Fall(DUE, 1_000)], due_on=DUE, until=day(9)) == []
    assert interest([], rates=STEADY) == Late(0, 0)


def test_pieces_are_the_days_one_by_one():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(200):
        days, left = numbers.randrange(1, 60), numbers.randrange(1, 10**9)
        falls = [Fall(day(numbers.randrange(-5, 65)), numbers.randrange(1, 10**8)) for _ in range(numbers.randrange(5))]

        pieces = owed(left, falls, due_on=DUE, until=day(days))

        by_day = [
            piece.amount for nth in range(1, days + 1) for piece in pieces if piece.from_on <= day(nth) <= piece.until
        ]
        assert by_day == [left + sum(one.amount for one in falls if one.on >= day(nth)) for nth in range(1, days + 1)]


def test_a_fall_on_a_charged_day_is_taken_off_the_charges_that_follow():
    first = charge_of(3_600_000, day(20), Charged(None, 0))
    falls = [Fall(day(10), 1_800_000)]

    second = charge_of(1_800_000, day(60), Charged(day(20), first.amount), falls)

    # 20 days at 600 were charged, of which the last 10 had to be at 300; then 40 at 300.
    assert (first.amount, second.amount) == (12_000, 40 * 300 - 10 * 300)
    with pytest.raises(LateInterestNil, match="12000 minor units are charged already, 10500 are owed"):
        charge_of(1_800_000, day(25), Charged(day(20), first.amount), falls)


def test_a_charge_is_not_approved_once_less_was_owed_on_its_days():
    def check(left: int, *falls: Fall, known_until: int = 20) -> None:
        pieces = owed(left, falls, due_on=DUE, until=day(known_until))
        check_unchanged("INV", pieces, until=day(20), charged=12_000, rates=STEADY)

    check(3_600_000)
    check(1_800_000, Fall(day(20), 1_800_000))
    for known_now in (
        lambda: check(1_800_000, Fall(day(10), 1_800_000)),
        lambda: check(3_600_000, known_until=15),
        lambda: check(0, Fall(DUE, 3_600_000)),
    ):
        with pytest.raises(LateInterestChanged, match="propose it anew"):
            known_now()
