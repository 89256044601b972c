"""What happened to a budget change, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.budget.changes.domain import Change
from services.finance.budget.domain import Movement


@dataclass(frozen=True)
class BudgetChangeProposed:
    """A change waits for another person's decision."""

    change: Change


@dataclass(frozen=True)
class BudgetChangeApproved:
    """A change is in force, with what it did line by line."""

    change: Change
    movements: tuple[Movement, ...]


@dataclass(frozen=True)
class BudgetChangeEnded:
    """A change was rejected or recalled; nothing moved."""

    change: Change
