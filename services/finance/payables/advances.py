"""Advances in a foreign currency on their way through a payment order: non-monetary, they stand at what was paid."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from services.finance.budget.domain import Key
from services.finance.budget.movements import FundsAct
from services.finance.payables import exchange_store
from services.finance.payables.domain import Source
from services.finance.payables.journals import Owed
from services.finance.payables.payment_store import PayablePart


def bring_to_order(act: FundsAct, parts: Sequence[PayablePart]) -> None:
    """What an advance takes of its contract is worth what the order pays: REVALUE of O, and the line bears it."""
    for part in parts:
        if part.source is Source.PREPAYMENT and part.foreign_minor is not None:
            key = Key(part.document_line_id, part.budget_line_id)
            act.bring_obligated_to(key, part.foreign_minor, part.amount_minor)


def bearing(owed: Sequence[Owed], differences: Sequence[int]) -> list[tuple[Owed, int]]:
    """The advances among the parts of a debited order, with what left for them beyond the order."""
    return [
        (one, more) for one, more in zip(owed, differences, strict=True) if more and one.source is Source.PREPAYMENT
    ]


def keep(session: Session, paid: Sequence[PayablePart], differences: Sequence[int]) -> None:
    """Note on the payables of advances what really left, which bills will recover."""
    changed = [
        (
            *(one.payable_id, one.document_line_id, one.budget_line_id),
            *(one.amount_minor, one.amount_minor - one.tax_minor, one.tax_minor),
        )
        for one, more in zip(paid, differences, strict=True)
        if more and one.source is Source.PREPAYMENT
    ]
    if changed:
        exchange_store.save_parts(session, changed)
