"""The finance service: its areas and what it stands on."""

from __future__ import annotations

from chassis.clock import Clock
from chassis.committer import Committer
from chassis.database import Database
from chassis.retention import RetentionEntrypoints
from services.finance.approval.entrypoints import ApprovalEntrypoints
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
from services.finance.classification.closing.entrypoints import ClosingEntrypoints
from services.finance.classification.entrypoints import ClassificationEntrypoints
from services.finance.imprest.entrypoints import ImprestEntrypoints
from services.finance.ledger.entrypoints import LedgerEntrypoints, post_group
from services.finance.ledger.rates.entrypoints import RateEntrypoints
from services.finance.ledger.schedule.entrypoints import ScheduleEntrypoints
from services.finance.ledger.yearend.entrypoints import YearEndEntrypoints
from services.finance.payables.credit_notes.entrypoints import CreditNoteEntrypoints
from services.finance.payables.entrypoints import PayablesEntrypoints
from services.finance.payables.late.entrypoints import LateInterestEntrypoints
from services.finance.payables.slips.entrypoints import WithholdingSlipEntrypoints
from services.finance.payables.ubl.entrypoints import InvoiceDocumentEntrypoints
from services.finance.tables import FinanceTable
from services.finance.treasury.entrypoints import BankEntrypoints, TreasuryEntrypoints


class FinanceService(
    ClassificationEntrypoints,
    ClosingEntrypoints,
    LedgerEntrypoints,
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
    CreditNoteEntrypoints,
    InvoiceDocumentEntrypoints,
    WithholdingSlipEntrypoints,
    LateInterestEntrypoints,
    BillingEntrypoints,
    ImprestEntrypoints,
    ApprovalEntrypoints,
    TreasuryEntrypoints,
    BankEntrypoints,
    RetentionEntrypoints,
):
    """Chart and calendar, general ledger, budget, payables and payments."""

    name = "finance"

    db = Database(FinanceTable)
    clock = Clock()
    postings = Committer(run=post_group)
