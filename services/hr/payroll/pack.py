"""Loads a country pack's pay rules: dated tables and declared rules become the `RuleSet` of a day.

A pack is a folder with `payroll_rules.json`, the CSV tables that it names and `fiscal_calendar.csv` (`data/id/` is
Indonesia; chassis.country_pack says which one a process serves).
Nothing here or in the engine knows the country; a second country is a second folder.
"""

from __future__ import annotations

import csv
import json
from bisect import bisect_right
from collections.abc import Container, Mapping
from datetime import date
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from chassis.country_pack import FISCAL_CALENDAR, PackIncomplete, calendar_of
from chassis.dates import Month
from services.hr.payroll.rules import (
    Bracket,
    ComponentRule,
    Entitlement,
    ExtraPay,
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
    Source,
    Stage,
    StepTable,
    TaxRules,
)


class PackError(PackIncomplete):
    """The pack has no row or version for a day: someone asks for pay of a time whose law it does not hold."""


def _on(day: date, versions: Any) -> Any:
    """The version that holds on `day`; a value that is no list of versions holds always."""
    if not (isinstance(versions, list) and versions and isinstance(versions[0], dict) and "valid_from" in versions[0]):
        return versions
    for version in versions:
        if version["valid_from"] <= day.isoformat() < version.get("valid_to", "9999-12-31"):
            return version["value"]
    raise PackError(
        f"the country pack has no rule of pay that holds on {day}: choose a day that it covers, or add the rule",
        metadata={"on": str(day)},
    )


class Pack:
    """One country's pay rules, read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._csv: dict[str, list[dict[str, str]]] = {}
        self._declared: dict[str, Any] = json.loads((folder / "payroll_rules.json").read_text(encoding="utf-8"))
        self.currency: str = self._declared["currency"]
        self.unit_minor: int = self._declared["unit_minor"]
        self.calendar = calendar_of(self._rows(FISCAL_CALENDAR))
        self._extra_dates = {
            (int(row["year"]), PayKind(row["kind"])): date.fromisoformat(row["entitled_on"])
            for row in self._rows(self._declared["extra_pay"]["dates"])
        }
        self._rules: dict[int, RuleSet] = {}

    def _rows(self, name: str) -> list[dict[str, str]]:
        if name not in self._csv:
            with (self.folder / name).open(encoding="utf-8", newline="") as file:
                self._csv[name] = list(csv.DictReader(file))
        return self._csv[name]

    def _value(self, reference: Any, day: date) -> Fraction:
        """A number, or the cell that `reference` names: by `key`, or by `program` and the latest `effective_from`."""
        reference = _on(day, reference)
        if not isinstance(reference, dict):
            return Fraction(str(reference))
        rows = self._rows(reference["csv"])
        if "program" in reference:
            found = [
                row
                for row in rows
                if row["program"] == reference["program"] and row["effective_from"] <= day.isoformat()
            ]
            found.sort(key=lambda row: row["effective_from"])
        else:
            found = [row for row in rows if row["key"] == reference["key"]]
        if not found:
            raise PackError(f"{reference} names no row on {day}")
        return Fraction(found[-1][reference["column"]])

    def _step_table(self, name: str, day: date) -> StepTable:
        declared = _on(day, self._declared["step_tables"][name])
        if day.isoformat() < declared["valid_from"]:
            raise PackError(f"{name} holds from {declared['valid_from']}, asked for {day}")
        steps: dict[str, list[tuple[int, int]]] = {}
        for row in self._rows(declared["csv"]):
            cell = int(row[declared["step"]]), int(row[declared["amount"]])
            steps.setdefault(row[declared["key"]], []).append(cell)
        return StepTable(name, {key: tuple(sorted(cells)) for key, cells in steps.items()})

    def _from_key(self, rule: Mapping[str, Any]) -> FromKey:
        keyed = rule["keyed"]
        amounts = {
            row["key"].removeprefix(keyed["prefix"]): int(row[keyed["column"]])
            for row in self._rows(keyed["csv"])
            if row["key"].startswith(keyed["prefix"])
        }
        if through := rule.get("through"):
            rows = self._rows(through["csv"])
            amounts = {row[through["key"]]: amounts[row[through["value"]]] for row in rows}
        return FromKey(rule["component"], amounts, rule["by"][0])

    def _source(self, rule: Mapping[str, Any], day: date) -> Source:
        def heads(declared: Mapping[str, Any]) -> Heads:
            return Heads(declared["input"], declared.get("limit"))

        if "table" in rule:
            return FromTable(self._step_table(rule["table"], day), rule["by"][0], rule["by"][1])
        if "keyed" in rule:
            return self._from_key(rule)
        if "input" in rule:
            return FromInput(rule["input"])
        if "per_head" in rule:
            amount = int(self._value(rule["per_head"], day))
            return PerHead(amount, rule["own"], tuple(heads(declared) for declared in rule["heads"]))
        cap = int(self._value(rule["cap"], day)) if "cap" in rule else None
        times = heads(rule["times"]) if "times" in rule else None
        return ShareOf(tuple(rule["share_of"]), self._value(rule["rate"], day), cap, times)

    def _component(self, rule: Mapping[str, Any], day: date) -> ComponentRule:
        return ComponentRule(
            component=rule["component"],
            stage=Stage[rule["stage"]],
            side=Side(rule["side"]),
            source=self._source(rule, day),
            when={name: frozenset(values) for name, values in rule.get("when", {}).items()},
            factor=self._value(rule.get("factor", 1), day),
            entitlement=Entitlement(rule.get("entitlement", "FULL_MONTH")),
            creditor=rule.get("creditor"),
        )

    def _brackets(self, rows: list[dict[str, str]], lower: str, upper: str) -> tuple[Bracket, ...]:
        return tuple(
            Bracket(int(row[lower]), int(row[upper]) if row[upper] else None, Fraction(row["rate"])) for row in rows
        )

    def _tax(self, day: date) -> TaxRules:
        declared = _on(day, self._declared["tax"])
        statuses, monthly = self._rows(declared["statuses"]), self._rows(declared["monthly"])
        categories = dict.fromkeys(row["category"] for row in monthly)
        annual = self._rows(declared["annual"])
        return TaxRules(
            component=declared["component"],
            creditor=declared["creditor"],
            allowance_component=declared["allowance_component"],
            status_input=declared["status_input"],
            category_of_status={row["status"]: row["ter_category"] for row in statuses if row["ter_category"]},
            relief_of_status={row["status"]: int(row["annual_total"]) for row in statuses},
            monthly={
                category: self._brackets(
                    [row for row in monthly if row["category"] == category], "lower_exclusive", "upper_inclusive"
                )
                for category in categories
            },
            annual=self._brackets(annual, "pkp_lower_exclusive", "pkp_upper_inclusive"),
            expense_rate=self._value(declared["expense_rate"], day),
            expense_cap_month=int(self._value(declared["expense_cap_month"], day)),
            taxable_rounding=declared["taxable_rounding"],
            deductible=tuple(declared["deductible"]),
            borne_by_government=frozenset(declared["borne_by_government"]),
            taxable_employer_parts={kind: tuple(parts) for kind, parts in declared["taxable_employer_parts"].items()},
        )

    def _extra(self) -> dict[PayKind, ExtraPay]:
        declared = self._declared["extra_pay"]
        return {
            kind: ExtraPay(
                kind, frozenset(declared[kind.value]["components"]), frozenset(declared[kind.value]["staff_kinds"])
            )
            for kind in PayKind
            if kind.value in declared
        }

    @cached_property
    def _starts(self) -> tuple[str, ...]:
        """The days on which anything in the pack changes, as ISO dates."""
        starts: set[str] = set()

        def walk(node: Any) -> None:
            if isinstance(node, dict):
                starts.update(node[key] for key in ("valid_from", "valid_to") if key in node)
                if "program" in node:
                    starts.update(row["effective_from"] for row in self._rows(node["csv"]))
                for child in node.values():
                    walk(child)
            elif isinstance(node, list):
                for child in node:
                    walk(child)

        walk(self._declared)
        return tuple(sorted(starts))

    def rules_on(self, day: date) -> RuleSet:
        """The rules that hold on `day`."""
        key = bisect_right(self._starts, day.isoformat())
        if key not in self._rules:
            rounding = self._declared["rounding"]
            self._rules[key] = RuleSet(
                pack=self._declared["pack"],
                currency=self.currency,
                unit_minor=self.unit_minor,
                rounding=Rounding(_on(day, rounding["policy"])),
                rounding_component=rounding["component"],
                rounding_to=int(self._value(rounding["to"], day)),
                components=tuple(self._component(rule, day) for rule in self._declared["components"]),
                tax=self._tax(day),
                extra=self._extra(),
            )
        return self._rules[key]

    @cached_property
    def cost_components(self) -> frozenset[str]:
        """Every component that a budget line may have to bear, whenever."""
        days = [date.fromisoformat(start) for start in self._starts]
        first = min(date.fromisoformat(table["valid_from"]) for table in self._declared["step_tables"].values())
        return frozenset().union(*(self.rules_on(day).cost_components() for day in days if day >= first))

    def is_free(self, day: date) -> bool:
        """Whether `day` is a Saturday, a Sunday or a public holiday of the country."""
        return day.weekday() >= 5 or day in self._holidays

    @cached_property
    def _holidays(self) -> Container[date]:
        import holidays

        calendar: Container[date] = holidays.country_holidays(self._declared["holidays"])
        return calendar

    def fiscal_year_of(self, month: Month) -> int:
        """The fiscal year whose budget lines bear the pay of `month`; named by the rule of the country's law."""
        return self.calendar.year_of(month.first)

    def entitled_on(self, kind: PayKind, year: int) -> date | None:
        """The day whose facts entitle to this extra pay in the calendar `year`; None when it has none (yet)."""
        return self._extra_dates.get((year, kind))


@lru_cache(maxsize=4)
def load(folder: Path) -> Pack:
    """The pack in a folder, read once."""
    return Pack(folder)
