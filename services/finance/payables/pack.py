"""The country pack's dated data for payables: tolerances of the match, withholding rates, creditors' accounts.

Rows hold on [valid_from, valid_to) and carry their legal source; those marked `to verify` were taken from knowledge.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path

from chassis.errors import FailedPrecondition
from chassis.money import exponent
from services.finance.payables.domain import Tolerance, WithholdingRule

FOLDER = Path(__file__).resolve().parents[3] / "data" / "id"


class PackIncomplete(FailedPrecondition):
    """The country pack has no row for a day."""

    reason = "COUNTRY_PACK_INCOMPLETE"


@cache
def _rows(name: str) -> tuple[dict[str, str], ...]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _holding(rows: Sequence[dict[str, str]], on: date) -> list[dict[str, str]]:
    return [
        row
        for row in rows
        if date.fromisoformat(row["valid_from"]) <= on
        and (not row["valid_to"] or on < date.fromisoformat(row["valid_to"]))
    ]


def tolerance(currency: str, on: date) -> Tolerance:
    """The tolerances of the match in `currency` on a day."""
    rows = [row for row in _holding(_rows("match_tolerances.csv"), on) if row["currency"] == currency]
    if not rows:
        raise PackIncomplete(
            f"no tolerance of the match in {currency} on {on}: add a row to match_tolerances.csv",
            metadata={"table": "match_tolerances.csv", "currency": currency, "on": str(on)},
        )
    row, minor = rows[0], 10 ** exponent(currency)
    return Tolerance(
        currency=currency,
        quantity_rate=Fraction(row["quantity_rate"]),
        price_rate=Fraction(row["price_rate"]),
        price_cap=int(Fraction(row["price_cap"]) * minor),
        total=int(Fraction(row["total"]) * minor),
        duplicate_days=int(row["duplicate_days"]),
        terms_days=int(row["terms_days"]),
    )


def due_on(received_on: date, terms_days: int) -> date:
    """When an invoice is due: its receipt plus the terms (PEFA PI-22 counts arrears from here)."""
    return received_on + timedelta(days=terms_days)


def withholding_rules(currency: str, on: date) -> list[WithholdingRule]:
    """What is withheld from payments to suppliers on a day; thresholds are in the currency of the pack."""
    minor = 10 ** exponent(currency)
    return [
        WithholdingRule(
            withholding_code=row["withholding_code"],
            expenditure_prefix=row["expenditure_prefix"],
            of_tax=row["base"] == "TAX",
            rate=Fraction(row["rate"]),
            threshold_net=int(Fraction(row["threshold_net"]) * minor),
        )
        for row in _holding(_rows("withholding_rates.csv"), on)
    ]


def withholding_role(code: str) -> str:
    """The account role that keeps what is withheld for `code`; the general one for a code that the pack lacks."""
    for row in _rows("withholding_creditors.csv"):
        if row["creditor_code"] == code:
            return row["role"]
    return "WHT"
