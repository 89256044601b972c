"""Tax that was withheld of what is credited, as plain values."""

from __future__ import annotations

import random
from datetime import date
from fractions import Fraction

import pytest

from services.finance.payables import domain as payables
from services.finance.payables import pack, withholding
from services.finance.payables.credit_notes.withholding import domain
from services.finance.payables.credit_notes.withholding.domain import Base
from services.finance.payables.credit_notes.withholding.pack import corrected_codes
from services.finance.payables.domain import TaxBase
from services.finance.payables.withholding import WithholdingBelowCorrection

DAY = date(2026, 3, 1)
GOODS = "5.1.02.01.01.0024"
N12 = TaxBase(GOODS, 10_000_000_00, 1_100_000_00, 10_000_000_00)
NOTHING = Base(0, 0)


def test_n12_half_of_the_base_takes_half_of_what_was_withheld():
    found = domain.corrected(
        {"VAT": 1_100_000_00, "PPH22": 150_000_00},
        of_tax={"VAT"},
        left=Base(N12.net, N12.tax),
        earlier=NOTHING,
        credited=Base(5_000_000_00, 550_000_00),
    )

    assert found == {"VAT": 550_000_00, "PPH22": 75_000_00}


def test_a_price_without_tax_takes_nothing_of_what_was_withheld_of_the_tax():
    found = domain.corrected(
        {"VAT": 1_100_000_00, "PPH22": 150_000_00},
        of_tax={"VAT"},
        left=Base(N12.net, N12.tax),
        earlier=NOTHING,
        credited=Base(1_000_000_00, 0),
    )

    assert found == {"PPH22": 15_000_00}


def test_credits_in_any_steps_correct_all_that_was_withheld_and_each_its_share():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # chance for a test, not a secret
    for _ in range(200):
        whole = Base(chance.randint(1, 10**10), chance.randint(0, 10**9))
        withheld = {"VAT": whole.tax, "PPH22": chance.randint(0, whole.net)}
        left, earlier, already = whole, NOTHING, dict.fromkeys(withheld, 0)
        while left != NOTHING:
            last = chance.random() < 0.3
            credited = left if last else Base(chance.randint(0, left.net), chance.randint(0, left.tax))
            found = domain.corrected(withheld, of_tax={"VAT"}, left=left, earlier=earlier, credited=credited)
            already = {code: already[code] + found.get(code, 0) for code in withheld}
            left, earlier = Base(left.net - credited.net, left.tax - credited.tax), earlier + credited
            assert already["VAT"] == earlier.tax
            assert abs(already["PPH22"] - Fraction(withheld["PPH22"] * earlier.net, whole.net)) <= Fraction(1, 2)
        assert already == withheld


def test_what_an_order_withheld_is_its_parts_as_their_rules_found_it():
    rules = pack.withholding_rules("IDR", DAY)
    services = TaxBase("5.1.02.02.01.0001", 3_000_000_00, 0, 3_000_000_00)
    kept = payables.withheld([N12, services], rules)

    found = domain.by_part(kept, [N12, services], rules)

    assert found == [{"VAT": 1_100_000_00, "PPH22": 150_000_00, "PPH23": 0}, {"VAT": 0, "PPH22": 0, "PPH23": 60_000_00}]
    # What was really withheld counts, whatever the rules say today; of a kind without a rule nothing is known.
    assert domain.by_part({"PPH22": 7, "OLD": 5}, [N12, N12], rules) == [{"PPH22": 4}, {"PPH22": 3}]


def test_what_is_withheld_less_is_never_more_than_what_is_withheld():
    assert withholding.less({"VAT": 10, "PPH22": 4}, {"VAT": 10, "PPH22": 1}, "IDR") == {"PPH22": 3}
    with pytest.raises(WithholdingBelowCorrection, match="PPH22"):
        withholding.less({"VAT": 10}, {"PPH22": 1}, "IDR")


def test_the_law_of_the_day_names_what_is_corrected():
    assert corrected_codes(DAY) == {"VAT", "PPH22", "PPH23"}
    assert corrected_codes(date(2020, 1, 1)) == frozenset()
