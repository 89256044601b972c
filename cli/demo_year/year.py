"""What the acts of the demo year share: the connection, the ids by label, the budget lines by year."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.type import decimal_pb2

from chassis.ids import derived_id
from chassis.money import Money, exponent
from chassis.wire import from_money, to_date, to_money
from cli.demo.acting import Government
from cli.demo.cast import GOVERNMENT, TREASURY
from cli.demo.foundation import Foundation
from cli.demo_year import cast
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc

BUDGET = budget_pb2_grpc.BudgetServiceStub
# (year, unit, (account, line_no))
LineKey = tuple[int, str, tuple[str, int]]


@dataclass
class Year:
    """The running story. `foundation` and `lines` are there once the first acts have made them."""

    government: Government
    foundation: Foundation = field(default_factory=lambda: Foundation({}, {}, []))
    suppliers: list[str] = field(default_factory=list)
    lines: dict[LineKey, str] = field(default_factory=dict)

    @property
    def treasury_id(self) -> str:
        """The treasury's agency."""
        return self.foundation.agencies[TREASURY]

    def unit_id(self, unit: str) -> str:
        """The agency of a unit."""
        return self.foundation.agencies[unit]

    def bookkeepers(self) -> dict[str, str]:
        """The agencies that keep books, by label: the units and the treasury."""
        return {label: agency for label, agency in self.foundation.agencies.items() if label != GOVERNMENT}

    def line(self, key: tuple[str, int], *, unit: str = cast.HEALTH, year: int = cast.FISCAL_YEAR) -> str:
        """The id of a budget line."""
        return self.lines[year, unit, key]

    def learn_lines(self, unit: str, year: int) -> None:
        """Note the ids of a unit's lines of a year as finance lists them."""
        for line in self.budget_lines(unit, year):
            self.lines[year, unit, (line.account_code, line.line_no)] = line.budget_line_id

    def budget_lines(self, unit: str, year: int) -> Iterable[Any]:
        """A unit's lines of a year with their figures, as the auditor sees them."""
        request = budget_pb2.ListBudgetLinesRequest(agency_id=self.unit_id(unit), fiscal_year=year, page_size=500)
        return self.government.pages(BUDGET, "ListBudgetLines", request, by="auditor", rows="budget_lines")

    def figures(self, key: tuple[str, int], *, unit: str = cast.HEALTH, year: int = cast.FISCAL_YEAR) -> Any:
        """The figures of one line."""
        request = budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{self.line(key, unit=unit, year=year)}")
        return self.government.read(BUDGET, "GetBudgetLine", request, by="auditor").figures


def rupiah(whole: int) -> Any:
    """Whole rupiah as a message."""
    return to_money(Money(whole * 10 ** exponent(cast.CURRENCY), cast.CURRENCY))


def whole_rupiah(figure: str) -> int:
    """A figure of a refusal, which is in whole rupiah here."""
    amount = Decimal(figure)
    if amount != int(amount):
        raise ValueError(f"{figure} is no whole amount")
    return int(amount)


def shown(amount: Any) -> str:
    """An amount of a message for people; an absent one is nothing."""
    return str(from_money(amount)) if amount.currency_code else str(Money(0, cast.CURRENCY))


def minor(amount: Any) -> int:
    """An amount of a message in minor units; an absent one is nothing."""
    return from_money(amount).minor if amount.currency_code else 0


def decimal(value: Decimal | int | str) -> decimal_pb2.Decimal:
    """A decimal as a message."""
    return decimal_pb2.Decimal(value=str(value))


def day(month: int, number: int, year: int = cast.FISCAL_YEAR) -> Any:
    """A civil day as a message."""
    return to_date(date(year, month, number))


def document_id(*parts: str) -> str:
    """The id of a paper that the story itself keeps: the same in every run."""
    found: UUID = derived_id("demo-year", *parts)
    return str(found)
