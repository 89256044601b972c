"""Offsets of credit notes as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.credit_offset.approve", "finance.credit_offset.create"
_MAKER = frozenset({"created"})

CREDIT_OFFSET = DocumentType(
    DocumentKind.CREDIT_OFFSET,
    "creditOffsets",
    "finance.credit_offset.read",
    {
        "PROPOSED": (
            NextAct("ApproveCreditOffset", _APPROVE, apart=_MAKER, routed=True),
            NextAct("RejectCreditOffset", _APPROVE, apart=_MAKER, onward=False),
            NextAct("RecallCreditOffset", _CREATE, onward=False),
        )
    },
)
