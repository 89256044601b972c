"""Corrections of earlier months: what is known now of a month that was paid, less all that was paid for it (N15).

A run pays them beside its own month, as lines that name the month they are for. Contributions keep the rules of that
month; tax falls in the month of payment. Nobody's pay is cut by surprise: where a component would have to be taken
back, nothing is corrected and the claim is listed, to be agreed on by instalments (domain rules §5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from chassis.dates import Month
from services.hr.payroll import columns, domain
from services.hr.payroll.domain import Line
from services.hr.payroll.pack import Pack
from services.hr.payroll.payees import Payee, Retro, population
from services.hr.payroll.period import Period
from services.hr.payroll.rules import PayKind, RuleSet, Side


@dataclass(frozen=True)
class Claim:
    """What a person owes for earlier months, in minor units, or a correction that cannot be computed (0)."""

    reason: str
    message: str
    amount: int = 0


@dataclass(frozen=True)
class PaidMonth:
    """All that was paid to an employment for a month, corrections included: its lines in minor units."""

    employee_id: UUID
    month: Month
    lines: tuple[Line, ...]


def correct(
    payees: Sequence[Payee], touched: Sequence[PaidMonth], fiscal_year: int, pack: Pack
) -> tuple[list[Payee], dict[UUID, Claim]]:
    """The payees with their corrections, and the claims that were found instead.

    `touched` are the paid months about which something new is known. What they owe is borne by `fiscal_year`'s budget
    lines, also for a month of an earlier year.
    """
    by_id = {payee.employee_id: payee for payee in payees}
    owed: dict[UUID, list[Line]] = {}
    claims: dict[UUID, Claim] = {}
    for month in sorted({one.month for one in touched}):
        of_month = [one for one in touched if one.month == month and by_id[one.employee_id].spans_in(month)]
        if of_month:
            _month(month, of_month, by_id, fiscal_year, pack, owed, claims)
    corrected: dict[UUID, Payee] = {}
    for employee_id, lines in owed.items():
        if employee_id in claims:
            continue
        back = _taken_back(lines)
        if back:
            claims[employee_id] = Claim(
                "RETRO_CLAIM",
                f"what is known now gives less {', '.join(sorted(back))} than was paid: agree on instalments",
                max(0, -domain.net_of(lines)),
            )
        elif lines:
            corrected[employee_id] = replace(by_id[employee_id], retro=_retro(lines, by_id[employee_id], pack))
    return [corrected.get(payee.employee_id, payee) for payee in payees], claims


def _month(
    month: Month,
    touched: Sequence[PaidMonth],
    by_id: Mapping[UUID, Payee],
    fiscal_year: int,
    pack: Pack,
    owed: dict[UUID, list[Line]],
    claims: dict[UUID, Claim],
) -> None:
    people = [by_id[one.employee_id] for one in touched]
    rules, period = pack.rules_on(month.first), Period.regular(month, pack.is_free)
    columned = population(people, period, month)
    result = columns.compute(rules, PayKind.REGULAR, period, columned)
    staff_kinds = columned.facts.texts[rules.staff_kind_input]
    for row, (payee, one) in enumerate(zip(people, touched, strict=True)):
        reason = columns.REASONS[int(result.reason[row])]
        if reason and reason != "NEGATIVE_NET":
            claims[payee.employee_id] = Claim(
                "RETRO_UNKNOWN", f"{month.year}-{month.month:02d} cannot be computed anew: {reason}"
            )
            continue
        staff_kind = staff_kinds.words[int(staff_kinds.codes[result.reference[row]])]
        now = _lines(rules, result, row, payee, fiscal_year, staff_kind)
        paid = [replace(line, for_month=None, budget_line_id=_borne_by(payee, fiscal_year, line)) for line in one.lines]
        counted = [line for line in paid if line.component not in _not_corrected(rules)]
        lines = domain.retro(month, now, counted)
        missing = sorted(
            {line.component for line in lines if line.side is not Side.DEDUCTION and not line.budget_line_id}
        )
        if missing:
            claims[payee.employee_id] = Claim("RETRO_UNKNOWN", f"no budget line of {fiscal_year} for {missing[0]}")
            continue
        owed.setdefault(payee.employee_id, []).extend(lines)


def _not_corrected(rules: RuleSet) -> frozenset[str]:
    """Tax falls in the month of payment; the rounding allowance lifts that month's net alone."""
    return frozenset({rules.tax.component, rules.tax.allowance_component, rules.rounding_component})


def _borne_by(payee: Payee, fiscal_year: int, line: Line) -> UUID | None:
    return None if line.side is Side.DEDUCTION else payee.funding.get((fiscal_year, line.component))


def _lines(
    rules: RuleSet, result: columns.Result, row: int, payee: Payee, fiscal_year: int, staff_kind: str
) -> list[Line]:
    lines = []
    for name, column in result.amounts.items():
        amount = int(column[row])
        if amount and name not in _not_corrected(rules):
            line = Line(name, result.sides[name], amount * rules.unit_minor, rules.creditor(name, staff_kind) or "")
            lines.append(replace(line, budget_line_id=_borne_by(payee, fiscal_year, line)))
    return lines


def _taken_back(lines: Sequence[Line]) -> set[str]:
    """The components that would have to be taken back, over all months together."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.component] = sums.get(line.component, 0) + line.amount
    return {component for component, amount in sums.items() if amount < 0}


def _retro(lines: Sequence[Line], payee: Payee, pack: Pack) -> Retro:
    rules = pack.rules_on(max(line.for_month or Month(1, 1) for line in lines).first)
    unit = rules.unit_minor
    staff_kinds = {str(span.inputs[rules.staff_kind_input]) for span in payee.spans}
    taxable_parts = {part for kind in staff_kinds for part in rules.tax.taxable_employer_parts.get(kind, ())}
    taxable = sum(line.amount for line in lines if line.side is Side.EARNING or line.component in taxable_parts)
    deductible = sum(line.amount for line in lines if line.component in rules.tax.deductible)
    return Retro(tuple(lines), taxable // unit, deductible // unit, domain.net_of(lines) // unit)
