"""Overrides as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.budget_override.approve", "finance.budget_override.create"
_PROPOSER = frozenset({"proposed"})

BUDGET_OVERRIDE = DocumentType(
    DocumentKind.BUDGET_OVERRIDE,
    "budgetOverrides",
    "finance.budget.read",
    {
        "PROPOSED": (
            NextAct("ApproveBudgetOverride", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectBudgetOverride", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallBudgetOverride", _CREATE, only="proposed", onward=False),
        ),
        # It ends by itself when it is covered or expires; to end it early is nobody's duty.
        "OPEN": (NextAct("CloseBudgetOverride", _APPROVE, onward=False),),
    },
)
