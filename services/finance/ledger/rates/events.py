"""Facts of rates and revaluations, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.ledger.rates.domain import Rate, Revaluation


@dataclass(frozen=True)
class ExchangeRateRecorded:
    """A rate became known."""

    rate: Rate
    corrects: Rate | None


@dataclass(frozen=True)
class ForeignBalancesRevalued:
    """Foreign balances stand at the rate of a period's last day."""

    revaluation: Revaluation
