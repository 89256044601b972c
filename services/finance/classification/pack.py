"""The country pack's fiscal years: `fiscal_calendar.csv`, one row with its law."""

from __future__ import annotations

from chassis.country_pack import PackIncomplete, rows
from services.finance.classification.fiscal_calendar import FiscalCalendar

_TABLE = "fiscal_calendar.csv"


def fiscal_calendar() -> FiscalCalendar:
    """The government's fiscal years. COUNTRY_PACK_INCOMPLETE unless the table has exactly one row.

    Books keep one row of years; a government that moves the beginning of its year has a short year in between, which
    no table of this pack can say yet.
    """
    found = rows(_TABLE)
    if len(found) != 1 or found[0]["named_by"] not in ("START", "END"):
        raise PackIncomplete(
            f"{_TABLE} has {len(found)} rows: it says once with which month fiscal years begin, and whether the "
            "calendar year of their START or END names them",
            metadata={"table": _TABLE},
        )
    return FiscalCalendar(int(found[0]["first_month"]), found[0]["named_by"] == "END")
