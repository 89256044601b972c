"""Changes of control as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.budget_control.approve", "finance.budget_control.create"
_PROPOSER = frozenset({"proposed"})

BUDGET_CONTROL_CHANGE = DocumentType(
    DocumentKind.BUDGET_CONTROL_CHANGE,
    "budgetControlChanges",
    "finance.budget.read",
    {
        "PROPOSED": (
            NextAct("ApproveBudgetControlChange", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectBudgetControlChange", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallBudgetControlChange", _CREATE, only="proposed", onward=False),
        )
    },
)
