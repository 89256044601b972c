"""What happened to a budget request, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.budget.preparation.domain import Request


@dataclass(frozen=True)
class BudgetRequestChanged:
    """A request was opened, handed in, reviewed, returned, approved, opened anew, or became an appropriation."""

    request: Request
