"""The finance service: its areas and what it stands on."""

from __future__ import annotations

from chassis.clock import Clock
from chassis.committer import Committer
from chassis.database import Database
from chassis.retention import RetentionEntrypoints
from services.finance.approval.changes.entrypoints import ApprovalRuleEntrypoints
from services.finance.approval.entrypoints import ApprovalEntrypoints
from services.finance.attachments.entrypoints import AttachmentEntrypoints
from services.finance.billing.entrypoints import BillingEntrypoints
from services.finance.budget.changes.entrypoints import BudgetChangeEntrypoints
from services.finance.budget.controls.entrypoints import BudgetControlEntrypoints
from services.finance.budget.entrypoints import BudgetEntrypoints
from services.finance.budget.foreign.entrypoints import FundsRevaluationEntrypoints
from services.finance.budget.overrides.entrypoints import BudgetOverrideEntrypoints
from services.finance.budget.preparation.ceilings.entrypoints import BudgetCeilingEntrypoints
from services.finance.budget.preparation.entrypoints import BudgetRequestEntrypoints
from services.finance.budget.yearend.entrypoints import BudgetYearEndEntrypoints
from services.finance.budget.years.entrypoints import MultiYearEntrypoints
from services.finance.classification.carryover.entrypoints import CarryOverEntrypoints
from services.finance.classification.classes.entrypoints import ReportingClassEntrypoints
from services.finance.classification.closing.entrypoints import ClosingEntrypoints
from services.finance.classification.combinations.entrypoints import CombinationRuleEntrypoints
from services.finance.classification.entrypoints import ClassificationEntrypoints
from services.finance.documents.entrypoints import DocumentStatusEntrypoints, RolesByPermission
from services.finance.imprest.entrypoints import ImprestEntrypoints
from services.finance.jobs.entrypoints import JobEntrypoints
from services.finance.ledger.entrypoints import LedgerEntrypoints, post_group
from services.finance.ledger.interfund.entrypoints import InterfundEntrypoints
from services.finance.ledger.joint.entrypoints import JointEntryEntrypoints
from services.finance.ledger.rates.entrypoints import RateEntrypoints
from services.finance.ledger.schedule.entrypoints import ScheduleEntrypoints
from services.finance.ledger.yearend.entrypoints import YearEndEntrypoints
from services.finance.payables.clocks.entrypoints import PaymentClockEntrypoints
from services.finance.payables.credit_notes.entrypoints import CreditNoteEntrypoints
from services.finance.payables.entrypoints import PayablesEntrypoints
from services.finance.payables.exceptions.entrypoints import InvoiceExceptionEntrypoints
from services.finance.payables.late.entrypoints import LateInterestEntrypoints
from services.finance.payables.offsets.entrypoints import CreditOffsetEntrypoints
from services.finance.payables.penalties.entrypoints import LateDeliveryPenaltyEntrypoints
from services.finance.payables.remittances.entrypoints import WithholdingRemittanceEntrypoints
from services.finance.payables.slips.entrypoints import WithholdingSlipEntrypoints
from services.finance.payables.ubl.entrypoints import InvoiceDocumentEntrypoints
from services.finance.payables.uninvoiced.entrypoints import UninvoicedReceiptEntrypoints
from services.finance.tables import FinanceTable
from services.finance.treasury.charges.entrypoints import BankChargeEntrypoints
from services.finance.treasury.entrypoints import BankEntrypoints, TreasuryEntrypoints


class FinanceService(
    ClassificationEntrypoints,
    CombinationRuleEntrypoints,
    CarryOverEntrypoints,
    ReportingClassEntrypoints,
    ClosingEntrypoints,
    LedgerEntrypoints,
    JointEntryEntrypoints,
    InterfundEntrypoints,
    AttachmentEntrypoints,
    ScheduleEntrypoints,
    RateEntrypoints,
    YearEndEntrypoints,
    BudgetEntrypoints,
    BudgetChangeEntrypoints,
    BudgetOverrideEntrypoints,
    FundsRevaluationEntrypoints,
    MultiYearEntrypoints,
    BudgetYearEndEntrypoints,
    BudgetCeilingEntrypoints,
    BudgetRequestEntrypoints,
    BudgetControlEntrypoints,
    PayablesEntrypoints,
    PaymentClockEntrypoints,
    UninvoicedReceiptEntrypoints,
    InvoiceExceptionEntrypoints,
    CreditNoteEntrypoints,
    CreditOffsetEntrypoints,
    InvoiceDocumentEntrypoints,
    WithholdingSlipEntrypoints,
    WithholdingRemittanceEntrypoints,
    LateInterestEntrypoints,
    LateDeliveryPenaltyEntrypoints,
    BillingEntrypoints,
    ImprestEntrypoints,
    ApprovalEntrypoints,
    ApprovalRuleEntrypoints,
    JobEntrypoints,
    DocumentStatusEntrypoints,
    TreasuryEntrypoints,
    BankEntrypoints,
    BankChargeEntrypoints,
    RetentionEntrypoints,
):
    """Chart and calendar, general ledger, budget, payables and payments."""

    name = "finance"

    db = Database(FinanceTable)
    clock = Clock()
    roles_of = RolesByPermission()
    postings = Committer(run=post_group)
