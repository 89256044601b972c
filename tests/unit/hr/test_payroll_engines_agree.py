"""The column engine and the reference agree on everybody, whatever their facts."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.dates import Month
from services.hr.payroll import columns, reference
from services.hr.payroll.period import Period, SoFar, Span
from services.hr.payroll.rules import Entitlement, PayKind, Rounding
from tests.unit.hr.builders import PACK, population

GRADES = ("I/a", "I/b", "II/b", "III/b", "IV/e", "V", "X", "XVII", "?")
STATUSES = ("TK/0", "TK/3", "K/0", "K/1", "K/3", "K/I/0")
amounts = st.integers(0, 60_000_000)
months = st.builds(Month, st.integers(2024, 2027), st.integers(1, 12))
facts = st.fixed_dictionaries(
    {
        "staff_kind": st.sampled_from(("CIVIL_SERVANT", "CANDIDATE", "WORK_AGREEMENT", "CONTRACT")),
        "grade": st.sampled_from(GRADES),
        "service_years": st.integers(0, 40),
        "spouse_allowance": st.integers(0, 1),
        "children_with_allowance": st.integers(0, 4),
        "tax_status": st.sampled_from(STATUSES),
        "position_kind": st.sampled_from(("GENERAL", "STRUCTURAL", "FUNCTIONAL")),
        "echelon": st.sampled_from(("", "II.a", "III.a", "IV.b")),
        "functional_allowance": amounts,
        "contract_pay": amounts,
    }
)
earlier = st.builds(
    SoFar, amounts, st.integers(0, 2_000_000), st.integers(0, 900_000_000), amounts, amounts, st.integers(0, 11)
)


@st.composite
def people(draw: st.DrawFn, month: Month) -> list[Span]:
    """A person's facts in the month: one to three spans, perhaps beginning late or ending early."""
    cuts = draw(st.lists(st.integers(1, month.days + 1), min_size=2, max_size=4, unique=True))
    days = [month.first + timedelta(days=cut - 1) for cut in sorted(cuts)]
    return [Span(start, end, draw(facts)) for start, end in pairwise(days)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Month, Period, list[list[Span]], list[SoFar], list[bool]]:
    month = draw(months)
    free = draw(st.sampled_from((PACK.is_free, lambda day: day.weekday() >= 5)))
    period = Period.regular(month, free)
    if draw(st.booleans()):
        period = Period.of_day(date(month.year, month.month, draw(st.integers(1, month.days))))
    held = draw(st.lists(people(month), min_size=1, max_size=6))
    count = len(held)
    so_far = draw(st.lists(earlier, min_size=count, max_size=count))
    last = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return month, period, held, so_far, last


def outcome(rules, kind, period, spans, so_far, last) -> reference.Slip | str | None:
    """The reference's payslip, or the reason of its exception."""
    try:
        return reference.compute(rules, kind, period, spans, so_far, last_period=last)
    except reference.PayException as exception:
        return exception.reason


@settings(max_examples=400, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    case=cases(),
    kind=st.sampled_from(PayKind),
    rounding=st.sampled_from(Rounding),
    entitlement=st.sampled_from([None, *Entitlement]),
)
def test_both_engines_agree_to_the_unit(case, kind: PayKind, rounding: Rounding, entitlement) -> None:
    month, period, held, so_far, last = case
    rules = PACK.rules_on(month.first).rounded(rounding)
    if entitlement is not None:
        rules = rules.entitled(entitlement)

    result = columns.compute(rules, kind, period, population(held, so_far, last))

    for number, spans in enumerate(held):
        slip = outcome(rules, kind, period, spans, so_far[number], last[number])
        if isinstance(slip, str):
            assert columns.REASONS[result.reason[number]] == slip
            continue
        assert result.paid[number] == (slip is not None)
        if slip is None:
            continue
        for component in reference.order(rules):
            column = result.amounts.get(component)
            assert (0 if column is None else column[number]) == slip.amount(component), component
        assert (result.gross[number], result.net[number]) == (slip.gross, slip.net)
        assert (result.taxable[number], result.tax[number]) == (slip.taxable, slip.tax)
        assert result.deductible[number] == slip.deductible
        # I8: net is what is earned, and the tax that is borne, less what is withheld.
        assert result.net[number] == result.gross[number] + result.tax_allowance[number] - result.deductions[number]
