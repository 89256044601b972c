"""The country pack's days for invoices of what was accepted."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import PackIncomplete, holding
from services.finance.payables.uninvoiced.domain import AgeRule

TABLE = "uninvoiced_receipts.csv"


def rule(on: date) -> AgeRule:
    """The rule that holds on a day."""
    found = holding(TABLE, on)
    if len(found) != 1:
        raise PackIncomplete(
            f"{len(found)} rules for received-not-invoiced on {on}: {TABLE} says once how old it may be, and whose",
            metadata={"table": TABLE, "on": str(on)},
        )
    return AgeRule(int(found[0]["days_max"]), found[0]["owner_role"])
