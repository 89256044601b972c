"""What the funds of an agency owe one another by an entry (domain rules §1)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from services.finance.ledger.domain import (
    LINES_MAX,
    Basis,
    EntryRejected,
    EntryUnbalanced,
    FundBalancing,
    JournalEntry,
    Line,
    check,
    imbalances,
    reversal,
)
from services.finance.ledger.interfund import domain
from services.finance.ledger.interfund.domain import Due, InterfundNotOwed, PairAccounts

IDR = "IDR"
AGENCY = UUID(int=2)
ACCOUNTS = {Basis.ACCRUAL: PairAccounts("FROM", "TO"), Basis.BUDGET: PairAccounts("FROM-B", "TO-B")}


def line(fund: str, amount: int, basis: Basis = Basis.ACCRUAL, **values) -> Line:
    """A debit of a fund, or a credit of one below zero."""
    return Line(basis, fund, "1.1", max(amount, 0), max(-amount, 0), **{"currency": IDR, **values})


def entry(*lines: Line, balancing: FundBalancing = FundBalancing.DUE) -> JournalEntry:
    """An entry by hand of these lines."""
    return JournalEntry(
        UUID(int=1), AGENCY, date(2025, 3, 10), None, "a test's entry", "MANUAL", None, lines, balancing=balancing
    )


def balanced(one: JournalEntry) -> JournalEntry:
    return domain.balanced(one, domain.dues(one, IDR), ACCOUNTS, IDR)


def told(lines) -> list[tuple[str, str, int, str]]:
    return [
        (one.fund_code, one.account_code, one.debit_minor - one.credit_minor, one.counterpart_fund_code)
        for one in lines
    ]


def test_what_a_fund_bears_for_another_is_owed_to_it():
    # UMUM's cash pays 1 000 of a debt of BLUD.
    paid = balanced(entry(line("BLUD", 1_000), line("UMUM", -1_000)))

    assert told(paid.lines[2:]) == [("UMUM", "FROM", 1_000, "BLUD"), ("BLUD", "TO", -1_000, "UMUM")]
    assert {one.counterpart_agency_id for one in paid.lines[2:]} == {AGENCY}, "nobody names such a line by hand"
    check(paid, IDR)


def test_a_settlement_takes_the_pair_down():
    # BLUD pays 400 back.
    settled = balanced(entry(line("UMUM", 400), line("BLUD", -400), balancing=FundBalancing.SETTLEMENT))

    assert told(settled.lines[2:]) == [("UMUM", "FROM", -400, "BLUD"), ("BLUD", "TO", 400, "UMUM")]


def test_of_three_funds_each_takes_what_the_next_has_left():
    made = domain.dues(entry(line("C", 600), line("A", 400), line("B", -700), line("D", -300)), IDR)

    assert made == [
        Due(Basis.ACCRUAL, "A", "B", 400),
        Due(Basis.ACCRUAL, "C", "B", 300),
        Due(Basis.ACCRUAL, "C", "D", 300),
    ]


def test_each_basis_has_its_own_pair_in_the_functional_currency():
    both = balanced(
        entry(
            line("A", 1_000, currency="USD", functional_minor=15_000),
            line("B", -15_000),
            line("A", -70, Basis.BUDGET),
            line("B", 70, Basis.BUDGET),
        )
    )

    assert told(both.lines[4:]) == [
        ("B", "FROM", 15_000, "A"),
        ("A", "TO", -15_000, "B"),
        ("A", "FROM-B", 70, "B"),
        ("B", "TO-B", -70, "A"),
    ]
    assert {one.currency for one in both.lines[4:]} == {IDR}


def test_a_reversal_brings_the_pair_back_and_nothing_is_added_to_it():
    paid = balanced(entry(line("BLUD", 1_000), line("UMUM", -1_000)))
    mirror = reversal(paid, journal_entry_id=UUID(int=3), effective_on=date(2025, 3, 11), description="entered twice")

    assert told(mirror.lines[2:]) == [("UMUM", "FROM", -1_000, "BLUD"), ("BLUD", "TO", 1_000, "UMUM")]
    assert domain.dues(mirror, IDR) == []


def test_what_does_not_balance_over_all_funds_is_refused_with_the_difference():
    with pytest.raises(EntryUnbalanced) as refusal:
        domain.dues(entry(line("A", 1_000), line("B", -999)), IDR)

    assert refusal.value.metadata["difference_minor"] == "1"


def test_one_basis_does_not_make_up_for_another():
    with pytest.raises(EntryUnbalanced, match="basis ACCRUAL"):
        domain.dues(entry(line("A", 5), line("B", -5, Basis.BUDGET)), IDR)


def test_lines_without_a_functional_amount_are_not_paired():
    with pytest.raises(EntryUnbalanced, match="functional_amount"):
        domain.dues(entry(line("A", 5, currency="USD"), line("B", -5, currency="USD")), IDR)


def test_without_the_word_the_refusal_says_that_it_may_be_asked_for():
    given = entry(line("A", 5), line("B", -5), balancing=FundBalancing.GIVEN)

    with pytest.raises(EntryUnbalanced, match="fund_balancing"):
        check(given, IDR)
    for other in (entry(line("A", 5), line("B", -4)), replace(given, source_kind="INVOICE")):
        with pytest.raises(EntryUnbalanced) as refusal:
            check(other, IDR)
        assert "fund_balancing" not in refusal.value.message


def test_the_lines_that_are_added_count_towards_the_longest_entry():
    lines = [line(f"F{number}", 1 if number % 2 else -1) for number in range(LINES_MAX // 2 + 2)]

    with pytest.raises(EntryRejected, match=f"{LINES_MAX}"):
        balanced(entry(*lines))


def test_a_settlement_beyond_what_is_owed_is_refused_with_both_figures():
    due = Due(Basis.ACCRUAL, "BLUD", "UMUM", 601)

    with pytest.raises(InterfundNotOwed) as refusal:
        domain.check_owed(AGENCY, [due], {due: 600}, IDR)

    assert (refusal.value.metadata["owed_minor"], refusal.value.metadata["settled_minor"]) == ("600", "601")
    domain.check_owed(AGENCY, [due], {due: 601}, IDR)


def test_any_entry_of_several_funds_balances_in_each_and_nothing_else_changes(seed: int):
    rng = random.Random(seed)
    for _ in range(300):
        lines = []
        for basis in Basis:
            funds = [f"F{number}" for number in range(rng.randint(1, 7))]
            amounts = [rng.choice((1, -1)) * rng.randint(1, 10**12) for _ in range(rng.randint(1, 12))]
            over_all = sum(amounts)
            amounts += [-over_all] if over_all else []
            for amount in amounts:
                foreign = rng.random() < 0.2
                values = {"currency": "USD", "functional_minor": abs(amount)} if foreign else {}
                lines.append(line(rng.choice(funds), amount, basis, **values))
        given = entry(*lines, balancing=rng.choice((FundBalancing.DUE, FundBalancing.SETTLEMENT)))

        made = balanced(given)

        assert imbalances(made.lines, IDR) == []
        assert replace(made, lines=made.lines[: len(lines)]) == given, "the lines given stay as they are, in order"
        towards: dict[tuple[Basis, str, str], int] = {}
        for one in made.lines[len(lines) :]:
            key = (one.basis, one.fund_code, one.counterpart_fund_code)
            towards[key] = towards.get(key, 0) + one.debit_minor - one.credit_minor
        assert all(towards[basis, other, fund] == -amount for (basis, fund, other), amount in towards.items())
        unequal = {(basis, fund) for (basis, fund, _, _), _ in imbalances(lines, IDR)}
        assert {(basis, fund) for basis, fund, _ in towards} == unequal, "who balanced owes nobody"
        assert len(made.lines) - len(lines) <= 2 * max(len(unequal) - 1, 0)
