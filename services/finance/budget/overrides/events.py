"""What happened to an override or over a limit, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from services.finance.budget.domain import Document
from services.finance.budget.overrides.domain import Override


@dataclass(frozen=True)
class BudgetOverrideChanged:
    """An override was proposed, opened, shrunk, ended, rejected or recalled."""

    override: Override


@dataclass(frozen=True)
class FundsOverLimit:
    """A document passed a node that only warns and left it below zero; `sequence` counts its movements."""

    agency_id: UUID
    document: Document
    budget_line_id: UUID
    currency: str
    asked_minor: int
    available_minor: int
    sequence: int
