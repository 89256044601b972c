"""Successors of codes, and that carrying over moves every unit once."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance.classification.carryover import domain
from services.finance.classification.carryover.domain import Holding, Succession
from services.finance.classification.carryover.following import described
from services.finance.classification.domain import Account, ClassificationConflict
from services.finance.classification.segments import Segment
from services.finance.ledger.domain import LINES_MAX, Basis, check
from services.finance.ledger.yearend.domain import OpenEstimate

DAY = date(2026, 1, 1)


def succession(old: str = "1.1", new: str = "1.2", **values: Any) -> Succession:
    """The one successor of a code."""
    return Succession(
        **{
            "code_succession_id": uuid4(),
            "segment": Segment.ACCOUNT,
            "old_code": old,
            "new_code": new,
            "effective_on": DAY,
            "is_default": True,
            "legal_source": "made up",
            **values,
        }
    )


def account(code: str, **values: Any) -> Account:
    return Account(
        **{
            "account_id": uuid4(),
            "code": code,
            "parent_code": "",
            "display_name": code,
            "english_name": "",
            "kind": "ASSET",
            "normal_side": "DEBIT",
            "basis": "ACCRUAL",
            "postable": True,
            "control": False,
            "funds_control": False,
            "valid_from": date(2021, 1, 1),
            **values,
        }
    )


def test_several_codes_may_have_one_successor_and_one_code_several():
    wanted = [
        succession("1.1"),
        succession("1.3"),
        succession("1.4", "1.5"),
        succession("1.4", "1.6", is_default=False),
    ]

    assert [is_new for _, is_new in domain.admit(wanted, [])] == [True] * 4


@pytest.mark.parametrize(
    "wanted",
    [
        [succession(is_default=False)],
        [succession(), succession(new="1.3")],
        [succession(), succession(is_default=False)],
        [succession(new="1.1")],
        [succession("UMUM", "LAIN", segment=Segment.FUND)],
    ],
    ids=["no default", "two defaults", "named twice", "itself", "a fund"],
)
def test_a_code_has_exactly_one_default_successor(wanted: list[Succession]):
    with pytest.raises(domain.SuccessionInvalid):
        domain.admit(wanted, [])


def test_what_is_there_is_taken_as_it_is_and_nothing_is_added_to_it():
    present = succession()

    assert domain.admit([succession()], [present]) == [(present, False)]
    with pytest.raises(ClassificationConflict):
        domain.admit([succession(), succession(new="1.3", is_default=False)], [present])
    with pytest.raises(ClassificationConflict):
        domain.admit([succession(new="1.3")], [present])


@pytest.mark.parametrize(
    "differs",
    [{"kind": "CASH"}, {"basis": "BUDGET"}, {"normal_side": "CREDIT"}, {"control": True}, {"postable": False}],
)
def test_a_balance_stays_what_it_is_under_its_new_code(differs: dict[str, Any]):
    accounts = {("1.1", date(2025, 12, 31)): account("1.1"), ("1.2", DAY): account("1.2", **differs)}

    with pytest.raises(domain.SuccessionInvalid) as caught:
        domain.check_accounts([succession()], accounts)
    assert caught.value.metadata["differs"] == next(iter(differs))


def test_a_refusal_lists_the_codes_without_successor():
    said = domain.incomplete(2026, [domain.Uncarried(Segment.FUNCTION, "07", False, True)])

    assert (said.reason, said.metadata["codes"]) == ("CARRY_OVER_INCOMPLETE", "FUNCTION 07")


amounts = st.integers(min_value=-(10**15), max_value=10**15)
holdings = st.lists(
    st.builds(
        lambda fund, currency, minor, functional, line: Holding(
            Basis.ACCRUAL,
            fund,
            "1.1",
            "1.2",
            currency,
            minor,
            minor if currency == "IDR" else functional,
            budget_line_id=UUID(int=line) if line else None,
        ),
        st.sampled_from(["A", "B"]),
        st.sampled_from(["IDR", "USD"]),
        amounts,
        st.one_of(st.none(), amounts),
        st.integers(min_value=0, max_value=3),
    ),
    max_size=40,
)


@given(holdings)
def test_every_unit_leaves_the_old_code_and_arrives_at_the_new_one(found: list[Holding]):
    entries, carried = domain.carry(found, "IDR")

    for lines in entries:
        assert len(lines) <= LINES_MAX
        entry = domain.entry(
            lines,
            journal_entry_id=uuid4(),
            agency_id=uuid4(),
            source_id=uuid4(),
            year=2026,
            first_day=DAY,
            person_id=uuid4(),
        )
        check(entry, "IDR")
    lines = [line for entry in entries for line in entry]
    for code, sign in (("1.1", -1), ("1.2", 1)):
        there = [line for line in lines if line.account_code == code]
        dollars = sum(line.debit_minor - line.credit_minor for line in there if line.currency == "USD")
        assert dollars == sign * sum(one.minor for one in found if one.currency == "USD")
        worth = sum((line.functional("IDR") or 0) * (1 if line.debit_minor else -1) for line in there)
        assert worth == sign * sum(one.functional_minor or 0 for one in found)
    assert sum(one.minor for one in carried if one.currency == "USD") == sum(
        one.minor for one in found if one.currency == "USD"
    )


@pytest.mark.parametrize(
    ("at_its_end", "carried", "goes"),
    [
        # Before the year's closing and after it; and a second time, once it went over.
        (-1_000, 0, -700),
        (-700, 0, -700),
        (-700, 700, 0),
        # More was left by a correction after the first run.
        (-700, 650, -50),
    ],
)
def test_what_projects_have_left_of_the_appropriations_goes_over_and_the_rest_is_closed(
    at_its_end: int, carried: int, goes: int
):
    held = [Holding(Basis.BUDGET, "UMUM", "3.1.02.03", "3.1.02.13", "IDR", at_its_end + carried, None)]

    found = domain.standing(held, {("UMUM", "IDR"): at_its_end}, [OpenEstimate("UMUM", "IDR", 700)])

    assert sum(one.minor for one in found) == goes
    assert {(one.account_code, one.successor_code) for one in found} <= {("3.1.02.03", "3.1.02.13")}


def test_a_reversals_description_names_ten_codes_that_were_followed_and_counts_the_rest():
    followed = {(Segment.ACCOUNT, f"1.{nth:02}"): f"2.{nth:02}" for nth in range(12)}

    told = described("entered twice", followed)

    assert told.startswith("entered twice [ACCOUNT 1.00 is now 2.00; ACCOUNT 1.01 is now 2.01; ")
    assert told.endswith("ACCOUNT 1.09 is now 2.09; and 2 more]")
