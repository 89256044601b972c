"""Credit notes as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

CREDIT_NOTE = DocumentType(
    DocumentKind.CREDIT_NOTE,
    "creditNotes",
    "finance.credit_note.read",
    {
        "REGISTERED": (
            NextAct("ApproveCreditNote", "finance.credit_note.approve", apart=frozenset({"created"}), routed=True),
            NextAct("WithdrawCreditNote", "finance.credit_note.create", onward=False),
        ),
        # The creditor pays it back; his payment is recorded when it comes.
        "RECEIVABLE": (
            NextAct("RecordCreditNoteRefund", "finance.credit_note.refund", duty=False),
            NextAct("CreateCreditOffset", "finance.credit_offset.create", onward=False),
        ),
    },
)
