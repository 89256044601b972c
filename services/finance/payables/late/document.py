"""Interest on late payments as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct
from services.finance.payables import payment_store
from services.finance.payables.document import PAY

_APPROVE, _CREATE = "finance.late_interest_charge.approve", "finance.late_interest_charge.create"
_MAKER = frozenset({"created"})

LATE_INTEREST_CHARGE = DocumentType(
    DocumentKind.LATE_INTEREST_CHARGE,
    "lateInterestCharges",
    "finance.late_interest_charge.read",
    {
        "PROPOSED": (
            NextAct("ApproveLateInterestCharge", _APPROVE, apart=_MAKER, routed=True),
            NextAct("RejectLateInterestCharge", _APPROVE, apart=_MAKER, onward=False),
            NextAct("RecallLateInterestCharge", _CREATE, onward=False),
        ),
        "APPROVED": (PAY,),
    },
    carried_by=payment_store.requested_for,
)
