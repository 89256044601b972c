"""Which account a journal line of a document names: by the account's role, the budget code and the day.

The rules are dated data (`data/id/account_mapping.csv`): 5.1.x becomes 8.1.x, stock 1.1.12, 5.2.x becomes 1.3.x
(domain rules §1). The rule with the longest prefix wins; a mirrored code that the chart does not have falls back to
the nearest account above it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlmodel import Session

from services.finance.classification import store
from services.finance.classification.domain import AccountNotMapped


def account_for(session: Session, kind: str, belanja_code: str | None = None, *, on: date) -> str:
    """The code of the account with role `kind` (EXP, INV, FA, ADV, GRNI, AP, RET, WHT-VAT, TRANSIT, CASH, RK-A, …)
    for the budget code `belanja_code` on the day `on`. ACCOUNT_NOT_MAPPED when no rule gives one."""
    return accounts_for(session, [(kind, belanja_code or "")], on=on)[kind, belanja_code or ""]


def accounts_for(session: Session, wanted: Iterable[tuple[str, str]], *, on: date) -> dict[tuple[str, str], str]:
    """The accounts for several (role, budget code) pairs, with two queries in all."""
    pairs = sorted(set(wanted))
    rules = store.mappings_on(session, [kind for kind, _ in pairs], on)
    candidates: dict[tuple[str, str], list[str]] = {}
    for kind, belanja_code in pairs:
        fitting = sorted(
            (rule for rule in rules if rule.role == kind and rule.covers(belanja_code)),
            key=lambda rule: len(rule.belanja_prefix),
            reverse=True,
        )
        # Only the most specific rule speaks: a fallback to a wider one would hide a gap in the chart.
        candidates[kind, belanja_code] = fitting[0].candidates(belanja_code) if fitting else []
    postable = store.postable_codes(session, (code for codes in candidates.values() for code in codes), on)
    found: dict[tuple[str, str], str] = {}
    for (kind, belanja_code), codes in candidates.items():
        account_code = next((code for code in codes if code in postable), None)
        if account_code is None:
            raise AccountNotMapped(
                f"no account for role {kind}{f' and budget code {belanja_code}' if belanja_code else ''} on {on}: "
                "add a rule to the account mapping, or the account that it names "
                f"({', '.join(codes) or 'there is no rule'})",
                metadata={"role": kind, "belanja_code": belanja_code, "on": str(on)},
            )
        found[kind, belanja_code] = account_code
    return found
