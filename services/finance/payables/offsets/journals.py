"""Journal entries of an offset: nothing of it is cash (domain rules §3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Posted
from services.finance.payables.journals import Tag, credit, debit, entry

SOURCE_KIND = "CREDIT_OFFSET"


def post_offset(
    session: Session,
    *,
    agency_id: UUID,
    credit_offset_id: UUID,
    number: str,
    effective_on: date,
    owed: Sequence[tuple[Tag, Tag, int]],
    owing: Sequence[tuple[Tag, Tag, int]],
    person_id: UUID,
) -> Posted:
    """ACCRUAL Dr AP / Cr receivable; BUDGET Dr BEL of what is paid / Cr BEL of what comes back; the former.

    `owed` and `owing` are (tag on the ACCRUAL basis, tag on the BUDGET basis, amount): each line keeps its own gross
    expenditure and refund.
    """
    found = mapping.accounts_for(
        session,
        [
            ("REFUND", ""),
            *(("AP", tag.account_code) for tag, _, _ in owed),
            *(("BEL", tag.account_code) for tag, _, _ in (*owed, *owing)),
        ],
        on=effective_on,
    )
    accrual = [debit(Basis.ACCRUAL, found["AP", tag.account_code], amount, tag) for tag, _, amount in owed]
    accrual += [credit(Basis.ACCRUAL, found["REFUND", ""], amount, tag) for tag, _, amount in owing]
    realised = [debit(Basis.BUDGET, found["BEL", tag.account_code], amount, tag) for _, tag, amount in owed]
    realised += [credit(Basis.BUDGET, found["BEL", tag.account_code], amount, tag) for _, tag, amount in owing]
    text = f"Credit note {number} set off"
    posted = post_one(
        session, entry(agency_id, effective_on, text, SOURCE_KIND, credit_offset_id, accrual, person_id=person_id)
    )
    post_one(
        session, entry(agency_id, effective_on, text, SOURCE_KIND, credit_offset_id, realised, person_id=person_id)
    )
    return posted
