"""Imprests and purchases from them as documents: what may come next, and by whom."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct
from services.finance.imprest import store

IMPREST = DocumentType(
    DocumentKind.IMPREST,
    "imprests",
    "finance.imprest.read",
    {
        "OPEN": (
            NextAct("CreateImprestVoucher", "finance.imprest_voucher.create", duty=False),
            NextAct("ReplenishImprest", "finance.imprest.create", duty=False),
            NextAct("SettleImprest", "finance.imprest.settle", apart=frozenset({"holder", "created"}), duty=False),
        )
    },
)


def _holder(session: Session, imprest_voucher_id: UUID) -> dict[str, frozenset[UUID]]:
    row = store.imprest(session, store.voucher(session, imprest_voucher_id).imprest_id)
    return {"holder": frozenset({row.holder_person_id})}


IMPREST_VOUCHER = DocumentType(
    DocumentKind.IMPREST_VOUCHER,
    "imprestVouchers",
    "finance.imprest.read",
    {
        "APPROVED": (
            NextAct(
                "PayImprestVoucher",
                "finance.imprest_voucher.pay",
                apart=frozenset({"created"}),
                only="holder",
                routed=True,
            ),
            NextAct("CancelImprestVoucher", "finance.imprest_voucher.create", onward=False),
        ),
        "PAID": (NextAct("ReplenishImprest", "finance.imprest.create", duty=False),),
    },
    also=_holder,
)
