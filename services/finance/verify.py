"""Whether finance's books hold, asked from outside by the reader's role (`kelola verify`)."""

from __future__ import annotations

from sqlalchemy import Connection

from chassis.told import Told, compare, numbered, told, versions, versions_that_were
from chassis.verify import Findings, Problem, together
from services.finance.approval import verify as approval
from services.finance.attachments import verify as attachments
from services.finance.billing import verify as billing
from services.finance.budget import verify as budget
from services.finance.budget.controls import verify as controls
from services.finance.budget.foreign import verify as foreign
from services.finance.budget.preparation import verify as preparation
from services.finance.documents import verify as documents
from services.finance.imprest import verify as imprest
from services.finance.ledger import verify as ledger
from services.finance.ledger.interfund import verify as interfund
from services.finance.ledger.joint import verify as joint
from services.finance.ledger.yearend import verify as year_end
from services.finance.payables import verify as payables
from services.finance.treasury import verify as treasury

_EVENTS = "kelola.finance.v1."
# InvoiceHeld is not here: an invoice is matched anew with every receipt, and held again when the reasons change.
TOLD = (
    Told(
        (f"{_EVENTS}AppropriationChanged",),
        "select appropriation_id as key, appropriation_id as born from appropriation where status = 'ACTIVE'"
        " union all select budget_change_id, budget_change_id from budget_change where status = 'APPROVED'",
    ),
    told(f"{_EVENTS}AttachmentAdded", "attachment", "attachment_id"),
    told(f"{_EVENTS}FundsAllotted", "allotment_order", "allotment_order_id"),
    told(f"{_EVENTS}FundsRefused", "funds_refusal", "document_id", born="funds_refusal_id"),
    told(f"{_EVENTS}InvoiceApproved", "invoice", "invoice_id", where="status in ('APPROVED', 'PAID')"),
    told(f"{_EVENTS}InvoiceSplit", "invoice", "invoice_id", where="split_from_invoice_id is not null"),
    told(
        f"{_EVENTS}WithholdingSlipIssued",
        "withholding_slip",
        "withholding_slip_id",
        where="slip_number is not null",
    ),
    told(
        f"{_EVENTS}LateInterestApproved",
        "late_interest_charge",
        "late_interest_charge_id",
        where="status = 'APPROVED'",
    ),
    told(f"{_EVENTS}LateDeliveryPenaltyAssessed", "late_delivery_penalty", "late_delivery_penalty_id"),
    told(
        f"{_EVENTS}LateDeliveryPenaltyApproved",
        "late_delivery_penalty",
        "late_delivery_penalty_id",
        where="approved_by_person_id is not null",
    ),
    told(
        f"{_EVENTS}LateDeliveryPenaltyReduced",
        "late_delivery_penalty",
        "late_delivery_penalty_id",
        where="reduced_by_person_id is not null",
    ),
    told(
        f"{_EVENTS}WithholdingRemitted",
        "withholding_remittance",
        "withholding_remittance_id",
        where="status = 'REMITTED'",
    ),
    told(
        f"{_EVENTS}WithholdingReceiptRecorded",
        "withholding_remittance",
        "withholding_remittance_id",
        where="receipt_number is not null",
    ),
    told(f"{_EVENTS}CreditOffsetApproved", "credit_offset", "credit_offset_id", where="status = 'APPROVED'"),
    told(f"{_EVENTS}CreditNoteApproved", "credit_note", "credit_note_id", where="journal_entry_id is not null"),
    told(
        f"{_EVENTS}ExpenditureRefunded",
        "credit_note",
        "credit_note_id",
        where="status = 'REFUNDED' and not earlier_year",
    ),
    told(f"{_EVENTS}PriorYearRefunded", "credit_note", "credit_note_id", where="status = 'REFUNDED' and earlier_year"),
    told(f"{_EVENTS}PaymentRequested", "payment_request", "payment_request_id"),
    told(
        f"{_EVENTS}PaymentAuthorised",
        "payment_request",
        "payment_request_id",
        where="authorised_by_person_id is not null",
    ),
    told(f"{_EVENTS}PaymentOrdered", "payment_order", "payment_order_id", where="order_number is not null"),
    told(f"{_EVENTS}PaymentMade", "payment_order", "payment_order_id", where="status = 'DEBITED'"),
    told(f"{_EVENTS}PaymentRejected", "payment_order", "payment_order_id", where="status in ('REJECTED', 'STOPPED')"),
    told(f"{_EVENTS}BillCertified", "bill", "bill_id", where="status = 'CERTIFIED'"),
    told(f"{_EVENTS}ImprestSettled", "imprest", "imprest_id", where="status = 'SETTLED'"),
    told(f"{_EVENTS}ApprovalEnded", "approval", "approval_id", where="status <> 'PENDING'"),
    told(f"{_EVENTS}BudgetChangeProposed", "budget_change", "budget_change_id"),
    told(
        f"{_EVENTS}BudgetChangeEnded",
        "budget_change",
        "budget_change_id",
        where="status in ('REJECTED', 'RECALLED')",
    ),
    versions(f"{_EVENTS}InvoiceExceptionChanged", table="invoice_exception", key="invoice_exception_id"),
    versions(f"{_EVENTS}CombinationRuleChanged", table="combination_rule", key="combination_rule_id"),
    versions(f"{_EVENTS}BudgetCeilingChanged", table="budget_ceiling", key="budget_ceiling_id"),
    versions(f"{_EVENTS}BudgetRequestChanged", table="budget_request", key="budget_request_id"),
    versions(f"{_EVENTS}ApprovalRulesChanged", table="approval_rule_change", key="approval_rule_change_id"),
    versions(f"{_EVENTS}BudgetControlChanged", table="budget_control_change", key="budget_control_change_id"),
    told(f"{_EVENTS}FundsWentOverLimit", "funds_over_limit", "document_id", born="funds_over_limit_id"),
    told(
        f"{_EVENTS}FiscalPeriodReopened",
        "fiscal_period_reopening",
        "fiscal_period_reopening_id",
        where="status = 'APPROVED'",
    ),
    told(
        f"{_EVENTS}FinancialStatementsIssued",
        "financial_statements join fiscal_year using (agency_id, year)",
        "fiscal_year_id",
    ),
    told(f"{_EVENTS}BalancesCarriedOver", "balance_carry_over", "balance_carry_over_id"),
    told(f"{_EVENTS}FiscalYearClosed", "fiscal_year_closing", "fiscal_year_closing_id"),
    told(f"{_EVENTS}ExchangeRateRecorded", "exchange_rate", "exchange_rate_id"),
    told(f"{_EVENTS}ForeignBalancesRevalued", "foreign_revaluation", "foreign_revaluation_id"),
    told(f"{_EVENTS}JournalTemplateCreated", "journal_template", "journal_template_id"),
    told(f"{_EVENTS}BankChargeBooked", "bank_charge", "bank_charge_id", where="status = 'APPROVED'"),
    told(f"{_EVENTS}PaymentReturned", "payment_return", "payment_return_id"),
    told(f"{_EVENTS}ReissuedPaymentMade", "payment_return", "payment_return_id", where="status = 'PAID'"),
)

NUMBERED = (
    numbered(*(f"{_EVENTS}Invoice{what}" for what in ("Approved", "Held", "Split")), table="invoice", key="invoice_id"),
    numbered(
        *(f"{_EVENTS}{what}" for what in ("CreditNoteApproved", "ExpenditureRefunded", "PriorYearRefunded")),
        table="credit_note",
        key="credit_note_id",
    ),
    numbered(
        f"{_EVENTS}PaymentRequested",
        f"{_EVENTS}PaymentAuthorised",
        table="payment_request",
        key="payment_request_id",
    ),
    numbered(
        *(f"{_EVENTS}Payment{what}" for what in ("Ordered", "Made", "Rejected")),
        table="payment_order",
        key="payment_order_id",
    ),
    numbered(f"{_EVENTS}ImprestVouchersValidated", f"{_EVENTS}ImprestSettled", table="imprest", key="imprest_id"),
    numbered(f"{_EVENTS}ApprovalAsked", f"{_EVENTS}ApprovalEnded", table="approval", key="approval_id"),
    numbered(f"{_EVENTS}BudgetOverrideChanged", table="budget_override", key="budget_override_id"),
    numbered(f"{_EVENTS}BudgetYearEndChanged", table="budget_year_end", key="budget_year_end_id"),
    numbered(
        f"{_EVENTS}MultiYearAuthorisationChanged",
        table="multi_year_authorisation",
        key="multi_year_authorisation_id",
    ),
    numbered(f"{_EVENTS}JournalTemplateEnded", table="journal_template", key="journal_template_id"),
    numbered(
        *(f"{_EVENTS}PaymentRun{what}" for what in ("Approved", "Exported", "Cancelled")),
        table="payment_run",
        key="payment_run_id",
    ),
    numbered(f"{_EVENTS}PaymentReissued", table="payment_return", key="payment_return_id"),
    numbered(f"{_EVENTS}BankEntryUnmatched", f"{_EVENTS}BankEntryMatched", table="bank_entry", key="bank_entry_id"),
)


def effects(connection: Connection) -> Findings:
    """I6: each effect and its one event, and each journal entry and movement of funds in one event."""
    return together(
        [
            compare(connection, TOLD),
            versions_that_were(connection, NUMBERED),
            ledger.entries_told(connection),
            budget.movements_told(connection),
        ]
    )


# What holds agency by agency, so that it can be asked behind the agency wall (jobs/proving.py).
PROOFS_OF_AN_AGENCY = (
    *(ledger.problems, interfund.problems, year_end.problems, budget.problems, foreign.problems, controls.problems),
    preparation.problems,
    *(payables.problems_of_an_agency, billing.problems, imprest.problems, documents.problems),
)


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: I1 to I4, F1 to F7, and the tie between ledger and funds."""
    return [
        *ledger.problems(connection),
        *year_end.problems(connection),
        *joint.problems(connection),
        *interfund.problems(connection),
        *attachments.problems(connection),
        *budget.problems(connection),
        *foreign.problems(connection),
        *controls.problems(connection),
        *preparation.problems(connection),
        *payables.problems(connection),
        *billing.problems(connection),
        *imprest.problems(connection),
        *treasury.problems(connection),
        *documents.problems(connection),
        *approval.problems(connection),
    ]
