"""The country pack's dated rules of fees and interest. Rows marked `to verify` were taken from knowledge."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import holding
from services.finance.treasury.charges.domain import ChargeKind, ChargeRule


def charge_rules(on: date) -> list[ChargeRule]:
    """Which transaction codes of banks are fees or interest on a day, in the pack's order."""
    return [
        ChargeRule(row["transaction_code"], ChargeKind(row["kind"]), row["expenditure_prefix"])
        for row in holding("bank_charges.csv", on)
    ]
