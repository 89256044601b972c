"""Commitments go by the country's fiscal year: Sembara's runs from July to June and is named by its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from chassis.country_pack import PackIncomplete, calendar_of
from chassis.dates import Month
from chassis.ids import new_id
from chassis.settings import ROOT
from services.hr.payroll import pack
from services.hr.payroll.payees import FactSpan, PaidSlip, Payee
from services.hr.payroll.projection import calendar, calendar_years, project
from services.hr.payroll.rules import PayKind
from tests.unit.hr.builders import PACK, inputs

SEMBARA = pack.load(ROOT / "tests" / "data" / "sembara")
FACTS = inputs(grade="B2", service_years=4, tax_status="S")
LINES = {
    (year, component): UUID(int=year * 100 + number)
    for year in (2026, 2027)
    for number, component in enumerate(sorted(SEMBARA.cost_components))
}
# In coins of five thousandths: salary and housing, then the employer's part before and after it rises in January.
PAY, BEFORE, AFTER = 125_000, 6_000, 8_000
EXTRA = 100_000


def payee(paid_from: date, **changes: object) -> Payee:
    whole = Payee(
        employee_id=new_id(),
        person_id=new_id(),
        position_id=new_id(),
        paid_from=paid_from,
        separated_on=None,
        spans=(FactSpan(paid_from, None, FACTS),),
        funding=LINES,
    )
    return replace(whole, **changes)


def coins(minor: int) -> int:
    assert minor % 5 == 0
    return minor // 5


def by_month(one: Payee, fiscal_year: int) -> dict[Month, int]:
    (projection,) = project(SEMBARA, [one], fiscal_year)
    assert projection.reason == ""
    assert {line for line, _ in projection.costs} <= {LINES[key] for key in LINES if key[0] == fiscal_year}
    found: dict[Month, int] = {}
    for (_, month), minor in projection.costs.items():
        found[month] = found.get(month, 0) + coins(minor)
    return found


def test_a_fiscal_year_pays_its_own_months_and_the_extra_pay_that_falls_in_them():
    months = [(kind, month) for kind, month, _ in calendar(SEMBARA, 2026)]

    assert [month for kind, month in months if kind is PayKind.REGULAR] == [
        *(Month(2025, number) for number in range(7, 13)),
        *(Month(2026, number) for number in range(1, 7)),
    ]
    assert [one for one in months if one[0] is not PayKind.REGULAR] == [
        (PayKind.THIRTEENTH, Month(2025, 9)),
        (PayKind.HOLIDAY_ALLOWANCE, Month(2026, 5)),
    ]


@pytest.mark.parametrize(
    ("month", "year"), [((2025, 6), 2025), ((2025, 7), 2026), ((2026, 6), 2026), ((2026, 7), 2027)]
)
def test_a_month_is_borne_by_the_year_in_which_it_lies(month: tuple[int, int], year: int):
    assert SEMBARA.fiscal_year_of(Month(*month)) == year


def test_who_is_there_from_the_first_day_commits_the_whole_fiscal_year():
    committed = by_month(payee(date(2025, 7, 1)), 2026)

    assert committed == {
        **{Month(2025, number): PAY + BEFORE for number in range(7, 13)},
        **{Month(2026, number): PAY + AFTER for number in range(1, 7)},
        Month(2025, 9): PAY + BEFORE + EXTRA,
        Month(2026, 5): PAY + AFTER + EXTRA,
    }


def test_a_hire_in_the_middle_commits_the_remaining_months_only():
    committed = by_month(payee(date(2026, 2, 1)), 2026)

    assert committed == {
        **{Month(2026, number): PAY + AFTER for number in range(2, 7)},
        Month(2026, 5): PAY + AFTER + EXTRA,
    }


def test_what_a_year_has_paid_in_either_of_its_calendar_years_is_not_committed_again():
    slips = (
        PaidSlip(PayKind.REGULAR, Month(2025, 12), 125_000, 6_250, 0),
        PaidSlip(PayKind.REGULAR, Month(2026, 1), 125_000, 6_250, 0),
        PaidSlip(PayKind.THIRTEENTH, Month(2025, 9), 100_000, 5_000, 0),
    )

    left = by_month(payee(date(2025, 12, 1), paid=slips), 2026)

    assert sorted(left) == [Month(2026, number) for number in range(2, 7)]
    assert calendar_years(SEMBARA, 2026) == {2025, 2026}


def test_the_extra_pay_of_the_year_before_does_not_stand_for_that_of_this_one():
    paid = (PaidSlip(PayKind.THIRTEENTH, Month(2025, 9), 100_000, 5_000, 0),)

    committed = by_month(payee(date(2026, 7, 1), paid=paid), 2027)

    assert committed[Month(2026, 9)] == PAY + AFTER + EXTRA
    assert committed[Month(2027, 5)] == PAY + AFTER + EXTRA


def test_a_position_without_lines_of_the_year_is_named_with_the_years_name():
    (projection,) = project(SEMBARA, [payee(date(2027, 7, 1))], 2028)

    assert projection.reason == "NO_BUDGET_LINE"
    assert " of 2028:" in projection.detail


def test_a_calendar_year_country_pays_what_it_paid():
    assert [month for kind, month, _ in calendar(PACK, 2026) if kind is PayKind.REGULAR] == [
        Month(2026, number) for number in range(1, 13)
    ]
    assert calendar_years(PACK, 2026) == {2026}
    assert [PACK.fiscal_year_of(Month(2026, number)) for number in (1, 12)] == [2026, 2026]


@pytest.mark.parametrize(
    "rows", [[], [{"first_month": "7", "named_by": "MIDDLE"}], [{"first_month": "7", "named_by": "END"}] * 2]
)
def test_a_pack_that_does_not_say_once_when_years_begin_is_refused(rows: list[dict[str, str]]):
    with pytest.raises(PackIncomplete, match=f"has {len(rows)} rows"):
        calendar_of(rows)
