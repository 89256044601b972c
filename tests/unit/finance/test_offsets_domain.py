"""When a credit is set off, as plain values."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID

import pytest

from services.finance.payables.offsets import domain
from services.finance.payables.offsets.domain import Claim, Debt, OffsetExceedsPayable, OffsetNotAllowed, Owed

AGENCY, OTHER = UUID(int=1), UUID(int=2)
CLAIM = Claim("CN-1", "RECEIVABLE", AGENCY, "supplier", 100, "IDR")
DEBT = Debt("INV-2", "INVOICE", "OPEN", AGENCY, "supplier", 1_000, "IDR", 1_000, "IDR")


@pytest.mark.parametrize(
    ("claim", "debt"),
    [
        (replace(CLAIM, status="REFUNDED"), DEBT),
        (CLAIM, replace(DEBT, status="REQUESTED")),
        (CLAIM, replace(DEBT, source="BILL")),
        (CLAIM, replace(DEBT, creditor="another")),
        (CLAIM, replace(DEBT, agency_id=OTHER)),
        (CLAIM, replace(DEBT, currency="USD")),
        (replace(CLAIM, currency="EUR"), replace(DEBT, currency="USD")),
    ],
)
def test_what_does_not_belong_together_is_not_set_off(claim: Claim, debt: Debt):
    domain.check(CLAIM, DEBT)

    with pytest.raises(OffsetNotAllowed):
        domain.check(claim, debt)


def test_funds_and_years_are_not_mixed():
    domain.check_same_fund(CLAIM, DEBT, ["A", "A"])

    with pytest.raises(OffsetNotAllowed):
        domain.check_same_fund(CLAIM, DEBT, ["A", "B"])
    with pytest.raises(OffsetNotAllowed):
        domain.check_same_year(CLAIM, DEBT, earlier_year=True)


def test_two_papers_in_one_foreign_currency_are_set_off():
    domain.check(replace(CLAIM, currency="USD"), replace(DEBT, currency="USD", worth=15_450_000))


def test_what_is_left_bears_what_is_withheld_from_the_whole():
    assert domain.taken(CLAIM, DEBT, 899) == 100
    with pytest.raises(OffsetExceedsPayable):
        domain.taken(CLAIM, DEBT, 900)
    with pytest.raises(OffsetExceedsPayable):
        domain.taken(replace(CLAIM, amount=1_000), DEBT, 0)


def test_shares_of_parts_add_up_and_leave_no_part_below_zero():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # chance for a test, not a secret
    for _ in range(200):
        parts = [Owed(chance.randint(1, 10**9), chance.randint(1, 10**13)) for _ in range(chance.randint(1, 8))]
        amount = chance.randint(1, sum(part.amount for part in parts))
        paid = chance.randint(1, 10**13)

        taken = domain.shares(amount, parts, paid)

        assert (sum(one.amount for one in taken), sum(one.paid for one in taken)) == (amount, paid)
        for one, part in zip(taken, parts, strict=True):
            assert 0 <= one.amount <= part.amount
            assert 0 <= one.carried <= part.worth
            assert (one.amount == part.amount) <= (one.carried == part.worth)
