"""The country pack: the law of one government as dated tables, read once a process.

A pack is a folder of CSV files (`data/id` is Indonesia's). A row holds on [valid_from, valid_to), an empty end being
open, and names its legal source. Which folder is a setting (`country_pack_dir`), so the engine knows no country.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from chassis.errors import FailedPrecondition
from chassis.fiscal_calendar import FiscalCalendar
from chassis.settings import ROOT

FISCAL_CALENDAR = "fiscal_calendar.csv"


class _Chosen:
    """One process serves one government."""

    folder = ROOT / "data" / "id"


class PackIncomplete(FailedPrecondition):
    """The country pack has no row for a day."""

    reason = "COUNTRY_PACK_INCOMPLETE"


class PackMissing(Exception):
    """The folder named as the country pack is none."""


def choose(folder: Path) -> None:
    """Read from `folder` from now on: called once, when a service starts. Raises PackMissing when it is no folder."""
    if not folder.is_dir():
        raise PackMissing(f"KELOLA_COUNTRY_PACK_DIR={folder} is no folder: name a country pack such as {ROOT}/data/id")
    if folder != _Chosen.folder:
        _Chosen.folder = folder
        rows.cache_clear()


@cache
def rows(table: str) -> tuple[Mapping[str, str], ...]:
    """All rows of a table of the pack, in its order; a table that the pack lacks is PackIncomplete."""
    try:
        with (_Chosen.folder / table).open(encoding="utf-8", newline="") as file:
            return tuple(csv.DictReader(file))
    except FileNotFoundError:
        raise PackIncomplete(
            f"the country pack has no table {table}: add it to the pack", metadata={"table": table}
        ) from None


def holding(table: str, on: date) -> Sequence[Mapping[str, str]]:
    """The rows of a table that hold on a day, in the table's order."""
    return [
        row
        for row in rows(table)
        if date.fromisoformat(row["valid_from"]) <= on
        and (not row["valid_to"] or on < date.fromisoformat(row["valid_to"]))
    ]


def fiscal_calendar() -> FiscalCalendar:
    """The government's fiscal years, by its table `fiscal_calendar.csv`; see `calendar_of`."""
    return calendar_of(rows(FISCAL_CALENDAR))


def calendar_of(found: Sequence[Mapping[str, str]]) -> FiscalCalendar:
    """The fiscal years that the rows of a `fiscal_calendar.csv` say. COUNTRY_PACK_INCOMPLETE unless it is one row.

    Books keep one row of years; a government that moves the beginning of its year has a short year in between, which
    no table of this pack can say yet.
    """
    if len(found) != 1 or found[0]["named_by"] not in ("START", "END"):
        raise PackIncomplete(
            f"{FISCAL_CALENDAR} has {len(found)} rows: it says once with which month fiscal years begin, and whether "
            "the calendar year of their START or END names them",
            metadata={"table": FISCAL_CALENDAR},
        )
    return FiscalCalendar(int(found[0]["first_month"]), found[0]["named_by"] == "END")
