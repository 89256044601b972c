"""What a post commits, what a correction owes, and what finance is asked to accept."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from chassis.dates import Month
from chassis.ids import new_id
from services.hr.payroll import domain, reference
from services.hr.payroll.domain import Line
from services.hr.payroll.payees import FactSpan, PaidSlip, Payee
from services.hr.payroll.projection import project
from services.hr.payroll.rules import PayKind, Rounding, RuleSet, Side
from tests.unit.hr.builders import PACK, example_inputs, examples, inputs, period_of, rules_of, whole_month

LINES = {component: UUID(int=number) for number, component in enumerate(sorted(PACK.cost_components), start=1)}
FUNDING = {(year, component): line for component, line in LINES.items() for year in (2025, 2026)}
PX01, _, PX03, _ = examples("payslip_examples.json")


def payee(**changes: object) -> Payee:
    """PX01 from 1 April 2026 on, every component funded by a line of its own."""
    whole = Payee(
        employee_id=new_id(),
        person_id=new_id(),
        position_id=new_id(),
        paid_from=date(2026, 4, 1),
        separated_on=None,
        spans=(FactSpan(date(2026, 4, 1), None, example_inputs(PX01)),),
        funding=FUNDING,
    )
    return replace(whole, **changes)


def paid(kind: PayKind, month: int) -> PaidSlip:
    return PaidSlip(kind, Month(2026, month), 3_346_720, 0, 247_144)


def rupiah(minor: int) -> int:
    assert minor % 100 == 0
    return minor // 100


def test_n16_a_post_commits_the_rest_of_the_year_with_the_13th_and_without_the_past_thr() -> None:
    (projection,) = project(PACK, [payee()], 2026)

    assert rupiah(projection.total) == 9 * 3_507_349 + 3_346_720 == 34_912_861
    by_month: dict[Month, int] = {}
    for (_, month), minor in projection.costs.items():
        by_month[month] = by_month.get(month, 0) + rupiah(minor)
    assert by_month == {Month(2026, month): 3_507_349 + (3_346_720 if month == 6 else 0) for month in range(4, 13)}


def test_n16_after_the_april_run_the_rest_is_obligated() -> None:
    (projection,) = project(PACK, [payee(paid=(paid(PayKind.REGULAR, 4),))], 2026)

    assert rupiah(projection.total) == 31_405_512


def test_n16_separated_in_october_everything_left_is_released() -> None:
    slips = (*(paid(PayKind.REGULAR, month) for month in range(4, 10)), paid(PayKind.THIRTEENTH, 6))
    (before,) = project(PACK, [payee(paid=slips)], 2026)

    (after,) = project(PACK, [payee(paid=slips, separated_on=date(2026, 10, 1))], 2026)

    assert rupiah(before.total - after.total) == 10_522_047 == 3 * 3_507_349
    assert after.costs == {}


def test_hired_before_the_holiday_allowance_it_is_committed_too() -> None:
    (projection,) = project(
        PACK, [payee(paid_from=date(2026, 1, 1), spans=(FactSpan(date(2026, 1, 1), None, inputs()),))], 2026
    )

    assert rupiah(projection.total) == 12 * 3_507_349 + 2 * 3_346_720


def test_a_decreed_rise_is_in_the_commitment_from_its_day() -> None:
    spans = (
        FactSpan(date(2026, 4, 1), date(2026, 10, 1), inputs(service_years=4)),
        FactSpan(date(2026, 10, 1), None, inputs(service_years=6)),
    )

    (flat,) = project(PACK, [payee()], 2026)
    (rising,) = project(PACK, [payee(spans=spans)], 2026)

    base = LINES["BASE_PAY"]
    rise = 3_186_600 - 3_089_300
    assert rupiah(rising.by_line()[base][Month(2026, 10)] - flat.by_line()[base][Month(2026, 10)]) == rise
    assert rising.by_line()[base][Month(2026, 9)] == flat.by_line()[base][Month(2026, 9)]


def test_a_component_without_a_budget_line_is_named_and_nothing_is_guessed() -> None:
    funding = {key: line for key, line in FUNDING.items() if key != (2026, "RICE_ALLOWANCE")}

    (projection,) = project(PACK, [payee(funding=funding)], 2026)

    assert projection.reason == "NO_BUDGET_LINE"
    assert "RICE_ALLOWANCE" in projection.detail


def lines_of(rules: RuleSet, slip: reference.Slip, line_of: dict[str, UUID] = LINES) -> list[Line]:
    return [
        Line(
            line.component,
            line.side,
            line.amount * rules.unit_minor,
            rules.creditor(line.component, slip.staff_kind) or "",
            line_of.get(line.component),
        )
        for line in slip.lines
    ]


def test_n17_the_payroll_journal_of_px03() -> None:
    # The rule number takes the tax with employer's premiums in its base: the switch of the pack.
    rules = rules_of(Month(2026, 4))
    premiums = ("HEALTH_EMPLOYER", "ACCIDENT_EMPLOYER", "DEATH_EMPLOYER")
    rules = replace(rules, tax=replace(rules.tax, taxable_employer_parts={"CIVIL_SERVANT": premiums}))
    april = Month(2026, 4)
    slip = reference.compute(rules, PayKind.REGULAR, period_of(april), whole_month(april, **example_inputs(PX03)))
    assert slip is not None

    posting = domain.posting(lines_of(rules, slip))

    debit: dict[str, int] = {}
    for charge in posting.charges:
        kind = charge.component if charge.side is not Side.EARNING else "GROSS"
        debit[kind] = debit.get(kind, 0) + rupiah(charge.amount)
    assert debit == {
        "GROSS": 6_064_308,
        "TAX_ALLOWANCE": 15_833,
        "HEALTH_EMPLOYER": 230_985,
        "ACCIDENT_EMPLOYER": 9_504,
        "DEATH_EMPLOYER": 28_513,
    }
    assert rupiah(posting.total) == 6_349_143
    assert rupiah(posting.net) == 5_645_392
    withheld = {creditor: rupiah(minor) for creditor, minor in posting.withheld.items()}
    assert withheld == {"TASPEN": 361_170, "BPJS_HEALTH": 57_746, "STATE_TREASURY": 15_833}
    employer = {creditor: rupiah(minor) for creditor, minor in posting.employer_parts.items()}
    assert employer == {"BPJS_HEALTH": 230_985, "TASPEN": 9_504 + 28_513}
    assert posting.total == posting.net + sum(posting.withheld.values()) + sum(posting.employer_parts.values())


def pay_lines(service_years: int, month: Month) -> list[Line]:
    rules = rules_of(month)
    slip = reference.compute(rules, PayKind.REGULAR, period_of(month), whole_month(month, service_years=service_years))
    assert slip is not None
    return [line for line in lines_of(rules, slip) if line.component not in ("INCOME_TAX", "TAX_ALLOWANCE")]


def test_n15_retro_is_the_difference_of_rounded_results() -> None:
    months = [Month(2026, number) for number in (1, 2, 3)]

    owed = [domain.retro(month, pay_lines(4, month), pay_lines(2, month)) for month in months]

    for lines in owed:
        by_component = {line.component: rupiah(line.amount) for line in lines}
        assert by_component["BASE_PAY"] == 94_300
        assert by_component["PENSION"] == 4_479
        assert by_component["OLD_AGE"] == 3_064  # the rate on the difference would give 3 065
        assert by_component["HEALTH"] == 943
        assert rupiah(domain.net_of(lines)) == 85_814
    assert rupiah(domain.net_of(line for lines in owed for line in lines)) == 257_442
    assert {line.for_month for lines in owed for line in lines} == set(months)


def test_n15_what_was_paid_by_an_earlier_correction_is_not_paid_again() -> None:
    month = Month(2026, 1)
    first = domain.retro(month, pay_lines(4, month), pay_lines(2, month))

    again = domain.retro(month, pay_lines(4, month), [*pay_lines(2, month), *first])

    assert again == []


def test_the_circular_rounding_allowance_is_part_of_the_commitment() -> None:
    class Circular(type(PACK)):  # the same pack under its other rounding policy
        def rules_on(self, day: date) -> RuleSet:
            return super().rules_on(day).rounded(Rounding.CIRCULAR)

    pack = Circular(PACK.folder)

    (projection,) = project(pack, [payee()], 2026)

    assert rupiah(projection.by_line()[LINES["ROUNDING_ALLOWANCE"]][Month(2026, 4)]) == 66


@pytest.mark.parametrize("number", [200, 1])
def test_a_projection_of_many_is_that_of_each(number: int) -> None:
    people = [payee(spans=(FactSpan(date(2026, 4, 1), None, inputs(service_years=n % 33)),)) for n in range(number)]

    together = project(PACK, people, 2026)

    assert [one.costs for one in together] == [project(PACK, [person], 2026)[0].costs for person in people]
