"""The journal of a certified bill (domain rules §2): Dr FA or EXP G / Cr ADV r, RET t, AP G - r - t."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.money import Money
from services.finance.billing.domain import BilledLine, InBooks
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Posted
from services.finance.payables.journals import Tag, credit, debit, entry


@dataclass(frozen=True)
class Billed:
    """One line of a bill for its journal; `foreign` is the contract's currency when the books have another one."""

    line: BilledLine
    worth: InBooks
    tag: Tag
    foreign: str | None = None

    def own(self, minor: int) -> Money | None:
        """What is owed in the contract's own currency: monetary, unlike what was built and what was advanced."""
        return None if self.foreign is None else Money(minor, self.foreign)


def post_bill(
    session: Session,
    *,
    agency_id: UUID,
    bill_id: UUID,
    bill_number: str,
    certified_on: date,
    lines: Sequence[Billed],
    person_id: UUID,
) -> Posted:
    """What was built or done is an asset or an expense by its budget code; who is owed what stands beside it."""
    codes = {one.tag.account_code for one in lines}
    goods = mapping.goods_roles(session, codes, on=certified_on)
    roles = [(role, code) for code in codes for role in (goods[code], "ADV", "RET", "AP")]
    accounts = mapping.accounts_for(session, roles, on=certified_on)
    made = []
    for one in lines:
        tag, worth = one.tag, one.worth
        code = tag.account_code
        made += [
            debit(Basis.ACCRUAL, accounts[goods[code], code], worth.gross, tag),
            credit(Basis.ACCRUAL, accounts["ADV", code], worth.recovered, tag),
            credit(Basis.ACCRUAL, accounts["RET", code], worth.retained, tag, one.own(one.line.retained)),
            credit(Basis.ACCRUAL, accounts["AP", code], worth.claimed, tag, one.own(one.line.claimed)),
        ]
    return post_one(
        session,
        entry(agency_id, certified_on, f"Bill {bill_number} certified", "BILL", bill_id, made, person_id=person_id),
    )
