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
from services.finance.payables.credit_notes.exchange import domain as exchange
from services.finance.payables.credit_notes.exchange.domain import Back
from services.finance.payables.payment_store import PayablePart


def earlier_year(line: Line, fiscal_year: int, *, paid_on: date) -> bool:
    """Whether the expenditure was realised before `fiscal_year`, or its line has ended with its year."""
    realised_in = line.fiscal_year if line.span is None else fiscal_calendar().year_of(paid_on)
    return realised_in != fiscal_year or line.status is LineStatus.CLOSED


def back(act: FundsAct, note: Row[Any], line: CreditLine, part: PayablePart, worth: int) -> Back:
    """What `worth` in the currency of the books that came for one line of a note does to its expenditure."""
    if note.functional_currency is None:
        return Back(worth, 0, line.cleared if note.replaced else 0)
    position = act.positions.get(Key(part.document_line_id, part.budget_line_id))
    paid = 0 if position is None else position.buckets.paid
    return exchange.back(line, worth, paid=paid, replaced=note.replaced)


def refund(act: FundsAct, note: Row[Any], line: CreditLine, part: PayablePart, one: Back) -> UUID:
    """P -> available by what came back for one line of a note, or P -> O where its goods come again; the movement."""
    movement = act.refund(
        Key(part.document_line_id, part.budget_line_id),
        one.spent,
        replaced=one.again,
        quantity=line.quantity,
        foreign=(line.amount, line.cleared if note.replaced else 0),
    )
    return movement.funds_movement_id


def released(line: CreditLine, part: PayablePart, one: Back) -> int:
    """What may be requested again (F3): what came back, in a foreign currency never more than was requested for it."""
    if part.requested_minor is None or part.foreign_minor is None:
        return one.spent
    return min(one.spent, exchange.share(part.requested_minor, line.amount, part.foreign_minor))
