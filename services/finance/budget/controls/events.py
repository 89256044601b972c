"""What happened to a change of control, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.budget.controls.domain import ControlChange


@dataclass(frozen=True)
class BudgetControlChanged:
    """A change of control was proposed, approved, rejected or recalled; lines change with the approval alone."""

    change: ControlChange
