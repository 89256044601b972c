"""How an act in several books is paired: every book balances, and the pair is equal and opposite whatever is posted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance.ledger.domain import (
    Basis,
    CorrectionUnnamed,
    EntryRejected,
    EntryUnbalanced,
    Line,
    check,
    imbalances,
)
from services.finance.ledger.joint.domain import (
    JointEntry,
    JointEntryUnpaired,
    Leg,
    Pair,
    check_purpose,
    entries,
    paired,
)

IDR, PAIR = "IDR", Pair("RK-A", "RK-T")
TREASURY, ONE, OTHER = (UUID(int=number) for number in (1, 2, 3))


def dr(amount: int, *, fund: str = "UMUM", account: str = "1.1", currency: str = IDR, worth: int | None = None) -> Line:
    return Line(Basis.ACCRUAL, fund, account, amount, 0, currency, worth)


def cr(amount: int, *, fund: str = "UMUM", account: str = "7.1", currency: str = IDR, worth: int | None = None) -> Line:
    return Line(Basis.ACCRUAL, fund, account, 0, amount, currency, worth)


def legs_of(*legs: tuple[UUID, list[Line]]) -> list[Leg]:
    return [Leg(agency_id, tuple(lines)) for agency_id, lines in legs]


def shown(leg: Leg) -> list[tuple[str, int, UUID | None]]:
    """Account, debit less credit, and the other entity of each line."""
    return [(line.account_code, line.debit_minor - line.credit_minor, line.counterpart_agency_id) for line in leg.lines]


def test_between_two_agencies_the_treasury_stands_in_the_middle():
    one, other, treasury = paired(legs_of((ONE, [cr(5)]), (OTHER, [dr(5)])), TREASURY, PAIR, IDR)

    assert shown(one) == [("7.1", -5, None), ("RK-A", 5, TREASURY)]
    assert shown(other) == [("1.1", 5, None), ("RK-A", -5, TREASURY)]
    assert shown(treasury) == [("RK-T", -5, ONE), ("RK-T", 5, OTHER)]


def test_each_fund_has_its_own_pair():
    own = [dr(5), dr(3, fund="BLUD"), cr(1, fund="BLUD")]
    treasury_lines = [cr(5), cr(2, fund="BLUD")]

    one, treasury = paired(legs_of((ONE, own), (TREASURY, treasury_lines)), TREASURY, PAIR, IDR)

    assert shown(one)[3:] == [("RK-A", -2, TREASURY), ("RK-A", -5, TREASURY)]
    assert shown(treasury)[2:] == [("RK-T", 2, ONE), ("RK-T", 5, ONE)]


def test_a_line_in_another_currency_passes_at_its_functional_amount():
    one, treasury = paired(
        legs_of((ONE, [dr(10, currency="USD", worth=150_000)]), (TREASURY, [cr(150_000)])), TREASURY, PAIR, IDR
    )

    assert shown(one)[-1] == ("RK-A", -150_000, TREASURY)
    assert shown(treasury)[-1] == ("RK-T", 150_000, ONE)
    with pytest.raises(EntryRejected, match="functional_amount"):
        paired(legs_of((ONE, [dr(10, currency="USD")]), (TREASURY, [cr(10)])), TREASURY, PAIR, IDR)


def test_budget_lines_do_not_pass_between_entities():
    budget = Line(Basis.BUDGET, "UMUM", "5.1", 5, 0, IDR)

    with pytest.raises(EntryUnbalanced, match="only ACCRUAL lines pass"):
        paired(legs_of((ONE, [budget, dr(5)]), (OTHER, [cr(5)])), TREASURY, PAIR, IDR)


@pytest.mark.parametrize(
    ("legs", "error"),
    [
        ([(ONE, [dr(5), cr(5)]), (OTHER, [dr(1)])], JointEntryUnpaired),
        ([(TREASURY, [dr(5), cr(5)])], JointEntryUnpaired),
        ([(ONE, [dr(5)]), (ONE, [cr(5)])], EntryRejected),
        ([(ONE, [dr(5)]), (OTHER, [cr(4)])], EntryUnbalanced),
        ([(ONE, [dr(5)]), (OTHER, [cr(5, fund="BLUD")])], EntryUnbalanced),
    ],
)
def test_legs_that_are_no_act_of_several_books_are_refused(legs, error):
    with pytest.raises(error):
        paired(legs_of(*legs), TREASURY, PAIR, IDR)


amounts = st.integers(min_value=-(10**15), max_value=10**15).filter(bool)


@given(
    moved=st.lists(
        st.tuples(st.integers(min_value=0, max_value=4), st.sampled_from(("UMUM", "BLUD")), amounts),
        min_size=1,
        max_size=30,
    )
)
def test_every_book_balances_and_the_pair_is_equal_and_opposite(moved):
    agencies = [TREASURY, *(UUID(int=number) for number in range(10, 14))]
    lines = defaultdict(list)
    for index, fund, amount in moved:
        lines[agencies[index]].append(dr(amount, fund=fund) if amount > 0 else cr(-amount, fund=fund))
        # What is taken here is given by the first agency, so that the whole balances.
        lines[agencies[1]].append(cr(amount, fund=fund) if amount > 0 else dr(-amount, fund=fund))
    legs = [Leg(agency_id, tuple(own)) for agency_id, own in lines.items()]
    legs = [leg for leg in legs if leg.agency_id == TREASURY or imbalances(leg.lines, IDR)]
    if not any(leg.agency_id != TREASURY for leg in legs):
        return

    made = paired(legs, TREASURY, PAIR, IDR)

    act = JointEntry(uuid4(), TREASURY, date(2025, 3, 1), "an act", "", uuid4(), tuple(legs))
    for entry in entries(act, made, {leg.agency_id: uuid4() for leg in made}, {}):
        if len(entry.lines) > 1:
            check(entry, IDR)
    between = defaultdict(int)
    for leg in made:
        for line in leg.lines:
            if line.counterpart_agency_id is not None:
                amount = line.debit_minor - line.credit_minor
                between[frozenset((leg.agency_id, line.counterpart_agency_id)), line.fund_code] += amount
    assert set(between.values()) <= {0}
    assert {leg.agency_id for leg in made} == act.agency_ids


def an_act(**changes: object) -> JointEntry:
    legs = tuple(legs_of((ONE, [dr(5)]), (OTHER, [cr(5)])))
    return replace(JointEntry(uuid4(), TREASURY, date(2025, 12, 20), "an act", "", uuid4(), legs), **changes)


def test_the_entries_of_a_correction_correct_those_of_the_same_books_and_stand_in_its_period():
    act = an_act(corrects_id=UUID(int=9), adjustment_on=date(2025, 12, 31))
    legs = paired(act.legs, TREASURY, PAIR, IDR)
    corrected = {leg.agency_id: uuid4() for leg in legs}

    made = entries(act, legs, {leg.agency_id: uuid4() for leg in legs}, corrected)

    assert {entry.agency_id: entry.corrects_id for entry in made} == corrected
    assert {(entry.accounting_on, entry.adjusts, entry.auto_reverse) for entry in made} == {
        (date(2025, 12, 31), True, False)
    }


def test_the_adjustment_period_takes_corrections_that_stay():
    in_period_13 = an_act(adjustment_on=date(2025, 12, 31))

    check_purpose(replace(in_period_13, corrects_id=uuid4()))
    check_purpose(an_act(auto_reverse=True))
    with pytest.raises(CorrectionUnnamed):
        check_purpose(in_period_13)
    with pytest.raises(EntryRejected, match="no month follows it"):
        check_purpose(replace(in_period_13, corrects_id=uuid4(), auto_reverse=True))
