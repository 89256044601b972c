"""The law's rules of budget preparation, from the country pack."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import PackIncomplete, holding


def medium_term_years(on: date) -> int:
    """For how many years after the budget year requests give estimates (prakiraan maju); 0 for none."""
    for row in holding("budget_preparation.csv", on):
        if row["rule"] == "MEDIUM_TERM_YEARS":
            return int(row["value"])
    raise PackIncomplete(
        f"no number of medium-term years on {on}: add a row MEDIUM_TERM_YEARS to budget_preparation.csv",
        metadata={"table": "budget_preparation.csv", "rule": "MEDIUM_TERM_YEARS", "on": str(on)},
    )
