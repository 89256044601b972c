"""Credit notes in a foreign currency, as rules: what each share of an invoice is in the currency of the books."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from uuid import uuid4

import pytest

from chassis.money import Money
from services.finance.payables.credit_notes import domain as credits
from services.finance.payables.credit_notes.domain import Cost, InvoicedLine, RefundAmountMismatch
from services.finance.payables.credit_notes.exchange import domain as exchange
from services.finance.payables.credit_notes.exchange.domain import Standing
from services.finance.payables.domain import Treatment

DOLLARS = "USD"


def billed(units: int, amount: int, recorded: int, **values: object) -> InvoicedLine:
    """An invoice line of `units` for `amount` cents, whose goods were `recorded` at that."""
    line = InvoicedLine(
        uuid4(),
        Treatment.EXPENSE,
        Fraction(units),
        Fraction(1),
        Fraction(1),
        amount,
        0,
        0,
        cost=Cost(recorded, recorded),
    )
    return replace(line, **values)


def test_the_difference_of_a_credited_share_is_what_its_debt_stands_at_beyond_its_cost():
    """USD 1 000 at 15 300, revalued at 15 400; USD 200 go back."""
    line = billed(10, 1_000_00, 15_300_000_00)
    back = credits.returned(line, Fraction(2))

    books = exchange.of_payable(back, line, Standing(1_000_00, 15_400_000_00, 0), again=0, currency=DOLLARS)

    assert (books.carried, books.cost.whole) == (3_080_000_00, 3_060_000_00)
    assert books.gained(leaves=True) == 20_000_00
    assert books.gained(leaves=False) == 0, "what stays received and not invoiced keeps its debt"


def test_a_saving_that_ends_with_the_return_stays_at_the_rate_of_its_invoice():
    """100 ordered at 15 300, invoiced at 96: 4 saved at 15 500. All goes back when the debt is at 15 400."""
    line = billed(1, 96_00, 1_468_000_00, variance=-4_00, cost=Cost(1_468_000_00, 1_530_000_00))
    back = credits.returned(line, Fraction(1))

    books = exchange.of_payable(back, line, Standing(96_00, 1_478_400_00, 0), again=0, currency=DOLLARS)

    assert (books.cleared, books.cost.cleared, books.variance_cost) == (1_540_000_00, 1_530_000_00, -62_000_00)
    assert books.gained(leaves=True) == 10_400_00


def test_notes_in_any_steps_take_back_cost_and_debt_to_the_last_unit():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(200):
        units = numbers.randrange(1, 40)
        amount, tax = numbers.randrange(units, 10**7), 0
        tax = numbers.randrange(0, amount // 10 + 1)
        cleared_cost = numbers.randrange(1, 10**11)
        cost = cleared_cost + numbers.randrange(-cleared_cost // 10, cleared_cost)
        line = billed(units, amount, cost, tax=tax, variance=numbers.randrange(-5, 6), cost=Cost(cost, cleared_cost))
        standing = Standing(amount, numbers.randrange(1, 10**11), 0)
        standing = replace(standing, tax=numbers.randrange(0, standing.worth // 10 + 1) if tax else 0)
        left = units
        while left:
            quantity = numbers.randrange(1, left + 1)
            back = credits.returned(line, Fraction(quantity))
            books = exchange.of_payable(back, line, standing, again=0, currency=DOLLARS)
            assert books.carried == books.cleared + books.variance_cost + books.gained(leaves=False)
            assert line.cost is not None
            line = replace(
                line,
                credited_quantity=line.credited_quantity + quantity,
                credited=line.credited + back.amount,
                credited_tax=line.credited_tax + back.tax,
                credited_cleared=line.credited_cleared + back.cleared,
                cost=Cost(line.cost.whole - books.cost.whole, line.cost.cleared - books.cost.cleared),
            )
            standing = Standing(standing.minor - back.amount, standing.worth - books.carried, standing.tax - books.tax)
            left -= quantity
        assert (standing, line.cost) == (Standing(0, 0, 0), Cost(0, 0))


@pytest.mark.parametrize(
    ("worth", "paid", "replaced", "expected"),
    [
        (3_120, 15_350, False, (3_120, 0, 0)),
        (3_120, 3_070, False, (3_070, 50, 0)),
        (3_120, 15_350, True, (3_120, 0, 3_120)),
        (3_120, 3_070, True, (3_070, 50, 3_070)),
    ],
)
def test_a_refund_makes_the_expenditure_less_as_far_as_any_was_paid(worth, paid, replaced, expected):
    back = credits.returned(billed(10, 1_000_00, 1), Fraction(2))

    one = exchange.back(back, worth, paid=paid, replaced=replaced)

    assert (one.spent, one.revenue, one.again) == expected
    assert one.worth == worth


def test_a_refund_is_the_total_or_what_the_bank_made_of_it_in_the_books_currency():
    owed, nothing = Money(200_00, DOLLARS), Money(0, DOLLARS)

    exchange.check_refund("CN-1", owed, owed, "IDR", withheld=nothing)
    exchange.check_refund("CN-1", owed, Money(3_000_000_00, "IDR"), "IDR", withheld=nothing)
    for came in (Money(199_99, DOLLARS), Money(0, "IDR"), Money(200_00, "EUR")):
        with pytest.raises(RefundAmountMismatch, match="in IDR"):
            exchange.check_refund("CN-1", owed, came, "IDR", withheld=nothing)
    with pytest.raises(RefundAmountMismatch, match="199"):
        exchange.check_refund("CN-2", Money(200_00, "IDR"), Money(199_00, "IDR"), None, withheld=Money(0, "IDR"))
