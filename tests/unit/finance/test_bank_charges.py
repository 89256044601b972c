"""Which entries of the bank are fees or interest, as plain values; and where a statement says it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from chassis.errors import InvalidArgument
from services.finance.treasury import bank_file
from services.finance.treasury.charges import domain, pack
from services.finance.treasury.charges.domain import ChargeKind, ChargeLineNotAllowed, Entry, EntryNotChargeable
from tests.unit.finance.bank_samples import camt_053, entry

FEE, INTEREST = ChargeKind.FEE, ChargeKind.INTEREST
RULES = pack.charge_rules(date(2025, 3, 21))
TAKEN = Entry("1", "ACMT/MDOP/CHRG", is_debit=True, matched=False)


def codes(*entries: str) -> list[str]:
    told = bank_file.read(camt_053(entries).encode()).told
    return [one.transaction_code for each in told for one in each.entries]


def test_the_rule_of_the_banks_code_decides():
    assert domain.kind_of(TAKEN, RULES, FEE).expenditure_prefix == "5.1.02"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (replace(TAKEN, transaction_code="PMNT/RCDT/ESCT"), FEE),
        (TAKEN, INTEREST),
        (replace(TAKEN, is_debit=False), FEE),
        (replace(TAKEN, matched=True), FEE),
        (replace(TAKEN, transaction_code=""), INTEREST),
    ],
)
def test_what_the_pack_does_not_say_is_no_charge(one: Entry, said: ChargeKind):
    with pytest.raises(EntryNotChargeable):
        domain.kind_of(one, RULES, said)


def test_an_entry_without_a_code_is_what_persons_say_of_its_direction():
    assert domain.kind_of(replace(TAKEN, transaction_code=""), RULES, FEE).kind is FEE
    assert domain.kind_of(replace(TAKEN, transaction_code="", is_debit=False), RULES, INTEREST).kind is INTEREST


def test_a_fee_is_borne_under_its_prefix_segment_by_segment():
    rule = domain.kind_of(TAKEN, RULES, FEE)

    domain.check_line(rule, "5.1.02.02.01")
    with pytest.raises(ChargeLineNotAllowed):
        domain.check_line(rule, "5.1.021")


@pytest.mark.parametrize(
    ("kind", "agency", "budget_line", "fund"),
    [
        (FEE, True, False, False),
        (FEE, True, True, True),
        (INTEREST, False, True, False),
        (INTEREST, False, False, False),
        (INTEREST, True, False, True),
    ],
)
def test_a_fee_names_its_line_and_interest_its_fund(kind: ChargeKind, agency: bool, budget_line: bool, fund: bool):
    with pytest.raises(InvalidArgument):
        domain.check_bearer(kind, agency=agency, budget_line=budget_line, fund=fund)


def test_the_code_is_read_as_domain_family_and_sub_family_or_as_the_banks_own():
    own = entry(5, text="x").replace("<BkTxCd/>", "<BkTxCd><Prtry><Cd>BIAYA ADM</Cd></Prtry></BkTxCd>")

    assert codes(entry(5, code="ACMT/MDOP/CHRG"), own, entry(5)) == ["ACMT/MDOP/CHRG", "BIAYA ADM", ""]


def test_a_code_without_its_family_is_no_code():
    half = entry(5).replace("<BkTxCd/>", "<BkTxCd><Domn><Cd>ACMT</Cd></Domn></BkTxCd>")

    assert codes(half) == [""]
