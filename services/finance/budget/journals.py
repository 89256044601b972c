"""Journal entries of the budget: the activation of an appropriation, and services accepted by a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlmodel import Session

from chassis.ids import new_id
from services.finance.budget.domain import Movement
from services.finance.budget.movements import FundsAct
from services.finance.classification import mapping
from services.finance.classification.domain import Area
from services.finance.ledger import usecases as ledger
from services.finance.ledger.domain import Basis, JournalEntry, Line, Posted, Refused

if TYPE_CHECKING:
    from services.finance.budget.usecases import FundsOrder


def post_one(session: Session, entry: JournalEntry) -> Posted:
    """Post one entry in the caller's transaction; its refusal is raised."""
    verdict = ledger.post_each(session, [entry])[0]
    if isinstance(verdict, Refused):
        raise verdict.error
    return verdict


def post_authority(
    session: Session,
    *,
    agency_id: UUID,
    document_id: UUID,
    source_kind: str,
    description: str,
    by_fund: Mapping[str, int],
    currency: str,
    effective_on: date,
    person_id: UUID,
) -> Posted | None:
    """BUDGET Dr estimated change of SAL / Cr appropriation per fund, the other way round for what is taken back
    (domain rules §2). None when all is nil: a virement within a fund changes nothing in the ledger."""
    if not any(by_fund.values()):
        return None
    sal = mapping.account_for(session, "SAL", on=effective_on)
    apr = mapping.account_for(session, "APR", on=effective_on)
    lines = []
    for fund_code, amount in sorted(by_fund.items()):
        if amount:
            debit, credit = (sal, apr) if amount > 0 else (apr, sal)
            lines.append(Line(Basis.BUDGET, fund_code, debit, abs(amount), 0, currency))
            lines.append(Line(Basis.BUDGET, fund_code, credit, 0, abs(amount), currency))
    return post_one(
        session,
        JournalEntry(
            journal_entry_id=new_id(),
            agency_id=agency_id,
            effective_on=effective_on,
            accounting_on=None,
            description=description,
            source_kind=source_kind,
            source_id=document_id,
            lines=lines,
            person_id=person_id,
        ),
    )


def post_acceptance(
    session: Session, order: FundsOrder, act: FundsAct, spent: Sequence[Movement], *, person_id: UUID
) -> Posted:
    """ACCRUAL Dr expense (capital lines: asset) / Cr received-not-invoiced, tagged with line and document line."""
    codes = {act.lines[movement.budget_line_id].account_code for movement in spent}
    roles = mapping.goods_roles(session, codes, on=order.effective_on)
    wanted = {("GRNI", ""), *((roles[code], code) for code in codes)}
    accounts = mapping.accounts_for(session, wanted, on=order.effective_on)
    lines = []
    for movement in spent:
        budget_line = act.lines[movement.budget_line_id]
        account = accounts[roles[budget_line.account_code], budget_line.account_code]
        tags: dict[str, Any] = {
            "budget_line_id": movement.budget_line_id,
            "funds_movement_id": movement.funds_movement_id,
            "document_line_id": movement.document_line_id,
        }
        amount, currency, fund = movement.changes.expended, budget_line.currency, budget_line.fund_code
        lines.append(Line(Basis.ACCRUAL, fund, account, amount, 0, currency, **tags))
        lines.append(Line(Basis.ACCRUAL, fund, accounts["GRNI", ""], 0, amount, currency, **tags))
    return post_one(
        session,
        JournalEntry(
            journal_entry_id=new_id(),
            agency_id=order.agency_id,
            effective_on=order.effective_on,
            accounting_on=None,
            description=f"Accepted: {order.document.document_number}",
            source_kind=order.document.kind.value,
            source_id=order.document.document_id,
            lines=lines,
            area=Area.PAYABLES,
            person_id=person_id,
        ),
    )
