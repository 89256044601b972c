"""Declared pay rules: what a country pack says, as plain values. The engine reads them; it knows no country.

Amounts are whole rounding units of the pack (`unit_minor` minor units each; one rupiah is 100), rates are exact
fractions. A rule set holds for one day: `pack.py` resolves dated data into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from fractions import Fraction
from functools import cached_property


class Stage(IntEnum):
    """The order of computation (domain rules §5). Stages up to EARNING are prorated and rounded before gross."""

    BASE = 2
    PART_OF_BASE = 3
    EARNING = 4
    EMPLOYER_PART = 7
    DEDUCTION = 8


class Side(Enum):
    """On which side of a payslip a component stands."""

    EARNING = "EARNING"
    TAX_ALLOWANCE = "TAX_ALLOWANCE"
    DEDUCTION = "DEDUCTION"
    EMPLOYER_PART = "EMPLOYER_PART"


class Entitlement(Enum):
    """What part of a month's value a span of days earns."""

    FULL_MONTH = "FULL_MONTH"  # all of it, if the fact is in force on the entitlement day
    CALENDAR = "CALENDAR"  # days / days of the month
    WORKING = "WORKING"  # working days / working days of the month
    THIRTIETHS = "THIRTIETHS"  # min(days, 30) / 30, cumulative over the month's spans


class Rounding(Enum):
    """How a component becomes whole units."""

    HALF_UP = "HALF_UP"  # every component to the nearest unit, halves away from zero
    CIRCULAR = "CIRCULAR"  # earnings up, deductions down, then an allowance lifts net to a round figure


class PayKind(Enum):
    """What a run pays."""

    REGULAR = "REGULAR"
    HOLIDAY_ALLOWANCE = "HOLIDAY_ALLOWANCE"
    THIRTEENTH = "THIRTEENTH"


@dataclass(frozen=True)
class StepTable:
    """Amounts by a key and a step: the last lower step of the same key counts, the last cell beyond the table.

    A step below the first row of its key has no cell: that is an exception for a person, never a guess.
    """

    name: str
    steps: Mapping[str, tuple[tuple[int, int], ...]]  # key -> ((step, amount), …) ascending

    def amount(self, key: str, step: int) -> int | None:
        """The amount for `key` at `step`, or None where the table has no cell."""
        found = None
        for row_step, amount in self.steps.get(key, ()):
            if row_step > step:
                break
            found = amount
        return found


@dataclass(frozen=True)
class Heads:
    """How many heads an input counts for, at most `limit`."""

    input: str
    limit: int | None = None


@dataclass(frozen=True)
class FromTable:
    """A monthly value looked up in a step table."""

    table: StepTable
    key_input: str
    step_input: str


@dataclass(frozen=True)
class FromKey:
    """A monthly value by one key, for instance an allowance by echelon."""

    name: str
    amounts: Mapping[str, int]
    key_input: str


@dataclass(frozen=True)
class FromInput:
    """A monthly value given with the facts."""

    input: str


@dataclass(frozen=True)
class PerHead:
    """An amount a head."""

    amount: int
    own: int  # heads that always count: the employee
    heads: tuple[Heads, ...]


@dataclass(frozen=True)
class ShareOf:
    """A rate on a sum of components, cut at `cap`, times a number of heads if one is given."""

    components: tuple[str, ...]
    rate: Fraction
    cap: int | None = None
    times: Heads | None = None


Source = FromTable | FromKey | FromInput | PerHead | ShareOf


@dataclass(frozen=True)
class ComponentRule:
    """How one component arises for those whom `when` names. Several rules of one component add up."""

    component: str
    stage: Stage
    side: Side
    source: Source
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)
    factor: Fraction = Fraction(1)
    entitlement: Entitlement = Entitlement.FULL_MONTH
    creditor: str | None = None  # to whom a deduction or an employer's part is owed

    def applies(self, inputs: Mapping[str, str | int]) -> bool:
        """Whether the rule is for someone with these inputs."""
        return all(inputs[name] in allowed for name, allowed in self.when.items())


@dataclass(frozen=True)
class Bracket:
    """Income above `lower` and up to `upper` (None: no limit) bears `rate`."""

    lower: int
    upper: int | None
    rate: Fraction


@dataclass(frozen=True)
class TaxRules:
    """Withholding by month at an effective rate of a category, put right for the year in the last period."""

    component: str  # the deduction
    creditor: str
    allowance_component: str  # the tax borne by the government
    status_input: str
    category_of_status: Mapping[str, str]  # a status without category has no monthly rate
    relief_of_status: Mapping[str, int]  # a year
    monthly: Mapping[str, tuple[Bracket, ...]]  # category -> effective rates on the whole month's gross
    annual: tuple[Bracket, ...]  # progressive, on taxable income of the year
    expense_rate: Fraction  # occupational expense, a share of gross …
    expense_cap_month: int  # … at most this for each month of service
    taxable_rounding: int  # taxable income of the year is rounded down to this
    deductible: tuple[str, ...]  # the employee's own contributions that lower the year's taxable income
    borne_by_government: frozenset[str]  # staff kinds
    taxable_employer_parts: Mapping[str, tuple[str, ...]]  # staff kind -> employer's parts that are taxable pay


@dataclass(frozen=True)
class ExtraPay:
    """A 13th salary or holiday allowance: which components, for whom, on whose facts."""

    kind: PayKind
    components: frozenset[str]
    staff_kinds: frozenset[str]


@dataclass(frozen=True)
class RuleSet:
    """Everything that decides pay in one period."""

    pack: str
    currency: str
    unit_minor: int  # minor units of one rounding unit: 100 for whole rupiah
    rounding: Rounding
    rounding_component: str
    rounding_to: int  # net is lifted to a multiple of this under CIRCULAR
    components: tuple[ComponentRule, ...]
    tax: TaxRules
    extra: Mapping[PayKind, ExtraPay]
    staff_kind_input: str = "staff_kind"

    def of(self, *stages: Stage) -> tuple[ComponentRule, ...]:
        """The rules of these stages, in the order declared."""
        return tuple(rule for rule in self.components if rule.stage in stages)

    def names(self, *stages: Stage) -> tuple[str, ...]:
        """The components of these stages, each once, in the order declared."""
        return tuple(dict.fromkeys(rule.component for rule in self.of(*stages)))

    @property
    def earnings(self) -> tuple[str, ...]:
        """The components of gross, in order; the rounding allowance is not among them."""
        return self.names(Stage.BASE, Stage.PART_OF_BASE, Stage.EARNING)

    def sides(self) -> dict[str, Side]:
        """The side of every component that can stand on a payslip."""
        sides = {rule.component: rule.side for rule in self.components}
        sides[self.tax.component] = Side.DEDUCTION
        sides[self.tax.allowance_component] = Side.TAX_ALLOWANCE
        sides[self.rounding_component] = Side.EARNING
        return sides

    @cached_property
    def creditors(self) -> dict[tuple[str, str], str]:
        """(component, staff kind) -> creditor; the staff kind is empty where the rule is for all."""
        owed: dict[tuple[str, str], str] = {(self.tax.component, ""): self.tax.creditor}
        for rule in self.components:
            if rule.creditor is not None:
                for kind in rule.when.get(self.staff_kind_input, frozenset({""})):
                    owed[rule.component, kind] = rule.creditor
        return owed

    def creditor(self, component: str, staff_kind: str) -> str | None:
        """To whom this component is owed for someone of this staff kind; None: to the employee."""
        owed = self.creditors
        return owed.get((component, staff_kind), owed.get((component, "")))

    def cost_components(self) -> frozenset[str]:
        """The components that a budget line must bear: earnings, tax allowance, employer's parts."""
        return frozenset(name for name, side in self.sides().items() if side is not Side.DEDUCTION)

    def entitled(self, entitlement: Entitlement) -> RuleSet:
        """The same rules with one entitlement for every component (what-if, other countries, tests)."""
        return replace(self, components=tuple(replace(rule, entitlement=entitlement) for rule in self.components))

    def rounded(self, rounding: Rounding) -> RuleSet:
        """The same rules under another rounding rule."""
        return replace(self, rounding=rounding)
