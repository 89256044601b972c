"""The country pack's dated data for payables: tolerances of the match, withholding rates, creditors' accounts,
how legal numbers are printed.

Rows hold on [valid_from, valid_to) and carry their legal source; those marked `to verify` were taken from knowledge.
"""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

from chassis.country_pack import PackIncomplete, holding, rows
from chassis.money import exponent
from services.finance.payables.domain import Tolerance, WithholdingRule

# The row of every currency that has no row of its own.
_ANY_CURRENCY = "*"


def tolerance(currency: str, on: date) -> Tolerance:
    """The tolerances of the match in `currency` on a day: its own row's, else those of the row for any currency."""
    by_currency = {row["currency"]: row for row in holding("match_tolerances.csv", on)}
    row = by_currency.get(currency) or by_currency.get(_ANY_CURRENCY)
    if row is None:
        raise PackIncomplete(
            f"no tolerance of the match in {currency} on {on}: add a row for it, or for any currency "
            f"({_ANY_CURRENCY}), to match_tolerances.csv",
            metadata={"table": "match_tolerances.csv", "currency": currency, "on": str(on)},
        )
    minor = 10 ** exponent(currency)
    return Tolerance(
        currency=currency,
        quantity_rate=Fraction(row["quantity_rate"]),
        price_rate=Fraction(row["price_rate"]),
        price_cap=int(Fraction(row["price_cap"]) * minor) if row["price_cap"] else None,
        total=int(Fraction(row["total"]) * minor),
        duplicate_days=int(row["duplicate_days"]),
        terms_days=int(row["terms_days"]),
    )


def rounding_cap(currency: str, on: date) -> int:
    """By how many minor units a document of a day may round its total, up or down (EN 16931 BT-114)."""
    by_currency = {row["currency"]: row for row in holding("invoice_rounding.csv", on)}
    row = by_currency.get(currency) or by_currency.get(_ANY_CURRENCY)
    if row is None:
        raise PackIncomplete(
            f"nothing says by how much a total in {currency} may be rounded on {on}: add a row for it, or for any "
            f"currency ({_ANY_CURRENCY}), to invoice_rounding.csv",
            metadata={"table": "invoice_rounding.csv", "currency": currency, "on": str(on)},
        )
    return int(row["cap_minor"])


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
        for row in holding("withholding_rates.csv", on)
    ]


def withholding_role(code: str) -> str:
    """The account role that keeps what is withheld for `code`; the general one for a code that the pack lacks."""
    for row in rows("withholding_creditors.csv"):
        if row["creditor_code"] == code:
            return row["role"]
    return "WHT"


def paper_number(kind: str, number: int, year: int, on: date) -> str:
    """A legal number as the law of the day `on` prints it: in `id`, 00001/SP2D/2026 for a PAYMENT_ORDER."""
    for row in holding("number_formats.csv", on):
        if row["kind"] == kind:
            return row["format"].format(number=number, year=year)
    raise PackIncomplete(
        f"no printed form of the number of a {kind} on {on}: add a row to number_formats.csv",
        metadata={"table": "number_formats.csv", "kind": kind, "on": str(on)},
    )
