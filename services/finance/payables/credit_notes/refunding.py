"""What a refund does to funds: the same whether money comes back or a debt is set off (domain rules §2 and §3)."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from services.finance.budget.domain import Key, Line, LineStatus
from services.finance.budget.movements import FundsAct
from services.finance.classification.pack import fiscal_calendar
from services.finance.payables.credit_notes.domain import CreditLine
from services.finance.payables.payment_store import PayablePart


def earlier_year(line: Line, fiscal_year: int, *, paid_on: date) -> bool:
    """Whether the expenditure was realised before `fiscal_year`, or its line has ended with its year."""
    realised_in = line.fiscal_year if line.span is None else fiscal_calendar().year_of(paid_on)
    return realised_in != fiscal_year or line.status is LineStatus.CLOSED


def refund(act: FundsAct, note: Row[Any], line: CreditLine, part: PayablePart) -> UUID:
    """P -> available by one line of a note, or P -> O where its goods come again; the movement."""
    movement = act.refund(
        Key(part.document_line_id, part.budget_line_id),
        line.amount,
        replaced=line.cleared if note.replaced else 0,
        quantity=line.quantity,
    )
    return movement.funds_movement_id
