"""Every kind of document of finance, as its area declares it: the table of contents."""

from __future__ import annotations

from services.finance.approval.changes.document import APPROVAL_RULE_CHANGE
from services.finance.billing.document import BILL
from services.finance.budget.changes.document import BUDGET_CHANGE
from services.finance.budget.controls.document import BUDGET_CONTROL_CHANGE
from services.finance.budget.document import APPROPRIATION
from services.finance.budget.overrides.document import BUDGET_OVERRIDE
from services.finance.budget.preparation.document import BUDGET_CEILING, BUDGET_REQUEST
from services.finance.budget.yearend.document import BUDGET_YEAR_END
from services.finance.budget.years.document import MULTI_YEAR_AUTHORISATION
from services.finance.classification.closing.document import FISCAL_PERIOD_REOPENING
from services.finance.documents.domain import DocumentKind, DocumentType
from services.finance.imprest.document import IMPREST, IMPREST_VOUCHER
from services.finance.payables.credit_notes.document import CREDIT_NOTE
from services.finance.payables.document import INVOICE, PAYMENT_ORDER, PAYMENT_REQUEST
from services.finance.payables.late.document import LATE_INTEREST_CHARGE
from services.finance.payables.offsets.document import CREDIT_OFFSET
from services.finance.payables.penalties.document import LATE_DELIVERY_PENALTY
from services.finance.payables.remittances.document import WITHHOLDING_REMITTANCE
from services.finance.treasury.charges.document import BANK_CHARGE
from services.finance.treasury.document import PAYEE_ACCOUNT, PAYMENT_RETURN, PAYMENT_RUN

KINDS: dict[DocumentKind, DocumentType] = {
    one.kind: one
    for one in (
        *(APPROPRIATION, BUDGET_CHANGE, BUDGET_OVERRIDE, BUDGET_CEILING, BUDGET_REQUEST, BUDGET_CONTROL_CHANGE),
        *(BUDGET_YEAR_END, MULTI_YEAR_AUTHORISATION, FISCAL_PERIOD_REOPENING, APPROVAL_RULE_CHANGE),
        *(INVOICE, CREDIT_NOTE, BILL, PAYMENT_REQUEST, PAYMENT_ORDER, IMPREST, IMPREST_VOUCHER),
        *(PAYMENT_RUN, PAYMENT_RETURN, PAYEE_ACCOUNT, WITHHOLDING_REMITTANCE, LATE_INTEREST_CHARGE, BANK_CHARGE),
        *(CREDIT_OFFSET, LATE_DELIVERY_PENALTY),
    )
}
