"""Bills as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct
from services.finance.payables import payment_store
from services.finance.payables.document import PAY

_MAKER = frozenset({"created"})

BILL = DocumentType(
    DocumentKind.BILL,
    "bills",
    "finance.bill.read",
    {
        "REGISTERED": (
            NextAct("CertifyBill", "finance.bill.certify", apart=_MAKER, routed=True),
            NextAct("RejectBill", "finance.bill.certify", apart=_MAKER, onward=False),
        ),
        "CERTIFIED": (PAY,),
    },
    carried_by=payment_store.requested_for,
)
