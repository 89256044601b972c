"""The official examples of PP 58/2023 and PMK 168/2023, by the reference and by the column engine."""

from __future__ import annotations

import pytest

from chassis.dates import Month
from services.hr.payroll import columns, reference
from services.hr.payroll.period import SoFar
from services.hr.payroll.rules import PayKind
from tests.unit.hr.builders import PACK, examples, period_of, population, rules_of, whole_month

CASES = examples("pph21_examples.json")
ANNUAL = [c for c in CASES if c["kind"] == "annual" and c["inputs"]["income_type"] == "employee"]
SINGLE = [c for c in CASES if c["kind"] == "single_period"]
TAX = PACK.rules_on(Month(2026, 1).first).tax


def ids(cases: list[dict]) -> list[str]:
    return [case["id"] for case in cases]


@pytest.mark.parametrize("case", SINGLE, ids=ids(SINGLE))
def test_monthly_tax_matches_the_official_examples(case: dict) -> None:
    category = TAX.category_of_status[case["inputs"]["ptkp_status"]]

    tax = reference.monthly_tax(TAX, category, case["inputs"]["gross"])

    assert category == case["expected"]["ter_category"]
    assert tax == case["expected"]["tax"]


@pytest.mark.parametrize("case", ANNUAL, ids=ids(ANNUAL))
def test_the_years_tax_matches_the_official_examples(case: dict) -> None:
    given, expected = case["inputs"], case["expected"]
    months = {int(month): gross for month, gross in given["gross_by_month"].items()}
    category = TAX.category_of_status[given["ptkp_status"]]

    withheld = {
        month: reference.monthly_tax(TAX, category, gross)
        for month, gross in months.items()
        if month < given["last_period_month"]
    }
    year = reference.annual_tax(
        TAX,
        given["ptkp_status"],
        sum(months.values()),
        given["pension_contribution_total"] + given["zakat_total"],
        len(months),
    )

    assert {str(month): tax for month, tax in withheld.items()} == expected["withheld_by_month"]
    assert year == expected["annual_tax"]
    assert year - sum(withheld.values()) == expected["last_period_tax"]


@pytest.mark.parametrize("case", ANNUAL, ids=ids(ANNUAL))
def test_the_column_engine_withholds_the_same_over_a_year(case: dict) -> None:
    # Contract staff with the example's gross as pay; own contributions are switched off by subtracting them before.
    given = case["inputs"]
    months = {int(month): gross for month, gross in given["gross_by_month"].items()}
    gross_so_far, tax_so_far, done = 0, 0, 0
    for month, gross in months.items():
        period = Month(2025, month)
        rules = rules_of(period)
        inputs = {"staff_kind": "CONTRACT", "tax_status": given["ptkp_status"], "contract_pay": gross}
        so_far = SoFar(year_taxable=gross_so_far, year_tax=tax_so_far, year_months=done)
        last = month == given["last_period_month"]
        people = [whole_month(period, **inputs)]

        slip = reference.compute(rules, PayKind.REGULAR, period_of(period), people[0], so_far, last_period=last)
        result = columns.compute(rules, PayKind.REGULAR, period_of(period), population(people, [so_far], [last]))

        assert slip is not None
        assert result.tax[0] == slip.tax
        gross_so_far, tax_so_far, done = gross_so_far + slip.taxable, tax_so_far + slip.tax, done + 1


def test_article_17_brackets_match_the_official_example() -> None:
    case = next(c for c in CASES if c["kind"] == "article17_gross")

    taxes = [reference.progressive(TAX.annual, payment["gross"]) for payment in case["inputs"]["payments"]]

    assert taxes == case["expected"]["tax_by_payment"]


def test_two_payments_in_a_month_bear_the_tax_of_their_sum() -> None:
    # June of example C-I.3a: the 13th salary lifts the month's gross into a higher rate.
    category = TAX.category_of_status["K/1"]
    once = reference.monthly_tax(TAX, category, 17_090_000)

    first = reference.monthly_tax(TAX, category, 8_545_000)
    second = reference.monthly_tax(TAX, category, 8_545_000 + 8_545_000) - first

    assert first + second == once == 1_196_300


def test_an_excess_of_tax_borne_by_the_government_is_not_refunded() -> None:
    december = Month(2025, 12)
    so_far = SoFar(year_taxable=3_346_720 * 11, year_tax=500_000, year_deductible=247_144 * 11, year_months=11)

    slip = reference.compute(
        rules_of(december), PayKind.REGULAR, period_of(december), whole_month(december), so_far, last_period=True
    )

    assert slip is not None
    assert slip.tax == 0
    assert slip.amount("TAX_ALLOWANCE") == 0


def test_an_excess_of_tax_borne_by_the_employee_is_refunded_in_the_last_run() -> None:
    december = Month(2025, 12)
    so_far = SoFar(year_taxable=3_552_700 * 11, year_tax=500_000, year_months=11)

    slip = reference.compute(
        rules_of(december),
        PayKind.REGULAR,
        period_of(december),
        whole_month(december, staff_kind="WORK_AGREEMENT", grade="X"),
        so_far,
        last_period=True,
    )

    assert slip is not None
    assert slip.tax == -500_000
    assert slip.net == slip.gross + 500_000 - slip.amount("OLD_AGE") - slip.amount("HEALTH")
