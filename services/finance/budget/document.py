"""Appropriations as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

APPROPRIATION = DocumentType(
    DocumentKind.APPROPRIATION,
    "appropriations",
    "finance.budget.read",
    {
        "DRAFT": (
            NextAct("ImportAppropriation", "finance.appropriation.import", onward=False),
            NextAct("ActivateAppropriation", "finance.appropriation.activate", apart=frozenset({"imported"})),
        ),
        # A release is a document of its own, and no duty of the appropriation's.
        "ACTIVE": (NextAct("AllotFunds", "finance.budget.allot", onward=False),),
    },
)
