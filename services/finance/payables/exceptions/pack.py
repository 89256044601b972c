"""The country pack's rules of held invoices. Rows marked `to verify` were taken from knowledge."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from chassis.country_pack import PackIncomplete, holding
from services.finance.payables.domain import HoldReason
from services.finance.payables.exceptions.domain import FirstOwner, HoldRule


def hold_rules(reasons: Collection[HoldReason], on: date) -> Sequence[HoldRule]:
    """The rules of a day for these reasons, in the pack's order; each reason has one."""
    found = [
        HoldRule(HoldReason(row["reason"]), FirstOwner(row["first_owner"]), int(row["days_max"]))
        for row in holding("invoice_hold_rules.csv", on)
    ]
    missing = sorted(reason.value for reason in set(reasons) - {rule.reason for rule in found})
    if missing:
        raise PackIncomplete(
            f"no rule on {on} for invoices held for {', '.join(missing)}: add rows to invoice_hold_rules.csv",
            metadata={"table": "invoice_hold_rules.csv", "reasons": ",".join(missing), "on": str(on)},
        )
    return [rule for rule in found if rule.reason in reasons]
