"""Facts of the calendar, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.classification.closing.domain import Reopening
from services.finance.classification.domain import FiscalYear


@dataclass(frozen=True)
class FiscalPeriodReopened:
    """A closed period went one step back."""

    reopening: Reopening


@dataclass(frozen=True)
class FinancialStatementsIssued:
    """The books of a year are final."""

    fiscal_year: FiscalYear
