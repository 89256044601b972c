"""Indonesia's regions (Kemendagri codes), from data/id: to note a national id of an unknown region."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

_DATA = Path(__file__).resolve().parents[3] / "data" / "id"


def _codes(file: str) -> frozenset[str]:
    with (_DATA / file).open(encoding="utf-8", newline="") as rows:
        return frozenset(row["kemendagri_code"] for row in csv.DictReader(rows))


@cache
def region_codes() -> frozenset[str]:
    """The codes of all provinces (`32`) and regencies or cities (`32.73`) in the table."""
    return _codes("regions_provinces.csv") | _codes("regions_regencies.csv")
