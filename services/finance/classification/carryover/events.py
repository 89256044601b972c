"""Facts of carry-overs, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.finance.classification.carryover.domain import CarryOver


@dataclass(frozen=True)
class BalancesCarriedOver:
    """An agency's balances went over to the codes of a new chart."""

    carry_over: CarryOver
    opened_on: date
