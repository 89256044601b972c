"""Contracts of several years as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.multi_year.approve", "finance.multi_year.create"
_PROPOSER = frozenset({"proposed"})

MULTI_YEAR_AUTHORISATION = DocumentType(
    DocumentKind.MULTI_YEAR_AUTHORISATION,
    "multiYearAuthorisations",
    "finance.budget.read",
    {
        "PROPOSED": (
            NextAct("ApproveMultiYearAuthorisation", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectMultiYearAuthorisation", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallMultiYearAuthorisation", _CREATE, only="proposed", onward=False),
        )
    },
)
