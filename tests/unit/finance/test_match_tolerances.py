"""Tolerances of the match in any currency: its own row, else the row for any currency, of either country."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from uuid import uuid4

import pytest

from chassis import country_pack
from chassis.country_pack import PackIncomplete
from chassis.money import exponent
from chassis.settings import ROOT
from services.finance.payables import domain, pack
from services.finance.payables.domain import HoldReason, Match, OrderLine

SEMBARA = ROOT / "tests" / "data" / "sembara"
DAY, EARLIER = date(2026, 1, 1), date(2024, 1, 1)


@pytest.fixture
def sembara() -> Iterator[None]:
    country_pack.choose(SEMBARA)
    yield
    country_pack.choose(ROOT / "data" / "id")


def matched(currency: str, price: str, on: date) -> Match:
    """100 ordered and accepted at 10, 100 invoiced at `price`."""
    amount = 1_000 * 10 ** exponent(currency)
    line = OrderLine(uuid4(), currency, Fraction(100), Fraction(10), Fraction(0), amount, Fraction(100), amount)
    invoiced = domain.priced(line, Fraction(100), Fraction(price), None)
    return domain.match(
        [invoiced],
        {line.purchase_order_line_id: line},
        currency=currency,
        total=invoiced.amount,
        tolerance=pack.tolerance(currency, on),
    )


def test_a_currency_without_a_row_is_tolerated_nothing_in_id():
    assert matched("JPY", "10", DAY).holds == ()
    assert [hold.reason for hold in matched("JPY", "10.01", DAY).holds] == [HoldReason.PRICE]


@pytest.mark.usefixtures("sembara")
def test_the_second_countrys_own_row_has_a_cap_in_coins_of_three_decimals():
    tolerance = pack.tolerance("BHD", DAY)

    assert (tolerance.price_cap, tolerance.total, tolerance.terms_days) == (1_500, 10, 45)
    # 1 % of 1 000 would be 10; the cap of 1.5 decides: 0.015 too dear on 100 units is just that, 0.016 is above it.
    assert matched("BHD", "10.015", DAY).holds == ()
    assert [hold.reason for hold in matched("BHD", "10.016", DAY).holds] == [HoldReason.PRICE]


@pytest.mark.usefixtures("sembara")
@pytest.mark.parametrize(("currency", "on"), [("JPY", DAY), ("IDR", DAY), ("BHD", EARLIER)])
def test_the_row_for_any_currency_may_name_a_rate_alone(currency: str, on: date):
    assert pack.tolerance(currency, on).price_cap is None
    assert matched(currency, "10.1", on).holds == ()
    (hold,) = matched(currency, "10.2", on).holds
    assert hold.reason is HoldReason.PRICE
    assert hold.message.endswith("tolerated (1 %)")


@pytest.mark.usefixtures("sembara")
def test_a_day_without_any_row_is_refused_by_name():
    with pytest.raises(PackIncomplete, match=r"match_tolerances\.csv"):
        pack.tolerance("BHD", date(1999, 12, 31))
