"""One payslip in exact fractions: the reference that the column engine is tested against.

It follows the order of computation (domain rules §5) as literally as it can; speed is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from chassis.money import round_half_away
from services.hr.payroll.period import Period, SoFar, Span
from services.hr.payroll.rules import (
    Bracket,
    ComponentRule,
    Entitlement,
    FromInput,
    FromKey,
    FromTable,
    Heads,
    PayKind,
    PerHead,
    Rounding,
    RuleSet,
    ShareOf,
    Side,
    Stage,
    TaxRules,
)

Inputs = Mapping[str, str | int]


class PayException(Exception):
    """Why a person is left out of a run, whole (domain rules §5): a reason for programs, a sentence for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class SlipLine:
    """One component of one payslip, in whole units."""

    component: str
    side: Side
    amount: int


@dataclass(frozen=True)
class Slip:
    """One person's pay. `net` = `gross` + `tax_allowance` − `deductions`; employer's parts stand beside it."""

    lines: tuple[SlipLine, ...]
    staff_kind: str
    taxable: int
    tax: int
    deductible: int

    def side(self, side: Side) -> int:
        """The sum of one side."""
        return sum(line.amount for line in self.lines if line.side is side)

    @property
    def gross(self) -> int:
        """Σ earnings, the rounding allowance included."""
        return self.side(Side.EARNING)

    @property
    def net(self) -> int:
        """What is paid out."""
        return self.gross + self.side(Side.TAX_ALLOWANCE) - self.side(Side.DEDUCTION)

    def amount(self, component: str) -> int:
        """The amount of a component; 0 when it is not on the slip."""
        return sum(line.amount for line in self.lines if line.component == component)


def whole(value: Fraction, side: Side, rounding: Rounding) -> int:
    """`value` in whole units. CIRCULAR is SE-2/A/522/0193: earnings up, deductions down."""
    if rounding is Rounding.CIRCULAR and side is Side.EARNING:
        return ceil(value)
    if rounding is Rounding.CIRCULAR and side is Side.DEDUCTION:
        return floor(value)
    return round_half_away(value)


def _heads(heads: Heads, inputs: Inputs) -> int:
    count = int(inputs[heads.input])
    return count if heads.limit is None else min(count, heads.limit)


def _value(rule: ComponentRule, inputs: Inputs, base: Callable[[str], Fraction]) -> Fraction:
    source = rule.source
    match source:
        case FromTable():
            key, step = str(inputs[source.key_input]), int(inputs[source.step_input])
            cell = source.table.amount(key, step)
            if cell is None:
                raise PayException("NO_PAY_TABLE_CELL", f"{source.table.name} has no cell for {key!r} at step {step}")
            value = Fraction(cell)
        case FromKey():
            key = str(inputs[source.key_input])
            if key not in source.amounts:
                raise PayException("NO_ALLOWANCE_RATE", f"{source.name} has no amount for {key!r}")
            value = Fraction(source.amounts[key])
        case FromInput():
            value = Fraction(inputs[source.input])
        case PerHead():
            value = Fraction(source.amount * (source.own + sum(_heads(heads, inputs) for heads in source.heads)))
        case ShareOf():
            total = sum((base(component) for component in source.components), Fraction(0))
            if source.cap is not None:
                total = min(total, Fraction(source.cap))
            value = total * source.rate * (1 if source.times is None else _heads(source.times, inputs))
    return value * rule.factor


def _weights(period: Period, spans: Sequence[Span], entitlement: Entitlement) -> list[Fraction]:
    """What part of the month's value each span earns."""
    if period.whole or entitlement is Entitlement.FULL_MONTH:
        return [Fraction(int(span.holds_on(period.entitlement_day))) for span in spans]
    days = [(span.valid_to - span.valid_from).days for span in spans]
    if entitlement is Entitlement.CALENDAR:
        return [Fraction(count, period.month.days) for count in days]
    if entitlement is Entitlement.WORKING:
        worked = [sum(span.holds_on(day) for day in period.working_days) for span in spans]
        return [Fraction(count, len(period.working_days)) for count in worked]
    reached, weights = 0, []
    for count in days:
        weights.append(Fraction(min(reached + count, 30) - min(reached, 30), 30))
        reached += count
    return weights


def monthly_tax(tax: TaxRules, category: str, taxable: int) -> int:
    """The effective rate of the category on the whole month's taxable pay, down to the unit (PP 58/2023 art. 2)."""
    brackets = tax.monthly[category]
    rate = next((b.rate for b in brackets if b.upper is None or taxable <= b.upper), brackets[-1].rate)
    return floor(taxable * rate)


def progressive(brackets: Sequence[Bracket], income: int) -> int:
    """The progressive tax on `income`, down to the unit (UU PPh art. 17)."""
    due = Fraction(0)
    for bracket in brackets:
        top = income if bracket.upper is None else min(income, bracket.upper)
        due += max(0, top - bracket.lower) * bracket.rate
    return floor(due)


def annual_tax(tax: TaxRules, status: str, taxable: int, deductible: int, months: int) -> int:
    """The year's tax: gross less occupational expense, own contributions and relief (PMK 168/2023 art. 10, 15, 17)."""
    expense = min(taxable * tax.expense_rate, Fraction(tax.expense_cap_month * months))
    income = max(Fraction(0), taxable - expense - deductible - tax.relief_of_status[status])
    return progressive(tax.annual, floor(income / tax.taxable_rounding) * tax.taxable_rounding)


def compute(
    rules: RuleSet,
    kind: PayKind,
    period: Period,
    spans: Sequence[Span],
    so_far: SoFar | None = None,
    *,
    last_period: bool = False,
) -> Slip | None:
    """A person's pay of this kind for the period; None when nothing is due; PayException when it cannot be said.

    `spans` are the person's facts in the period, in order of days. `last_period` is December or the last month of
    service: the year's tax is put right.
    """
    so_far = so_far or SoFar()
    if not spans:
        return None
    reference = next((span for span in spans if span.holds_on(period.entitlement_day)), spans[0]).inputs
    staff_kind = str(reference[rules.staff_kind_input])
    extra = rules.extra.get(kind)
    if kind is not PayKind.REGULAR and (extra is None or staff_kind not in extra.staff_kinds):
        return None

    # Stages 2 to 5: exact monthly values by span, weighted, then rounded once per component.
    exact: dict[str, Fraction] = dict.fromkeys(rules.earnings, Fraction(0))
    earning_rules = rules.of(Stage.BASE, Stage.PART_OF_BASE, Stage.EARNING)
    weights = {entitlement: _weights(period, spans, entitlement) for entitlement in Entitlement}
    for index, span in enumerate(spans):
        monthly: dict[str, Fraction] = dict.fromkeys(rules.earnings, Fraction(0))
        for rule in earning_rules:
            weight = weights[rule.entitlement][index]
            if weight and rule.applies(span.inputs):
                value = _value(rule, span.inputs, monthly.__getitem__)
                monthly[rule.component] += value
                if extra is None or rule.component in extra.components:
                    exact[rule.component] += value * weight
    amounts = {name: whole(value, Side.EARNING, rules.rounding) for name, value in exact.items()}
    gross = sum(amounts.values())
    if gross == 0:
        return None

    # Stages 7 and 8: on rounded components; extra pay bears no contributions.
    for rule in rules.of(Stage.EMPLOYER_PART, Stage.DEDUCTION) if extra is None else ():
        if rule.applies(reference):
            value = _value(rule, reference, lambda component: Fraction(amounts[component]))
            amounts[rule.component] = amounts.get(rule.component, 0) + whole(value, rule.side, rules.rounding)

    # Stages 9 to 11.
    tax = rules.tax
    taxable = gross + sum(amounts.get(part, 0) for part in tax.taxable_employer_parts.get(staff_kind, ()))
    taxable += so_far.retro_taxable
    deductible = sum(amounts.get(name, 0) for name in tax.deductible) + so_far.retro_deductible
    status, borne = str(reference[tax.status_input]), staff_kind in tax.borne_by_government
    if status not in tax.category_of_status:
        raise PayException("NO_TAX_STATUS", f"tax status {status!r} has no monthly rate")
    if last_period and extra is None:
        year = annual_tax(
            tax, status, so_far.year_taxable + taxable, so_far.year_deductible + deductible, so_far.year_months + 1
        )
        due = year - so_far.year_tax
    else:
        due = monthly_tax(tax, tax.category_of_status[status], so_far.month_taxable + taxable) - so_far.month_tax
    if borne:
        due = max(0, due)  # an excess is neither refunded nor collected (PMK 168/2023 art. 21)
        amounts[tax.allowance_component] = due
    amounts[tax.component] = due

    # Stages 13 and 14.
    sides = rules.sides()
    net = sum(
        amount * {Side.EARNING: 1, Side.TAX_ALLOWANCE: 1, Side.DEDUCTION: -1, Side.EMPLOYER_PART: 0}[sides[name]]
        for name, amount in amounts.items()
    )
    net += so_far.retro_net
    if net < 0:
        raise PayException("NEGATIVE_NET", f"deductions exceed pay by {-net}; agree on instalments first")
    if rules.rounding is Rounding.CIRCULAR:
        amounts[rules.rounding_component] = -net % rules.rounding_to
    lines = tuple(SlipLine(name, sides[name], amounts[name]) for name in order(rules) if amounts.get(name))
    return Slip(lines, staff_kind, taxable, due, deductible)


def order(rules: RuleSet) -> tuple[str, ...]:
    """Every component in the order in which a payslip shows it."""
    tax = rules.tax
    return (
        *rules.earnings,
        rules.rounding_component,
        tax.allowance_component,
        *rules.names(Stage.DEDUCTION),
        tax.component,
        *rules.names(Stage.EMPLOYER_PART),
    )
