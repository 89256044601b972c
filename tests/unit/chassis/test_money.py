"""Money is exact: parts sum to the whole, rounding is half away from zero, nothing leaves 64 bits."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.money import (
    AmountOutOfRange,
    CurrencyMismatch,
    Money,
    allocate,
    exponent,
    round_half_away,
    total,
)

INT64_MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (Fraction(5, 2), 3),
        (Fraction(-5, 2), -3),
        (Fraction(49, 20), 2),
        (Fraction(-49, 20), -2),
        (Fraction(0), 0),
        (Fraction(7), 7),
    ],
)
def test_halves_go_away_from_zero(value, rounded):
    assert round_half_away(value) == rounded


def test_n3_deliveries_of_one_liquidate_33_34_33():
    order, liquidated, steps = Money(100, "IDR"), 0, []

    for quantity_cum in (1, 2, 3):
        upto = order.times(Fraction(quantity_cum, 3)).minor
        steps.append(upto - liquidated)
        liquidated = upto

    assert steps == [33, 34, 33]


def test_n22_landed_cost_over_three_equal_lines_gives_the_first_the_rest():
    assert [share.minor for share in Money(100_00, "IDR").split(3)] == [3334, 3333, 3333]


@given(st.integers(-(10**18), 10**18), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_parts_sum_to_the_whole_and_negatives_mirror(minor, weights):
    if not any(weights):
        weights = [*weights, 1]

    parts = allocate(minor, weights)

    assert sum(parts) == minor
    assert allocate(-minor, weights) == [-part for part in parts]


@given(st.integers(-(10**15), 10**15), st.integers(1, 50))
def test_equal_shares_differ_by_at_most_one_minor_unit(minor, count):
    shares = [share.minor for share in Money(minor, "IDR").split(count)]

    assert max(shares) - min(shares) <= 1


def test_amounts_of_two_currencies_do_not_mix():
    with pytest.raises(CurrencyMismatch, match="IDR and USD"):
        Money(1, "IDR") + Money(1, "USD")


def test_a_sum_beyond_64_bits_is_refused():
    assert total([INT64_MAX]) == INT64_MAX
    with pytest.raises(AmountOutOfRange):
        total([INT64_MAX, 1])
    with pytest.raises(AmountOutOfRange):
        Money(INT64_MAX, "IDR") + Money(1, "IDR")


def test_idr_has_two_decimals_and_is_shown_without_empty_sen():
    assert exponent("IDR") == 2
    assert exponent("JPY") == 0
    assert str(Money(4_260_000_000, "IDR")) == "IDR 42 600 000"
    assert str(Money(-33_33, "IDR")) == "IDR -33.33"


def test_weights_that_share_nothing_are_a_mistake_of_ours():
    with pytest.raises(ValueError, match="weights"):
        allocate(10, [0, 0])
