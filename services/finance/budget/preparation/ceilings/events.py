"""What happened to a ceiling document, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.budget.preparation.ceilings.domain import Ceiling


@dataclass(frozen=True)
class BudgetCeilingChanged:
    """A ceiling document was proposed, approved, rejected or recalled."""

    ceiling: Ceiling
