"""Cash of an imprest: what is in hand, what is free, by when it is used."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance.imprest import domain
from services.finance.imprest.domain import Figures


def test_n13_cash_in_hand_is_the_ceiling_less_what_is_not_validated():
    spent = Figures(brought=20, paid=15, not_validated=15)
    replenished = Figures(brought=35, paid=15)
    settled = Figures(brought=35, paid=23, returned=12)

    assert [one.cash_in_hand for one in (spent, replenished, settled)] == [5, 20, 0]
    assert spent.cash_in_hand == 20 - spent.not_validated


def test_approved_purchases_wait_for_their_cash():
    figures = Figures(brought=20, approved=8, paid=5)

    domain.check_purchase(7, figures.free, "the cash in hand", "IDR")
    with pytest.raises(domain.ImprestExhausted) as refused:
        domain.check_purchase(8, figures.free, "the cash in hand", "IDR")
    assert refused.value.metadata == {"asked": "IDR 0.08", "free": "IDR 0.07"}


@pytest.mark.parametrize(
    ("claimed_on", "months", "due_on"),
    [
        (date(2026, 1, 10), 1, date(2026, 2, 10)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last(claimed_on: date, months: int, due_on: date):
    assert domain.due_on(claimed_on, months) == due_on


def test_without_a_limit_nothing_is_due():
    assert domain.due_on(date(2026, 1, 10), None) is None


@given(st.dates(date(1950, 1, 1), date(2200, 1, 1)), st.integers(1, 60))
def test_the_day_due_is_always_later_and_never_beyond_the_month(claimed_on: date, months: int):
    due = domain.due_on(claimed_on, months)

    assert due is not None
    assert (due.year * 12 + due.month) - (claimed_on.year * 12 + claimed_on.month) == months
    assert due.day <= claimed_on.day
