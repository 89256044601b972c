"""Penalties for late delivery: days x rate x base, rounded once, by dated rules of either country."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import uuid4

import pytest

from chassis import country_pack
from chassis.country_pack import PackIncomplete
from chassis.money import Money
from chassis.settings import ROOT
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables.domain import Source
from services.finance.payables.payment_store import PayablePart
from services.finance.payables.penalties import domain, keeping, pack
from services.finance.payables.penalties.domain import Assessed, Base, Delivery, Rule

DUE, DELIVERED = date(2025, 3, 5), date(2025, 3, 12)
THOUSANDTH = Rule(Base.LATE_PART, Fraction(1, 1000), None, "made up")
PRICE = 1_000_000_000


@pytest.fixture
def sembara() -> Iterator[None]:
    country_pack.choose(ROOT / "tests" / "data" / "sembara")
    yield
    country_pack.choose(ROOT / "data" / "id")


def assessed(base: int, *, due_on: date = DUE, delivered_on: date = DELIVERED, rule: Rule = THOUSANDTH) -> Assessed:
    return domain.assess(base, due_on=due_on, delivered_on=delivered_on, rule=rule)


def late_part(base: int, *, due_on: date = DUE, delivered_on: date = DELIVERED) -> Delivery:
    return Delivery(Base.LATE_PART, base, due_on, delivered_on)


def test_a_week_late_costs_seven_thousandths_in_indonesia():
    rule = pack.rule(Base.LATE_PART, DUE)

    assert (rule.daily_rate, rule.cap_share) == (Fraction(1, 1000), None)
    assert assessed(10_000_000, rule=rule) == Assessed(7, 70_000, capped=False)
    # No cap: 1 200 days cost more than what was late.
    assert assessed(1_000, due_on=date(2022, 1, 1), delivered_on=date(2025, 4, 15)).amount == 1_200


@pytest.mark.parametrize(
    ("base", "days", "amount"),
    # 0.5 goes away from zero, 0.499 to nil; 123 456 750 x 7 / 1000 = 864 197.25; rounding day by day would give 7.
    [(500, 1, 1), (1_499, 1, 1), (1_500, 1, 2), (123_456_750, 7, 864_197), (1_499, 7, 10)],
)
def test_it_is_rounded_once_half_away_from_zero(base: int, days: int, amount: int):
    assert assessed(base, due_on=DUE, delivered_on=date(2025, 3, 5 + days)).amount == amount


def test_less_than_half_a_coin_is_no_penalty():
    with pytest.raises(domain.PenaltyNil):
        assessed(499, delivered_on=date(2025, 3, 6))


@pytest.mark.parametrize("delivered_on", [DUE, date(2025, 3, 4)])
def test_what_came_on_its_day_or_before_is_not_late(delivered_on: date):
    with pytest.raises(domain.DeliveryNotLate):
        assessed(10_000_000, delivered_on=delivered_on)


@pytest.mark.usefixtures("sembara")
def test_the_second_country_has_another_rate_a_cap_and_no_penalty_on_whole_contracts():
    before, after = date(2025, 6, 30), date(2025, 7, 1)

    # A 300th a day until June 2025, a 400th after it; never more than a 20th, which is 20 days of a 400th.
    assert assessed(3_000, due_on=before, delivered_on=date(2025, 7, 2), rule=pack.rule(Base.LATE_PART, before)) == (
        Assessed(2, 20, capped=False)
    )
    rule = pack.rule(Base.LATE_PART, after)
    assert assessed(4_000, due_on=after, delivered_on=date(2025, 7, 21), rule=rule) == Assessed(20, 200, capped=False)
    assert assessed(4_000, due_on=after, delivered_on=date(2025, 7, 22), rule=rule) == Assessed(21, 200, capped=True)
    with pytest.raises(PackIncomplete):
        pack.rule(Base.CONTRACT, after)


def check(new: Delivery, *live: Delivery) -> None:
    domain.check_base(new, live, price=PRICE, currency="IDR", number="INV-1")


def test_late_parts_come_to_no_more_than_the_price():
    first = late_part(600_000_000)
    check(late_part(400_000_000, delivered_on=date(2025, 3, 20)), first)

    with pytest.raises(domain.PenaltyBaseTooHigh, match="above IDR 4 000 000, which is left"):
        check(late_part(400_000_001, delivered_on=date(2025, 3, 20)), first)


def test_one_delivery_has_one_penalty_and_a_whole_contract_leaves_no_other():
    whole = Delivery(Base.CONTRACT, PRICE, DUE, DELIVERED)
    with pytest.raises(domain.PenaltyAssessed):
        check(late_part(1), late_part(1))
    with pytest.raises(domain.PenaltyAssessed):
        check(late_part(1, due_on=date(2025, 3, 1)), whole)
    with pytest.raises(domain.PenaltyAssessed):
        check(whole, late_part(1, due_on=date(2025, 3, 1)))


def test_it_is_reduced_or_waived_once():
    domain.check_reduction(99, now=100, reduced=False, currency="IDR")
    domain.check_reduction(0, now=100, reduced=False, currency="IDR")

    with pytest.raises(domain.PenaltyNotLess):
        domain.check_reduction(100, now=100, reduced=False, currency="IDR")
    with pytest.raises(domain.PenaltyNotLess):
        domain.check_reduction(98, now=99, reduced=True, currency="IDR")
    with pytest.raises(domain.PenaltyNotLess):
        domain.check_reduction(0, now=99, reduced=True, currency="IDR")


def test_something_is_left_to_pay():
    domain.check_room(9_849, owed=11_100, withheld=1_250, currency="IDR", number="INV-1")

    with pytest.raises(domain.PenaltyAbovePayable):
        domain.check_room(9_850, owed=11_100, withheld=1_250, currency="IDR", number="INV-1")


def test_the_example_in_dollars_of_fifty_days_late():
    part = PayablePart(
        *(uuid4(), Source.INVOICE, uuid4(), uuid4(), uuid4()),
        *(15_100_000_00, 15_100_000_00, 0, "UMUM", "5.1.02.04.01", "IDR", "USD", 1_000_00),
    )

    penalty = assessed(1_000_00, delivered_on=DUE + timedelta(days=50))
    revenue = functional_amount(Money(penalty.amount, "USD"), Decimal(15_200), "IDR")

    assert (penalty.amount, revenue.minor) == (50_00, 760_000_00)
    # USD 950 are left of USD 1 000; had 226 500 of 15 100 000 been withheld, which is USD 15, it were USD 935.
    assert keeping.net_abroad([part], 0) == Money(950_00 + penalty.amount, "USD")
    assert keeping.net_abroad([part], 226_500_00) == Money(935_00 + penalty.amount, "USD")
    assert keeping.net_abroad([replace(part, foreign_currency=None, foreign_minor=None)], 0) is None


def test_a_penalty_is_kept_from_the_funds_by_what_is_left_of_each_and_none_pays_less_than_nil():
    assert domain.shares(60, {"B": 100, "A": 50}, currency="IDR", number="INV-1") == {"A": 20, "B": 40}
    assert domain.shares(7, {"A": 0, "B": 9}, currency="IDR", number="INV-1") == {"B": 7}
    for rooms in itertools.product(range(5), repeat=3):
        left = dict(zip("ABC", rooms, strict=True))
        for amount in range(1, sum(rooms) + 1):
            kept = domain.shares(amount, left, currency="IDR", number="INV-1")
            assert sum(kept.values()) == amount
            assert all(0 < share <= left[fund] for fund, share in kept.items()), (left, amount)


def test_a_penalty_above_what_its_funds_have_left_names_them_and_what_to_do():
    with pytest.raises(domain.PenaltyAboveFund, match="request the payment of INV-1 by itself") as refusal:
        domain.shares(950_000_00, {"UMUM": 896_694_22}, currency="IDR", number="INV-1")

    assert refusal.value.metadata == {"penalty_minor": "95000000", "left_minor": "89669422", "funds": "UMUM"}
