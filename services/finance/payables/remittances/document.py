"""Remittances of what was withheld as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct
from services.finance.payables import payment_store
from services.finance.payables.document import PAY

_APPROVE, _CREATE = "finance.withholding_remittance.approve", "finance.withholding_remittance.create"
_MAKER = frozenset({"created"})

WITHHOLDING_REMITTANCE = DocumentType(
    DocumentKind.WITHHOLDING_REMITTANCE,
    "withholdingRemittances",
    "finance.withholding_remittance.read",
    {
        "PROPOSED": (
            NextAct("ApproveWithholdingRemittance", _APPROVE, apart=_MAKER, routed=True),
            NextAct("RejectWithholdingRemittance", _APPROVE, apart=_MAKER, onward=False),
            NextAct("RecallWithholdingRemittance", _CREATE, onward=False),
        ),
        "APPROVED": (PAY,),
        "REMITTED": (
            NextAct(
                "RecordWithholdingRemittanceReceipt",
                "finance.withholding_remittance.record_receipt",
                duty=False,
            ),
        ),
    },
    carried_by=payment_store.requested_for,
)
