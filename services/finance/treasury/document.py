"""Payment runs, returned payments and payees' accounts as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_MAKER = frozenset({"created"})
_CANCEL = NextAct("CancelPaymentRun", "finance.payment_run.create", onward=False)

PAYMENT_RUN = DocumentType(
    DocumentKind.PAYMENT_RUN,
    "paymentRuns",
    "finance.payment_run.read",
    {
        "DRAFT": (NextAct("ApprovePaymentRun", "finance.payment_run.approve", apart=_MAKER, routed=True), _CANCEL),
        "APPROVED": (NextAct("ExportPaymentRun", "finance.payment_run.export"), _CANCEL),
        # The bank has it: its answer is a file.
        "EXPORTED": (NextAct("ImportBankFile", "finance.bank_file.import", duty=False),),
    },
)

PAYMENT_RETURN = DocumentType(
    DocumentKind.PAYMENT_RETURN,
    "paymentReturns",
    "finance.payment_return.read",
    {"RETURNED": (NextAct("ReissuePayment", "finance.payment_return.reissue"),)},
)

PAYEE_ACCOUNT = DocumentType(
    DocumentKind.PAYEE_ACCOUNT,
    "payeeAccounts",
    "finance.payee_account.read",
    {
        "PROPOSED": (
            NextAct("ApprovePayeeAccount", "finance.payee_account.approve", apart=_MAKER, routed=True),
            NextAct("ClosePayeeAccount", "finance.payee_account.create", onward=False),
        ),
        "APPROVED": (NextAct("ClosePayeeAccount", "finance.payee_account.create", onward=False),),
    },
)
