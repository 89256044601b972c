"""The law's limits on imprests, from the country pack."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import PackIncomplete, holding
from services.finance.imprest.domain import ImprestKind


def usable_months(kind: ImprestKind, on: date) -> int | None:
    """Within how many months an imprest must be used; None for the whole year."""
    for row in holding("imprest_rules.csv", on):
        if row["kind"] == kind.value:
            return int(row["usable_months"]) if row["usable_months"] else None
    raise PackIncomplete(
        f"no rule for a {kind.value} imprest on {on}: add a row to imprest_rules.csv",
        metadata={"table": "imprest_rules.csv", "kind": kind.value, "on": str(on)},
    )
