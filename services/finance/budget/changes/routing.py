"""The route of a budget change through the approval matrix: by its kind, what moves, and every line that it touches."""

from __future__ import annotations

from sqlmodel import Session

from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind
from services.finance.approval.nodes import line_of
from services.finance.budget.changes.domain import Change, ChangeKind

_KINDS = {
    ChangeKind.SUPPLEMENTARY: DocumentKind.SUPPLEMENTARY_BUDGET,
    ChangeKind.VIREMENT: DocumentKind.VIREMENT,
    ChangeKind.FREEZE: DocumentKind.BUDGET_FREEZE,
    ChangeKind.UNFREEZE: DocumentKind.BUDGET_FREEZE,
}


def begin(session: Session, change: Change) -> None:
    """Give a proposed change its route. Its amount is what the lines gain or lose together, whichever is more."""
    new = [line.new_line for line in change.lines if line.new_line is not None]
    approval.begin_on_lines(
        session,
        _KINDS[change.kind],
        change.budget_change_id,
        change.agency_id,
        amount=Money(max(change.increase, change.decrease), change.currency),
        budget_line_ids={
            line_id
            for line in change.lines
            if line.new_line is None
            for line_id in (line.budget_line_id, line.from_line_id)
            if line_id is not None
        },
        maker_person_id=change.proposed_by,
        at=change.proposed_at,
        lines=map(line_of, new),
    )
