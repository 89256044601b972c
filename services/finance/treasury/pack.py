"""The country pack's dated data for the treasury: which payments go first, how far a suggestion may be off."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from fractions import Fraction

from chassis.country_pack import PackIncomplete, holding
from chassis.money import exponent
from services.finance.treasury.bank_rules import Tolerance


def priority(sources: Collection[str], on: date) -> int:
    """The priority of what an order pays (1 first): the best of its sources; what the pack lacks comes last."""
    by_source = {row["source"]: int(row["priority"]) for row in holding("payment_priorities.csv", on)}
    last = max(by_source.values(), default=0) + 1
    return min((by_source.get(source, last) for source in sources), default=last)


def tolerance(currency: str, on: date) -> Tolerance:
    """How far an order may be from an entry of the bank; a row without currency is for all that have none."""
    rows = {row["currency"]: row for row in holding("bank_matching.csv", on)}
    row = rows.get(currency) or rows.get("")
    if row is not None:
        amount = int(Fraction(row["amount"]) * 10 ** exponent(currency))
        return Tolerance(amount, int(row["days"]), Fraction(row["exchange_share"]))
    raise PackIncomplete(
        f"no tolerance of bank matching in {currency} on {on}: add a row to bank_matching.csv",
        metadata={"table": "bank_matching.csv", "currency": currency, "on": str(on)},
    )
