"""What an employment will still cost in a fiscal year: the commitment of a post (domain rules §5).

The year is the country's own: which calendar months it has, and how it is named, the pack says.

Σ over the remaining months of every component that a budget line bears, employer's parts and tax allowance
included, and the 13th salary and holiday allowance whose day of entitlement falls in the employment; by month, so
that it can be phased. Rises already decreed are facts and are in; others are not. It is payroll's own engine that
computes it, so the year's runs and the commitment cannot drift apart.

Extra pay is committed as it is (N16): the tax that it will add to its month is known only with that month's pay, and
comes from available when its run is approved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from chassis.dates import Month
from services.hr.payroll import columns
from services.hr.payroll.pack import Pack
from services.hr.payroll.payees import PaidSlip, Payee, population
from services.hr.payroll.period import Period
from services.hr.payroll.rules import PayKind, RuleSet, Side

# A sentence for each code of columns.REASONS, for the person who must put it right.
SENTENCES: Mapping[str, str] = {
    "NO_PAY_TABLE_CELL": "the pay table has no cell for this grade and these years of service: correct the facts",
    "NO_ALLOWANCE_RATE": "the pack has no allowance for this grade or echelon: correct the position or the facts",
    "NO_TAX_STATUS": "the tax status has no monthly rate: correct the facts",
    "NEGATIVE_NET": "deductions exceed pay: agree on instalments first",
    "NO_BUDGET_LINE": "the position names no budget line for a component that is due: add its funding",
}


@dataclass
class Projection:
    """One employment's cost, by budget line and month, in minor units; or why it cannot be said."""

    costs: dict[tuple[UUID, Month], int] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""

    def by_line(self) -> dict[UUID, dict[Month, int]]:
        """Budget line -> month -> minor units, lines and months in order."""
        lines: dict[UUID, dict[Month, int]] = {}
        for (line, month), minor in sorted(self.costs.items(), key=lambda item: (item[0][0].int, item[0][1])):
            lines.setdefault(line, {})[month] = minor
        return lines

    @property
    def total(self) -> int:
        """Σ in minor units."""
        return sum(self.costs.values())


def calendar(pack: Pack, fiscal_year: int) -> list[tuple[PayKind, Month, Period]]:
    """Everything that a fiscal year pays, in order: each month, then what a regulation of its time adds in it.

    Extra pay is granted by regulations of calendar years, so a fiscal year from July to June looks at two of them.
    """
    entries: list[tuple[PayKind, Month, Period]] = []
    extras = [kind for kind in PayKind if kind is not PayKind.REGULAR]
    for month in pack.calendar.months_of(fiscal_year):
        entries.append((PayKind.REGULAR, month, Period.regular(month, pack.is_free)))
        for kind in extras:
            day = pack.entitled_on(kind, month.year)
            if day is not None and Month.of(day) == month:
                entries.append((kind, month, Period.of_day(day)))
    return entries


def calendar_years(pack: Pack, fiscal_year: int) -> frozenset[int]:
    """The calendar years whose payslips a projection must know: taxes and extra pay go by them."""
    return frozenset(month.year for month in pack.calendar.months_of(fiscal_year))


def costs_of(rules: RuleSet, result: columns.Result) -> list[str]:
    """The components of a result that a budget line bears."""
    return [name for name in result.amounts if rules.sides()[name] is not Side.DEDUCTION]


def project(pack: Pack, payees: Sequence[Payee], fiscal_year: int) -> list[Projection]:
    """What each payee's employment still costs in the fiscal year: what no payslip has paid yet."""
    projections = [Projection() for _ in payees]
    present = list(payees)
    for kind, month, period in calendar(pack, fiscal_year):
        due = [
            number
            for number, payee in enumerate(present)
            if not projections[number].reason and not payee.was_paid(kind, month) and payee.spans_in(period.month)
        ]
        if not due:
            continue
        rules = pack.rules_on(period.month.first)
        result = columns.compute(rules, kind, period, population([present[number] for number in due], period, month))
        borne = costs_of(rules, result)
        if kind is not PayKind.REGULAR:
            borne.remove(rules.tax.allowance_component)
        for row, number in enumerate(due):
            reason = columns.REASONS[int(result.reason[row])]
            if reason:
                projections[number].reason, projections[number].detail = reason, SENTENCES[reason]
                continue
            if not result.paid[row]:
                continue
            payee, projection = present[number], projections[number]
            for component in borne:
                amount = int(result.amounts[component][row])
                if amount == 0:
                    continue
                line = payee.funding.get((fiscal_year, component))
                if line is None:
                    projection.reason = "NO_BUDGET_LINE"
                    projection.detail = f"{component} of {fiscal_year}: {SENTENCES['NO_BUDGET_LINE']}"
                    break
                key = line, month
                projection.costs[key] = projection.costs.get(key, 0) + amount * rules.unit_minor
            if kind is not PayKind.REGULAR:
                continue
            slip = PaidSlip(kind, month, int(result.taxable[row]), int(result.tax[row]), int(result.deductible[row]))
            present[number] = replace(payee, paid=(*payee.paid, slip))
    return projections
