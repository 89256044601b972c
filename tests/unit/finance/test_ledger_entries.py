"""What an entry is, when it balances, and how it is reversed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.money import AmountOutOfRange
from services.finance.ledger.domain import (
    LINES_MAX,
    Basis,
    EntryRejected,
    EntryUnbalanced,
    JournalEntry,
    Line,
    Segments,
    check,
    imbalances,
    reversal,
)

IDR = "IDR"


def line(account_code: str = "8.1.02.01", debit: int = 0, credit: int = 0, **values) -> Line:
    """A valid line of the accrual basis."""
    return Line(
        **{
            "basis": Basis.ACCRUAL,
            "fund_code": "UMUM",
            "account_code": account_code,
            "debit_minor": debit,
            "credit_minor": credit,
            "currency": IDR,
            **values,
        }
    )


def entry(*lines: Line) -> JournalEntry:
    """An entry of these lines."""
    return JournalEntry(
        journal_entry_id=UUID(int=1),
        agency_id=UUID(int=2),
        effective_on=date(2025, 3, 10),
        accounting_on=None,
        description="a test's entry",
        source_kind="MANUAL",
        source_id=None,
        lines=lines,
    )


def test_an_entry_balances_in_the_functional_currency():
    # Domain rules §1: Dr AP USD 1 000 (15 400 000), Cr CASH 15 350 000, Cr FXD 50 000 is valid.
    settled = entry(
        line("AP", debit=1_000_00, currency="USD", functional_minor=15_400_000_00),
        line("CASH", credit=15_350_000_00),
        line("FXD", credit=50_000_00),
    )

    check(settled, IDR)


def test_lines_without_functional_amounts_balance_in_each_currency():
    # Domain rules §1: Dr EUR 10 / Cr USD 11 without functional amounts is refused.
    mixed = entry(line(debit=10_00, currency="EUR"), line(credit=11_00, currency="USD"))

    with pytest.raises(EntryUnbalanced) as refusal:
        check(mixed, IDR)

    assert refusal.value.metadata["currency"] == "EUR"
    check(entry(line(debit=10_00, currency="EUR"), line(credit=10_00, currency="EUR")), IDR)


def test_equal_numbers_of_two_currencies_do_not_balance():
    with pytest.raises(EntryUnbalanced):
        check(entry(line(debit=10_00, currency="EUR"), line(credit=10_00, currency="USD")), IDR)


def test_a_foreign_line_does_not_balance_a_line_of_the_books_by_its_number():
    with pytest.raises(EntryUnbalanced):
        check(entry(line(debit=10_00, currency="USD"), line(credit=10_00)), IDR)


@pytest.mark.parametrize("part", [{"basis": Basis.BUDGET}, {"fund_code": "OTHER"}])
def test_each_basis_and_each_fund_balances_by_itself(part):
    with pytest.raises(EntryUnbalanced):
        check(entry(line(debit=5), line(credit=5, **part)), IDR)

    check(entry(line(debit=5), line(credit=5), line(debit=7, **part), line(credit=7, **part)), IDR)


@pytest.mark.parametrize(
    "bad",
    [
        line(),
        line(debit=5, credit=5),
        line(debit=-5),
        line(debit=5, functional_minor=-5),
        line(debit=5, functional_minor=6),
    ],
)
def test_a_line_has_one_side_above_zero(bad):
    with pytest.raises(EntryRejected):
        check(entry(bad, line(credit=5)), IDR)


def test_an_entry_has_two_lines_at_least_and_not_too_many():
    with pytest.raises(EntryRejected):
        check(entry(line(debit=5)), IDR)
    with pytest.raises(EntryRejected):
        check(entry(*[line(debit=1), line(credit=1)] * (LINES_MAX // 2), line(debit=1)), IDR)


def test_an_amount_beyond_64_bits_is_out_of_range():
    with pytest.raises(AmountOutOfRange):
        check(entry(line(debit=2**63), line(credit=2**63)), IDR)


amounts = st.integers(1, 10**15)
currencies = st.sampled_from(["IDR", "USD", "EUR", "JPY"])


@st.composite
def balanced(draw) -> JournalEntry:
    """An entry whose debits equal its credits in every (basis, fund, currency), the credits split anew."""
    lines = []
    groups = draw(st.lists(st.tuples(st.sampled_from(Basis), st.sampled_from(["A", "B"]), currencies), min_size=1))
    for basis, fund_code, currency in groups[:4]:
        parts = draw(st.lists(amounts, min_size=1, max_size=4))
        values = {"basis": basis, "fund_code": fund_code, "currency": currency}
        lines += [line(debit=part, **values) for part in parts]
        first = draw(st.integers(0, sum(parts)))
        lines += [line(credit=part, **values) for part in (first, sum(parts) - first) if part]
    return entry(*draw(st.permutations(lines)))


@settings(max_examples=200)
@given(balanced())
def test_every_balanced_entry_is_taken_and_so_is_its_reversal(one: JournalEntry):
    check(one, IDR)

    mirrored = reversal(one, journal_entry_id=uuid4(), effective_on=date(2025, 4, 1), description="entered twice")

    check(mirrored, IDR)
    assert imbalances([*one.lines, *mirrored.lines], IDR) == []
    assert [(mirror.debit_minor, mirror.credit_minor) for mirror in mirrored.lines] == [
        (original.credit_minor, original.debit_minor) for original in one.lines
    ]
    assert mirrored.reverses_id == one.journal_entry_id


@settings(max_examples=200)
@given(balanced(), st.data())
def test_an_entry_with_one_amount_changed_is_refused(one: JournalEntry, data):
    index = data.draw(st.integers(0, len(one.lines) - 1))
    change = data.draw(st.integers(1, 1_000))
    lines = list(one.lines)
    side = "debit_minor" if lines[index].debit_minor else "credit_minor"
    lines[index] = replace(lines[index], **{side: getattr(lines[index], side) + change})

    with pytest.raises(EntryUnbalanced):
        check(replace(one, lines=tuple(lines)), IDR)


def test_a_reversal_keeps_what_a_line_is_about_and_not_its_movement():
    tagged = line(
        debit=5,
        segments=Segments(organisation_code="1.02.01"),
        budget_line_id=UUID(int=7),
        funds_movement_id=UUID(int=8),
        functional_minor=5,
    )

    mirrored = reversal(
        entry(tagged, line(credit=5)), journal_entry_id=uuid4(), effective_on=date(2025, 4, 1), description="why"
    ).lines[0]

    assert mirrored == replace(tagged, debit_minor=0, credit_minor=5, funds_movement_id=None)
