"""The country pack's rates of late interest. Rows marked `to verify` were taken from knowledge."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from chassis.country_pack import rows
from services.finance.payables.late.domain import Rate


def rates(currency: str) -> list[Rate]:
    """Every rate for amounts in `currency`, in the pack's order; they do not overlap."""
    return [
        Rate(
            rate=Fraction(row["yearly_rate"]),
            basis_days=int(row["basis_days"]),
            grace_days=int(row["grace_days"]),
            valid_from=date.fromisoformat(row["valid_from"]),
            valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        )
        for row in rows("late_interest.csv")
        if row["currency"] == currency
    ]
