"""Appropriations as documents: what may come next, and by whom."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from services.finance.budget.preparation import store as preparation
from services.finance.documents.domain import DocumentKind, DocumentType, NextAct


def _request_makers(session: Session, appropriation_id: UUID) -> dict[str, frozenset[UUID]]:
    return {"request_maker": preparation.makers_of_appropriation(session, appropriation_id)}


APPROPRIATION = DocumentType(
    DocumentKind.APPROPRIATION,
    "appropriations",
    "finance.budget.read",
    {
        "DRAFT": (
            NextAct("ImportAppropriation", "finance.appropriation.import", onward=False),
            NextAct(
                "ActivateAppropriation",
                "finance.appropriation.activate",
                apart=frozenset({"imported", "request_maker"}),
                routed=True,
            ),
            NextAct("WithdrawAppropriation", "finance.appropriation.import", onward=False),
        ),
        # A release is a document of its own, and no duty of the appropriation's.
        "ACTIVE": (NextAct("AllotFunds", "finance.budget.allot", onward=False),),
    },
    also=_request_makers,
)
