"""Journal entries of an offset: nothing of it is cash (domain rules §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.money import Money
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line, Posted
from services.finance.payables.journals import Tag, credit, debit, entry

SOURCE_KIND = "CREDIT_OFFSET"


@dataclass(frozen=True)
class Side:
    """One line of either side: its tags on both bases, what it stood at (ACCRUAL) and what it moves (BUDGET).

    `own` is what it was in the creditor's currency, when that is not the books'; `revenue` what came back beyond what
    the line had paid.
    """

    accrual: Tag
    budget: Tag
    carried: int
    moved: int
    own: Money | None = None
    revenue: int = 0


def post_offset(
    session: Session,
    *,
    agency_id: UUID,
    credit_offset_id: UUID,
    number: str,
    effective_on: date,
    owed: Sequence[Side],
    owing: Sequence[Side],
    person_id: UUID,
) -> Posted:
    """ACCRUAL Dr AP / Cr receivable; BUDGET Dr BEL of what is paid / Cr BEL of what comes back; the former.

    Each line keeps its own gross expenditure and refund. In a foreign currency the two stood at different amounts:
    Cr FXD (a loss: Dr) by what was owed beyond what is owed back, and the line that paid names it.
    """
    earned = sum(one.revenue for one in owing)
    gained = sum(one.carried for one in owed) - sum(one.carried for one in owing)
    found = mapping.accounts_for(
        session,
        [
            ("REFUND", ""),
            *(("AP", one.accrual.account_code) for one in owed),
            *(("BEL", one.budget.account_code) for one in (*owed, *owing)),
            *([("FXD", "")] if gained else []),
            *([("REV-REFUND", "")] if earned else []),
        ],
        on=effective_on,
    )
    accrual = [
        debit(Basis.ACCRUAL, found["AP", one.accrual.account_code], one.carried, one.accrual, one.own) for one in owed
    ]
    accrual += [credit(Basis.ACCRUAL, found["REFUND", ""], one.carried, one.accrual, one.own) for one in owing]
    if gained:
        accrual.append(credit(Basis.ACCRUAL, found["FXD", ""], gained, owed[0].accrual))
    realised = [debit(Basis.BUDGET, found["BEL", one.budget.account_code], one.moved, one.budget) for one in owed]
    realised += [credit(Basis.BUDGET, found["BEL", one.budget.account_code], one.moved, one.budget) for one in owing]
    if earned:
        tag = owing[0].budget
        realised.append(Line(Basis.BUDGET, tag.fund_code, found["REV-REFUND", ""], 0, earned, tag.currency))
    text = f"Credit note {number} set off"
    posted = post_one(
        session, entry(agency_id, effective_on, text, SOURCE_KIND, credit_offset_id, accrual, person_id=person_id)
    )
    post_one(
        session, entry(agency_id, effective_on, text, SOURCE_KIND, credit_offset_id, realised, person_id=person_id)
    )
    return posted
