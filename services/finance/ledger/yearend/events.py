"""Facts of the year's end, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.ledger.yearend.domain import YearClosing


@dataclass(frozen=True)
class FiscalYearClosed:
    """A year's results were closed."""

    closing: YearClosing
