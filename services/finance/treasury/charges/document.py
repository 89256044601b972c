"""Fees and interest of the bank as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE = "finance.bank_charge.approve"
_MAKER = frozenset({"created"})

BANK_CHARGE = DocumentType(
    DocumentKind.BANK_CHARGE,
    "bankCharges",
    "finance.bank_charge.read",
    {
        "PROPOSED": (
            NextAct("ApproveBankCharge", _APPROVE, apart=_MAKER, routed=True),
            NextAct("RejectBankCharge", _APPROVE, apart=_MAKER, onward=False),
        )
    },
)
