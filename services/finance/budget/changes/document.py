"""Budget changes as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.budget_change.approve", "finance.budget_change.create"
_PROPOSER = frozenset({"proposed"})

BUDGET_CHANGE = DocumentType(
    DocumentKind.BUDGET_CHANGE,
    "budgetChanges",
    "finance.budget.read",
    {
        "PROPOSED": (
            NextAct("ApproveBudgetChange", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectBudgetChange", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallBudgetChange", _CREATE, only="proposed", onward=False),
        )
    },
)
