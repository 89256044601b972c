"""Ceilings and budget requests as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.budget_ceiling.approve", "finance.budget_ceiling.create"
_PROPOSER = frozenset({"proposed"})
_ASK, _REVIEW = "finance.budget_request.create", "finance.budget_request.review"
_MAKERS = frozenset({"maker"})

BUDGET_CEILING = DocumentType(
    DocumentKind.BUDGET_CEILING,
    "budgetCeilings",
    "finance.budget.read",
    {
        "PROPOSED": (
            NextAct("ApproveBudgetCeiling", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectBudgetCeiling", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallBudgetCeiling", _CREATE, only="proposed", onward=False),
        )
    },
)

BUDGET_REQUEST = DocumentType(
    DocumentKind.BUDGET_REQUEST,
    "budgetRequests",
    "finance.budget.read",
    {
        "DRAFT": (
            NextAct("SetBudgetRequestLines", _ASK),
            NextAct("SubmitBudgetRequest", _ASK),
        ),
        "SUBMITTED": (
            NextAct("ReviewBudgetRequest", _REVIEW, apart=_MAKERS, deciders_apart=True),
            NextAct("ReturnBudgetRequest", _REVIEW, apart=_MAKERS, onward=False),
            NextAct("RecallBudgetRequest", _ASK, only="submitted", onward=False),
        ),
        "REVIEWED": (
            NextAct(
                "ApproveBudgetRequest",
                "finance.budget_request.approve",
                apart=_MAKERS | {"reviewed"},
                routed=True,
            ),
            NextAct("ReturnBudgetRequest", _REVIEW, apart=_MAKERS, onward=False),
        ),
        "RETURNED": (NextAct("OpenBudgetRequestVersion", _ASK),),
        "RECALLED": (NextAct("OpenBudgetRequestVersion", _ASK),),
        "APPROVED": (
            NextAct("OpenBudgetRequestVersion", _ASK, onward=False),
            NextAct("AppropriateBudgetRequest", "finance.appropriation.import", onward=False),
        ),
    },
    written_anew=frozenset({"DRAFT", "RETURNED", "RECALLED"}),
)
