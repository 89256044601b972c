"""The country pack's law about tax withheld of what is credited. Rows marked `to verify` were taken from knowledge."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import holding


def corrected_codes(on: date) -> frozenset[str]:
    """Which kinds of withholding are corrected on a day when what they were withheld of is credited."""
    return frozenset(row["withholding_code"] for row in holding("withholding_corrections.csv", on))
