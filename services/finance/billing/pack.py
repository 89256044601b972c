"""The law's limits on prepayments and retention, from the country pack."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from chassis.country_pack import PackIncomplete, holding
from services.finance.billing.domain import TermsRule


def terms_rule(supplier_class: str, on: date) -> TermsRule:
    """The legal shares for a class of creditors on a contract's day of signature."""
    for row in holding("contract_terms.csv", on):
        if row["supplier_class"] == supplier_class:
            return TermsRule(Fraction(row["prepayment_share_max"]), Fraction(row["retention_rate"]))
    raise PackIncomplete(
        f"no limits of prepayment and retention for {supplier_class} on {on}: add a row to contract_terms.csv",
        metadata={"table": "contract_terms.csv", "supplier_class": supplier_class, "on": str(on)},
    )
