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


def account_for(session: Session, kind: str, expenditure_account_code: str | None = None, *, on: date) -> str:
    """The code of the account with role `kind` (EXP, INV, FA, ADV, GRNI, AP, RET, WHT-VAT, TRANSIT, CASH, RK-A, …)
    for the budget code `expenditure_account_code` on the day `on`. ACCOUNT_NOT_MAPPED when no rule gives one."""
    return accounts_for(session, [(kind, expenditure_account_code or "")], on=on)[kind, expenditure_account_code or ""]


def goods_roles(session: Session, codes: Iterable[str], *, on: date) -> dict[str, str]:
    """What buying on each expenditure account makes when nobody says: FA where the mapping has a rule, else EXP."""
    rules = store.mappings_on(session, ["FA"], on)
    return {code: "FA" if any(rule.covers(code) for rule in rules) else "EXP" for code in codes}


def accounts_for(session: Session, wanted: Iterable[tuple[str, str]], *, on: date) -> dict[tuple[str, str], str]:
    """The accounts for several (role, budget code) pairs, with two queries in all."""
    pairs = sorted(set(wanted))
    rules = store.mappings_on(session, [kind for kind, _ in pairs], on)
    candidates: dict[tuple[str, str], list[str]] = {}
    for kind, expenditure_account_code in pairs:
        fitting = sorted(
            (rule for rule in rules if rule.role == kind and rule.covers(expenditure_account_code)),
            key=lambda rule: len(rule.expenditure_prefix),
            reverse=True,
        )
        # Only the most specific rule speaks: a fallback to a wider one would hide a gap in the chart.
        candidates[kind, expenditure_account_code] = fitting[0].candidates(expenditure_account_code) if fitting else []
    postable = store.postable_codes(session, (code for codes in candidates.values() for code in codes), on)
    found: dict[tuple[str, str], str] = {}
    for (kind, expenditure_account_code), codes in candidates.items():
        account_code = next((code for code in codes if code in postable), None)
        if account_code is None:
            raise AccountNotMapped(
                f"no account for role {kind} and expenditure account {expenditure_account_code or '(any)'} on {on}: "
                "add a rule to the account mapping, or the account that it names "
                f"({', '.join(codes) or 'there is no rule'})",
                metadata={"role": kind, "expenditure_account_code": expenditure_account_code, "on": str(on)},
            )
        found[kind, expenditure_account_code] = account_code
    return found
