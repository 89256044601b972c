"""The country's regions, from its pack: to note a national id of an unknown region."""

from __future__ import annotations

from functools import cache

from chassis import country_pack


@cache
def region_codes() -> frozenset[str]:
    """The codes of all provinces (`32`) and regencies or cities (`32.73`) in the pack's tables."""
    return frozenset(
        row["region_code"]
        for table in ("regions_provinces.csv", "regions_regencies.csv")
        for row in country_pack.rows(table)
    )
