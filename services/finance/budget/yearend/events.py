"""What happened to the end of a budget year, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.budget.yearend.domain import YearEnd


@dataclass(frozen=True)
class BudgetYearEndChanged:
    """The end of a year was proposed, approved (and is done), rejected or recalled."""

    year_end: YearEnd
