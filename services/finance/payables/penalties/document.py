"""Penalties for late delivery as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct
from services.finance.payables.document import PAY
from services.finance.payables.penalties import store

_APPROVE, _CREATE = "finance.late_delivery_penalty.approve", "finance.late_delivery_penalty.create"
_MAKER = frozenset({"created"})

LATE_DELIVERY_PENALTY = DocumentType(
    DocumentKind.LATE_DELIVERY_PENALTY,
    "lateDeliveryPenalties",
    "finance.late_delivery_penalty.read",
    {
        "PROPOSED": (
            NextAct("ApproveLateDeliveryPenalty", _APPROVE, apart=_MAKER, routed=True),
            NextAct("RejectLateDeliveryPenalty", _APPROVE, apart=_MAKER, onward=False),
            NextAct("RecallLateDeliveryPenalty", _CREATE, onward=False),
        ),
        "APPROVED": (
            PAY,
            NextAct("ReduceLateDeliveryPenalty", _APPROVE, apart=_MAKER, deciders_apart=True, onward=False, duty=False),
        ),
    },
    carried_by=store.requested_for,
)
