"""The country pack's dated rates of penalties for late delivery."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from chassis.country_pack import PackIncomplete, holding
from services.finance.payables.penalties.domain import Base, Rule

_TABLE = "late_delivery_penalties.csv"


def rule(base: Base, on: date) -> Rule:
    """The rule for a base on a day; PackIncomplete when the pack lets no penalty be taken of it.

    A rate is a fraction ("1/1000") of the base for each day; an empty cap is none.
    """
    for row in holding(_TABLE, on):
        if row["base"] == base.value:
            cap = row["cap_share"]
            return Rule(base, Fraction(row["daily_rate"]), Fraction(cap) if cap else None, row["legal_source"])
    raise PackIncomplete(
        f"the country pack has no penalty for late delivery by {base.value} on {on}: take another base, or add a row "
        f"to {_TABLE}",
        metadata={"base": base.value, "on": str(on)},
    )
