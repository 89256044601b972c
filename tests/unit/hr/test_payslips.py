"""The payslip examples of the pack, figure by figure, by the reference and by the column engine."""

from __future__ import annotations

import dataclasses

import pytest

from chassis.dates import Month
from services.hr.payroll import columns, reference
from services.hr.payroll.rules import PayKind, Rounding, Side
from tests.unit.hr.builders import example_inputs, examples, period_of, population, rules_of, whole_month

APRIL = Month(2026, 4)
CASES = examples("payslip_examples.json")
by_id = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])

COMPONENTS = {
    "base_pay": ("BASE_PAY",),
    "spouse_allowance": ("SPOUSE_ALLOWANCE",),
    "child_allowance": ("CHILD_ALLOWANCE",),
    "position_allowance": ("GENERAL_ALLOWANCE", "STRUCTURAL_ALLOWANCE", "FUNCTIONAL_ALLOWANCE"),
    "rice_allowance": ("RICE_ALLOWANCE",),
    "pension_4_75": ("PENSION",),
    "old_age_3_25": ("OLD_AGE",),
    "health_employee_1": ("HEALTH",),
    "health_employer_4": ("HEALTH_EMPLOYER",),
    "jkk_0_24": ("ACCIDENT_EMPLOYER",),
    "jkm_0_72": ("DEATH_EMPLOYER",),
    "tax_excluding_employer_premiums": ("INCOME_TAX",),
}


def slip_of(case: dict, rounding: Rounding) -> reference.Slip:
    rules = rules_of(APRIL).rounded(rounding)
    slip = reference.compute(rules, PayKind.REGULAR, period_of(APRIL), whole_month(APRIL, **example_inputs(case)))
    assert slip is not None
    return slip


@by_id
def test_half_up_payslips_match_the_examples(case: dict) -> None:
    expected = case["expected"]

    slip = slip_of(case, Rounding.HALF_UP)

    for name, components in COMPONENTS.items():
        assert sum(slip.amount(component) for component in components) == expected[name], name
    assert slip.gross == expected["gross"]
    assert slip.net == expected["net_pay_half_up"]
    assert slip.amount("ROUNDING_ALLOWANCE") == 0


@by_id
def test_circular_payslips_match_the_examples(case: dict) -> None:
    expected = case["expected"]["circular_policy"]

    slip = slip_of(case, Rounding.CIRCULAR)

    assert slip.amount("PENSION") == expected["pension_4_75"]
    assert slip.amount("OLD_AGE") == expected["old_age_3_25"]
    assert slip.amount("HEALTH") == expected["health_employee_1"]
    assert slip.amount("ROUNDING_ALLOWANCE") == expected["rounding_allowance"]
    assert slip.gross == expected["gross_including_rounding"]
    assert slip.net == expected["net_pay"]


@by_id
def test_tax_with_employer_premiums_in_the_base_matches_the_examples(case: dict) -> None:
    # The pack leaves the premiums out for those paid by the state's tables; the law is silent, so it is a switch.
    rules = rules_of(APRIL)
    inputs = example_inputs(case)
    premiums = ("HEALTH_EMPLOYER", "ACCIDENT_EMPLOYER", "DEATH_EMPLOYER")
    tax = dataclasses.replace(rules.tax, taxable_employer_parts={str(inputs["staff_kind"]): premiums})

    slip = reference.compute(
        dataclasses.replace(rules, tax=tax), PayKind.REGULAR, period_of(APRIL), whole_month(APRIL, **inputs)
    )

    assert slip is not None
    assert slip.taxable == case["expected"]["taxable_gross_including_employer_premiums"]
    assert slip.tax == case["expected"]["tax_including_employer_premiums"]


@pytest.mark.parametrize("rounding", list(Rounding))
def test_the_column_engine_gives_the_same_payslips(rounding: Rounding) -> None:
    rules = rules_of(APRIL).rounded(rounding)
    people = [whole_month(APRIL, **example_inputs(case)) for case in CASES]

    result = columns.compute(rules, PayKind.REGULAR, period_of(APRIL), population(people))

    for number, case in enumerate(CASES):
        slip = slip_of(case, rounding)
        for component, column in result.amounts.items():
            assert column[number] == slip.amount(component), (case["id"], component)
        assert result.net[number] == slip.net


def test_tax_borne_by_the_government_leaves_net_unchanged() -> None:
    slip = slip_of(CASES[2], Rounding.HALF_UP)
    dear = reference.compute(
        rules_of(APRIL),
        PayKind.REGULAR,
        period_of(APRIL),
        whole_month(APRIL, position_kind="STRUCTURAL", echelon="I.a", grade="IV/e", service_years=32),
    )

    assert slip.amount("TAX_ALLOWANCE") == slip.amount("INCOME_TAX")
    assert dear is not None
    assert dear.amount("TAX_ALLOWANCE") == dear.amount("INCOME_TAX") > 0
    assert dear.net == dear.gross - (dear.side(Side.DEDUCTION) - dear.tax)


def test_contract_staff_bear_their_tax_and_premiums_are_taxable() -> None:
    slip = reference.compute(
        rules_of(APRIL),
        PayKind.REGULAR,
        period_of(APRIL),
        whole_month(APRIL, staff_kind="CONTRACT", grade="", position_kind="GENERAL", contract_pay=12_500_000),
    )

    assert slip is not None
    # 4 % of the capped 12 000 000, 0.24 % and 0.3 % of pay enter the taxable base (PMK 168/2023 art. 5(3)).
    assert slip.taxable == 12_500_000 + 480_000 + 30_000 + 37_500
    assert slip.amount("TAX_ALLOWANCE") == 0
    # Pension premiums stop at the wage cap that holds from 1 March 2026.
    assert slip.amount("PENSION") == 110_863
    assert slip.net == 12_500_000 - slip.side(Side.DEDUCTION)


def test_a_candidate_is_paid_eighty_percent_of_base_pay() -> None:
    slip = reference.compute(
        rules_of(APRIL),
        PayKind.REGULAR,
        period_of(APRIL),
        whole_month(APRIL, staff_kind="CANDIDATE", grade="III/a", service_years=0),
    )

    assert slip is not None
    assert slip.amount("BASE_PAY") == 2_785_700 * 80 // 100
    assert slip.amount("PENSION") == 0


def test_a_grade_below_its_first_step_is_an_exception_and_never_a_guess() -> None:
    with pytest.raises(reference.PayException) as caught:
        reference.compute(
            rules_of(APRIL), PayKind.REGULAR, period_of(APRIL), whole_month(APRIL, grade="II/b", service_years=2)
        )

    assert caught.value.reason == "NO_PAY_TABLE_CELL"
