"""The pay of many people at once: the same rules as `reference.py`, on columns of 64-bit integers.

Two hundred people or 4.5 million are the same code. An exact monthly value is a column of numerators over one
denominator, so nothing is rounded before stage 5 and no float is anywhere. numpy is imported where this is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from services.hr.payroll.period import Period
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

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

REASONS = ("", "NO_PAY_TABLE_CELL", "NO_ALLOWANCE_RATE", "NO_TAX_STATUS", "NEGATIVE_NET")
_NO_CELL, _NO_RATE, _NO_STATUS, _NEGATIVE = 1, 2, 3, 4
_STEPS = 61  # service years 0 … 60, as the contract allows


@dataclass(frozen=True)
class Exact:
    """A column of fractions with one denominator."""

    numerators: Ints
    denominator: int

    def over(self, denominator: int) -> Ints:
        """The numerators over a multiple of the denominator."""
        factor = denominator // self.denominator
        return self.numerators if factor == 1 else self.numerators * factor

    def __add__(self, other: Exact) -> Exact:
        common = lcm(self.denominator, other.denominator)
        return Exact(self.over(common) + other.over(common), common)

    def times(self, rate: Fraction) -> Exact:
        """Every value times one rate, in lowest terms of the rate."""
        return Exact(self.numerators * rate.numerator, self.denominator * rate.denominator)


@dataclass(frozen=True)
class Texts:
    """A column of words as codes into a vocabulary."""

    codes: Ints
    words: Sequence[str]

    @classmethod
    def of(cls, values: Sequence[str]) -> Texts:
        """The column of these words."""
        words = list(dict.fromkeys(values))
        position = {word: code for code, word in enumerate(words)}
        return cls(np.array([position[value] for value in values], dtype=np.int64), words)

    def among(self, allowed: frozenset[str]) -> Flags:
        """Which rows hold one of `allowed`."""
        flags: Flags = np.array([word in allowed for word in self.words] or [False], dtype=np.bool_)
        return flags[self.codes]

    def mapped(self, amounts: Mapping[str, int]) -> Ints:
        """Each row's amount, −1 where its word has none."""
        return np.array([amounts.get(word, -1) for word in self.words] or [-1], dtype=np.int64)[self.codes]

    def taken(self, rows: Ints) -> Texts:
        """The column of these rows."""
        return Texts(self.codes[rows], self.words)


@dataclass(frozen=True)
class Facts:
    """Inputs of rows, by name: whole numbers and words."""

    numbers: Mapping[str, Ints]
    texts: Mapping[str, Texts]

    def taken(self, rows: Ints) -> Facts:
        """The facts of these rows."""
        return Facts(
            {name: column[rows] for name, column in self.numbers.items()},
            {name: column.taken(rows) for name, column in self.texts.items()},
        )

    def applies(self, rule: ComponentRule, count: int) -> Flags:
        """For which rows the rule is."""
        flags = np.ones(count, dtype=np.bool_)
        for name, allowed in rule.when.items():
            flags &= self.texts[name].among(allowed)
        return flags


@dataclass(frozen=True)
class Population:
    """Spans of facts, ordered by person and day, and what was paid so far, by person.

    `person` numbers people 0 … `people` − 1, each with at least one span; `first` and `last` are days of the month
    (1 …), both inclusive.
    """

    people: int
    person: Ints
    first: Ints
    last: Ints
    facts: Facts
    so_far: Mapping[str, Ints]  # the fields of period.SoFar
    last_period: Flags


@dataclass
class Result:
    """Pay by person: a column per component, and for each person a code into REASONS (0: nothing wrong)."""

    amounts: dict[str, Ints]
    reason: Ints
    due: Flags  # False: nothing is due, no payslip
    taxable: Ints
    tax: Ints
    deductible: Ints
    gross: Ints
    tax_allowance: Ints
    deductions: Ints
    net: Ints
    employer_parts: Ints
    reference: Ints  # the row of each person's facts that decided contributions and tax
    sides: Mapping[str, Side] = field(default_factory=dict)

    @property
    def paid(self) -> Flags:
        """Who gets a payslip."""
        paid: Flags = self.due & (self.reason == 0)
        return paid


def _half_away(numerators: Ints, denominator: int) -> Ints:
    magnitude = (2 * np.abs(numerators) + denominator) // (2 * denominator)
    return np.where(numerators < 0, -magnitude, magnitude)


def _whole(value: Exact, side: Side, rounding: Rounding) -> Ints:
    if rounding is Rounding.CIRCULAR and side is Side.EARNING:
        return -(-value.numerators // value.denominator)
    if rounding is Rounding.CIRCULAR and side is Side.DEDUCTION:
        return value.numerators // value.denominator
    return _half_away(value.numerators, value.denominator)


def _heads(heads: Heads, facts: Facts) -> Ints:
    count = facts.numbers[heads.input]
    return count if heads.limit is None else np.minimum(count, heads.limit)


class _Rows:
    """Evaluates rules on rows (spans, or people) and notes what is missing."""

    def __init__(self, facts: Facts, count: int) -> None:
        self.facts, self.count = facts, count
        self.reason = np.zeros(count, dtype=np.int64)

    def _found(self, amounts: Ints, wanted: Flags, reason: int) -> Ints:
        missing = wanted & (amounts < 0)
        self.reason = np.where(missing & (self.reason == 0), reason, self.reason)
        return np.maximum(amounts, 0)

    def value(self, rule: ComponentRule, wanted: Flags, base: Mapping[str, Exact]) -> Exact:
        """The exact monthly value for the rows that are `wanted`, 0 for others."""
        source, facts = rule.source, self.facts
        match source:
            case FromTable():
                keys = facts.texts[source.key_input]
                cells = np.array(
                    [
                        [-1 if (cell := source.table.amount(word, step)) is None else cell for step in range(_STEPS)]
                        for word in (keys.words or [""])
                    ],
                    dtype=np.int64,
                )
                steps = np.clip(facts.numbers[source.step_input], 0, _STEPS - 1)
                value = Exact(self._found(cells[keys.codes, steps], wanted, _NO_CELL), 1)
            case FromKey():
                amounts = facts.texts[source.key_input].mapped(source.amounts)
                value = Exact(self._found(amounts, wanted, _NO_RATE), 1)
            case FromInput():
                value = Exact(facts.numbers[source.input], 1)
            case PerHead():
                heads = np.full(self.count, source.own, dtype=np.int64)
                for counted in source.heads:
                    heads = heads + _heads(counted, facts)
                value = Exact(heads * source.amount, 1)
            case ShareOf():
                value = Exact(np.zeros(self.count, dtype=np.int64), 1)
                for component in source.components:
                    value = value + base[component]
                if source.cap is not None:
                    value = Exact(np.minimum(value.numerators, source.cap * value.denominator), value.denominator)
                value = value.times(source.rate)
                if source.times is not None:
                    value = Exact(value.numerators * _heads(source.times, facts), value.denominator)
        value = value.times(rule.factor)
        return Exact(np.where(wanted, value.numerators, 0), value.denominator)


def _weights(period: Period, population: Population) -> dict[Entitlement, tuple[Ints, int]]:
    """By entitlement: each span's numerator and the common denominator."""
    first, last = population.first, population.last
    day = period.entitlement_day.day
    on_day = ((first <= day) & (day <= last)).astype(np.int64)
    if period.whole:
        return dict.fromkeys(Entitlement, (on_day, 1))
    days = last - first + 1
    worked_until = np.zeros(period.month.days + 1, dtype=np.int64)
    for working in period.working_days:
        worked_until[working.day :] += 1
    # Days reached within the person's spans, for the cap at thirty.
    reached = np.cumsum(days)
    starts = np.searchsorted(population.person, population.person, side="left")
    before = reached - days - (reached - days)[starts]
    return {
        Entitlement.FULL_MONTH: (on_day, 1),
        Entitlement.CALENDAR: (days, period.month.days),
        Entitlement.WORKING: (worked_until[last] - worked_until[first - 1], len(period.working_days)),
        Entitlement.THIRTIETHS: (np.minimum(before + days, 30) - np.minimum(before, 30), 30),
    }


def _sum_by_person(population: Population, values: Ints) -> Ints:
    # Spans are ordered by person and everybody has one, so each person's rows begin where his number first occurs.
    starts = np.searchsorted(population.person, np.arange(population.people), side="left")
    return np.add.reduceat(values, starts) if population.people < len(values) else values


def _reference_rows(period: Period, population: Population) -> Ints:
    """Each person's span on the entitlement day, else the first one."""
    rows = np.searchsorted(population.person, np.arange(population.people), side="left")
    day = period.entitlement_day.day
    held = np.flatnonzero((population.first <= day) & (day <= population.last))
    rows[population.person[held]] = held
    return rows


def _monthly_tax(tax: TaxRules, categories: Sequence[str], category: Ints, taxable: Ints) -> Ints:
    due = np.zeros(len(taxable), dtype=np.int64)
    for code, name in enumerate(categories):
        brackets = tax.monthly[name]
        rows = np.flatnonzero(category == code)
        tops = np.array([b.upper for b in brackets if b.upper is not None], dtype=np.int64)
        index = np.minimum(np.searchsorted(tops, taxable[rows], side="left"), len(brackets) - 1)
        over = lcm(*(b.rate.denominator for b in brackets))
        rates = np.array([b.rate.numerator * (over // b.rate.denominator) for b in brackets], dtype=np.int64)
        due[rows] = taxable[rows] * rates[index] // over
    return due


def _progressive(brackets: Sequence[Bracket], income: Ints) -> Ints:
    over = lcm(*(b.rate.denominator for b in brackets))
    due = np.zeros(len(income), dtype=np.int64)
    for bracket in brackets:
        top = income if bracket.upper is None else np.minimum(income, bracket.upper)
        rate = bracket.rate.numerator * (over // bracket.rate.denominator)
        due += np.maximum(0, top - bracket.lower) * rate
    return due // over


def _annual_tax(tax: TaxRules, relief: Ints, taxable: Ints, deductible: Ints, months: Ints) -> Ints:
    over = tax.expense_rate.denominator
    expense = np.minimum(taxable * tax.expense_rate.numerator, over * tax.expense_cap_month * months)
    income = np.maximum(0, over * (taxable - deductible - relief) - expense)
    return _progressive(tax.annual, income // (over * tax.taxable_rounding) * tax.taxable_rounding)


def _tax(
    rules: RuleSet, population: Population, regular: bool, people: Facts, rows: _Rows, taxable: Ints, deductible: Ints
) -> Ints:
    """Stage 10: by month at the effective rate, or the year put right in the last period."""
    tax, so_far = rules.tax, population.so_far
    status = people.texts[tax.status_input]
    categories = list(tax.monthly)
    known = {word: categories.index(category) for word, category in tax.category_of_status.items()}
    category = status.mapped(known)
    rows.reason = np.where((category < 0) & (rows.reason == 0), _NO_STATUS, rows.reason)
    month = _monthly_tax(tax, categories, category, so_far["month_taxable"] + taxable) - so_far["month_tax"]
    if not (regular and population.last_period.any()):
        return month
    year = _annual_tax(
        tax,
        np.maximum(0, status.mapped(tax.relief_of_status)),
        so_far["year_taxable"] + taxable,
        so_far["year_deductible"] + deductible,
        so_far["year_months"] + 1,
    )
    return np.where(population.last_period, year - so_far["year_tax"], month)


def compute(rules: RuleSet, kind: PayKind, period: Period, population: Population) -> Result:
    """Everybody's pay of this kind for the period; `reference.compute` says what each step means."""
    count, extra = population.people, rules.extra.get(kind)
    spans = _Rows(population.facts, len(population.person))
    weights = _weights(period, population)

    # Stages 2 to 5 on spans, summed by person, rounded once per component.
    zero = Exact(np.zeros(spans.count, dtype=np.int64), 1)
    monthly = dict.fromkeys(rules.earnings, zero)
    exact = dict.fromkeys(rules.earnings, zero)
    for rule in rules.of(Stage.BASE, Stage.PART_OF_BASE, Stage.EARNING):
        weight, over = weights[rule.entitlement]
        wanted = population.facts.applies(rule, spans.count) & (weight > 0)
        value = spans.value(rule, wanted, monthly)
        monthly[rule.component] = monthly[rule.component] + value
        if extra is None or rule.component in extra.components:
            earned = Exact(value.numerators * weight, value.denominator * over)
            exact[rule.component] = exact[rule.component] + earned
    amounts = {
        name: _whole(
            Exact(_sum_by_person(population, value.numerators), value.denominator), Side.EARNING, rules.rounding
        )
        for name, value in exact.items()
    }
    gross = np.zeros(count, dtype=np.int64)
    for column in amounts.values():
        gross = gross + column

    reference = _reference_rows(period, population)
    people = population.facts.taken(reference)
    rows = _Rows(people, count)
    order = np.flatnonzero(spans.reason)[::-1]  # the person's first failing span wins
    rows.reason[population.person[order]] = spans.reason[order]
    staff_kind = people.texts[rules.staff_kind_input]
    # Somebody with a missing cell may have no gross; that is an exception, not "nothing due".
    due = (gross > 0) | (rows.reason > 0)
    if kind is not PayKind.REGULAR:
        due &= staff_kind.among(extra.staff_kinds) if extra else np.zeros(count, dtype=np.bool_)

    # Stages 7 and 8 on rounded components; extra pay bears no contributions.
    for rule in rules.of(Stage.EMPLOYER_PART, Stage.DEDUCTION) if extra is None else ():
        wanted = people.applies(rule, count)
        value = rows.value(rule, wanted, {name: Exact(column, 1) for name, column in amounts.items()})
        rounded = _whole(value, rule.side, rules.rounding)
        amounts[rule.component] = amounts[rule.component] + rounded if rule.component in amounts else rounded

    # Stages 9 to 11.
    none = np.zeros(count, dtype=np.int64)
    taxable = gross.copy()
    for name, parts in rules.tax.taxable_employer_parts.items():
        of_kind = staff_kind.among(frozenset({name}))
        for part in parts:
            taxable += np.where(of_kind, amounts.get(part, none), 0)
    taxable += population.so_far["retro_taxable"]
    deductible = sum((amounts.get(name, none) for name in rules.tax.deductible), none)
    deductible = deductible + population.so_far["retro_deductible"]
    due_tax = _tax(rules, population, extra is None, people, rows, taxable, deductible)
    borne = staff_kind.among(rules.tax.borne_by_government)
    due_tax = np.where(borne, np.maximum(0, due_tax), due_tax)
    amounts[rules.tax.allowance_component] = np.where(borne, due_tax, 0)
    amounts[rules.tax.component] = due_tax

    # Stages 13 and 14.
    sides = rules.sides()
    sums = dict.fromkeys(Side, none)
    for name, column in amounts.items():
        sums[sides[name]] = sums[sides[name]] + column
    net = sums[Side.EARNING] + sums[Side.TAX_ALLOWANCE] - sums[Side.DEDUCTION]
    paid_out = net + population.so_far["retro_net"]
    rows.reason = np.where((paid_out < 0) & (rows.reason == 0), _NEGATIVE, rows.reason)
    if rules.rounding is Rounding.CIRCULAR:
        lift = -paid_out % rules.rounding_to
        amounts[rules.rounding_component] = lift
        gross, net = gross + lift, net + lift
    return Result(
        amounts=amounts,
        reason=np.where(due, rows.reason, 0),
        due=due,
        taxable=taxable,
        tax=due_tax,
        deductible=deductible,
        gross=gross,
        tax_allowance=sums[Side.TAX_ALLOWANCE],
        deductions=sums[Side.DEDUCTION],
        net=net,
        employer_parts=sums[Side.EMPLOYER_PART],
        reference=reference,
        sides=sides,
    )
