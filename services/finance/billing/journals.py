"""The journal of a certified bill (domain rules §2): Dr FA or EXP G / Cr ADV r, RET t, AP G - r - t."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.billing.domain import BilledLine
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Posted
from services.finance.payables.journals import Tag, credit, debit, entry


def post_bill(
    session: Session,
    *,
    agency_id: UUID,
    bill_id: UUID,
    bill_number: str,
    certified_on: date,
    lines: Sequence[tuple[BilledLine, Tag]],
    person_id: UUID,
) -> Posted:
    """What was built or done is an asset or an expense by its budget code; who is owed what stands beside it."""
    codes = {tag.account_code for _, tag in lines}
    goods = mapping.goods_roles(session, codes, on=certified_on)
    roles = [(role, code) for code in codes for role in (goods[code], "ADV", "RET", "AP")]
    accounts = mapping.accounts_for(session, roles, on=certified_on)
    made = []
    for one, tag in lines:
        code = tag.account_code
        made += [
            debit(Basis.ACCRUAL, accounts[goods[code], code], one.gross, tag),
            credit(Basis.ACCRUAL, accounts["ADV", code], one.recovered, tag),
            credit(Basis.ACCRUAL, accounts["RET", code], one.retained, tag),
            credit(Basis.ACCRUAL, accounts["AP", code], one.claimed, tag),
        ]
    return post_one(
        session,
        entry(agency_id, certified_on, f"Bill {bill_number} certified", "BILL", bill_id, made, person_id=person_id),
    )
