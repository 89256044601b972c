"""The country pack's rules of exchange: how old a rate may be, and which accounts are monetary."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import PackIncomplete, holding
from services.finance.ledger.rates.domain import RateKind


def age_days_max(kind: RateKind, on: date) -> int:
    """How many days a last known rate holds."""
    for row in holding("exchange_rate_rules.csv", on):
        if row["kind"] == kind.value:
            return int(row["age_days_max"])
    raise PackIncomplete(
        f"no rule of {kind.value} rates on {on}: add a row to exchange_rate_rules.csv",
        metadata={"table": "exchange_rate_rules.csv", "kind": kind.value, "on": str(on)},
    )


def monetary_prefixes(on: date) -> dict[str, bool]:
    """Which prefixes of the chart are monetary (IPSAS 4), and which below them are not."""
    return {row["account_prefix"]: row["monetary"] == "true" for row in holding("monetary_accounts.csv", on)}
