"""Invoices, payment requests and payment orders as documents: what may come next, and by whom."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct
from services.finance.payables import payment_store
from services.finance.payables.clocks import usecases as clocks

_APPROVE, _CREATE = "finance.invoice.approve", "finance.invoice.create"
_MAKER = frozenset({"created"})
_VOID = NextAct("VoidInvoice", _CREATE, onward=False)
# Asked for when its day comes; a list of what is due is no desk.
PAY = NextAct("CreatePaymentRequest", "finance.payment_request.create", duty=False)

INVOICE = DocumentType(
    DocumentKind.INVOICE,
    "invoices",
    "finance.invoice.read",
    {
        "WAITING_RECEIPT": (NextAct("SplitInvoice", _APPROVE, apart=_MAKER, onward=False), _VOID),
        "HELD": (
            NextAct("ReleaseInvoiceHold", _APPROVE, apart=_MAKER, deciders_apart=True),
            NextAct("SplitInvoice", _APPROVE, apart=_MAKER),
            _VOID,
        ),
        "MATCHED": (NextAct("ApproveInvoice", _APPROVE, apart=_MAKER, routed=True), _VOID),
        "APPROVED": (PAY,),
    },
    carried_by=payment_store.requested_for,
)


def _holders(session: Session, payment_request_id: UUID) -> dict[str, frozenset[UUID]]:
    return {"holder": frozenset(payment_store.imprest_holders(session, payment_request_id))}


_REQUESTER = frozenset({"requested", "holder"})
_RETURN = NextAct("ReturnPaymentRequest", "finance.payment_request.return", apart=_REQUESTER, onward=False)
_WITHDRAW = NextAct("WithdrawPaymentRequest", "finance.payment_request.create", onward=False)

PAYMENT_REQUEST = DocumentType(
    DocumentKind.PAYMENT_REQUEST,
    "paymentRequests",
    "finance.payment_request.read",
    {
        "REQUESTED": (
            NextAct("VerifyPaymentRequest", "finance.payment_request.verify", apart=_REQUESTER, deciders_apart=True),
            _RETURN,
            _WITHDRAW,
        ),
        "VERIFIED": (
            NextAct(
                "AuthorisePaymentRequest",
                "finance.payment_request.authorise",
                apart=_REQUESTER | {"verified"},
                routed=True,
            ),
            _RETURN,
            _WITHDRAW,
        ),
        "AUTHORISED": (
            NextAct(
                "IssuePaymentOrder",
                "finance.payment_order.issue",
                apart=_REQUESTER | {"verified", "authorised"},
                deciders_apart=True,
            ),
            _RETURN,
            _WITHDRAW,
        ),
    },
    also=_holders,
    carried_by=payment_store.ordered_for,
    due_on=clocks.due_on,
)

PAYMENT_ORDER = DocumentType(
    DocumentKind.PAYMENT_ORDER,
    "paymentOrders",
    "finance.payment_order.read",
    {
        # UNNUMBERED: the numberer has it, and nobody else.
        "ISSUED": (
            NextAct("CreatePaymentRun", "finance.payment_run.create", duty=False),
            NextAct("RecordBankDebit", "finance.payment_order.debit", duty=False),
            NextAct("RejectPaymentOrder", "finance.payment_order.reject", onward=False),
            NextAct("StopPaymentOrder", "finance.payment_order.stop", onward=False),
        ),
        "DEBITED": (NextAct("RecordPaymentReturn", "finance.payment_return.create", onward=False),),
    },
    carried_by=payment_store.sent_by,
)
