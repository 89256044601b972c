"""The end of a budget year as a document: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.budget_year_end.approve", "finance.budget_year_end.create"
_PROPOSER = frozenset({"proposed"})

BUDGET_YEAR_END = DocumentType(
    DocumentKind.BUDGET_YEAR_END,
    "budgetYearEnds",
    "finance.budget.read",
    {
        "PROPOSED": (
            NextAct("ApproveBudgetYearEnd", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectBudgetYearEnd", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallBudgetYearEnd", _CREATE, only="proposed", onward=False),
        )
    },
)
