"""Held invoices with an owner and a deadline; remittances of what payments withheld;
late interest that is charged; fees and interest of the bank; credit notes that are
set off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0014"
down_revision = "finance_0013"


def upgrade() -> None:
    """Make the tables, put them behind the agency wall, and let payables be remittances and late interest."""
    _let_payables_be_more()
    _create_exceptions()
    _create_remittances()
    _create_late_interest_charges()
    _create_bank_charges()
    _create_offsets()


def downgrade() -> None:
    """Who decided what of a held invoice is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions are not taken back; restore a backup")


def _let_payables_be_more() -> None:
    for name, rule in (
        (
            "source",
            "source in ('INVOICE', 'PAYROLL', 'EMPLOYER_CONTRIBUTION', 'PREPAYMENT', 'BILL', 'RETENTION', 'IMPREST',"
            " 'REPLENISHMENT', 'REMITTANCE', 'LATE_INTEREST')",
        ),
        ("fund_of_cash", "(fund_code is not null) = (source in ('IMPREST', 'REPLENISHMENT', 'REMITTANCE'))"),
    ):
        op.drop_constraint(op.f(f"ck_payable_{name}"), "payable", type_="check")
        op.create_check_constraint(op.f(f"ck_payable_{name}"), "payable", rule)


def _create_exceptions() -> None:
    op.create_table(
        "invoice_exception",
        sa.Column("invoice_exception_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_invoice_number", sa.Text(), nullable=False),
        sa.Column("registered_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("owner_person_id", sa.Uuid(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("supplier_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status in ('OPEN', 'CLOSED')", name=op.f("ck_invoice_exception_status")),
        sa.CheckConstraint(
            "outcome in ('RESOLVED', 'RELEASED', 'REJECTED', 'WITHDRAWN')", name=op.f("ck_invoice_exception_outcome")
        ),
        sa.CheckConstraint(
            "(status = 'CLOSED') = (outcome is not null) and (status = 'CLOSED') = (closed_at is not null)",
            name=op.f("ck_invoice_exception_closed_with_an_outcome"),
        ),
        sa.CheckConstraint(
            "outcome not in ('RELEASED', 'REJECTED') or closed_by_person_id <> registered_by_person_id",
            name=op.f("ck_invoice_exception_registrant_decides_nothing"),
        ),
        sa.PrimaryKeyConstraint("invoice_exception_id", name=op.f("pk_invoice_exception")),
    )
    op.create_index(
        "uq_invoice_exception_open",
        "invoice_exception",
        ["invoice_id"],
        unique=True,
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    op.create_index(
        "ix_invoice_exception_list", "invoice_exception", ["agency_id", "invoice_exception_id"], unique=False
    )
    op.create_index(
        "ix_invoice_exception_owner",
        "invoice_exception",
        ["owner_person_id", "invoice_exception_id"],
        unique=False,
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    op.create_table(
        "invoice_exception_step",
        sa.Column("invoice_exception_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("by_person_id", sa.Uuid(), nullable=True),
        sa.Column("owner_person_id", sa.Uuid(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "action in ('OPENED', 'REASONS_CHANGED', 'ASSIGNED', 'SUPPLIER_ASKED', 'CLOSED')",
            name=op.f("ck_invoice_exception_step_action"),
        ),
        sa.PrimaryKeyConstraint("invoice_exception_id", "version", name=op.f("pk_invoice_exception_step")),
    )
    migrate.secure(op, "finance", "invoice_exception")
    migrate.secure(op, "finance", "invoice_exception_step", app="select, insert")


def _create_remittances() -> None:
    op.create_table(
        "withholding_remittance",
        sa.Column("withholding_remittance_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("withholding_code", sa.Text(), nullable=False),
        sa.Column("creditor", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("withheld_to", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("end_explanation", sa.Text(), nullable=True),
        sa.Column("payable_id", sa.Uuid(), nullable=True),
        sa.Column("remitted_on", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED', 'REMITTED')",
            name=op.f("ck_withholding_remittance_status"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_withholding_remittance_above_zero")),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_withholding_remittance_maker_is_not_checker")
        ),
        sa.CheckConstraint(
            "(status in ('APPROVED', 'REMITTED')) = (payable_id is not null)",
            name=op.f("ck_withholding_remittance_approved_is_owed"),
        ),
        sa.CheckConstraint(
            "(status = 'REMITTED') = (remitted_on is not null)",
            name=op.f("ck_withholding_remittance_remitted_on_a_day"),
        ),
        sa.PrimaryKeyConstraint("withholding_remittance_id", name=op.f("pk_withholding_remittance")),
    )
    op.create_index(
        "ix_withholding_remittance_list",
        "withholding_remittance",
        ["agency_id", "withholding_remittance_id"],
        unique=False,
    )
    op.create_index(
        "uq_withholding_remittance_payable",
        "withholding_remittance",
        ["payable_id"],
        unique=True,
        postgresql_where=sa.text("payable_id is not null"),
    )
    op.create_table(
        "withholding_remittance_item",
        sa.Column("withholding_remittance_id", sa.Uuid(), nullable=False),
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("withholding_code", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_withholding_remittance_item_above_zero")),
        sa.PrimaryKeyConstraint(
            "withholding_remittance_id", "payment_order_id", name=op.f("pk_withholding_remittance_item")
        ),
    )
    op.create_index(
        "uq_withholding_remittance_item_live",
        "withholding_remittance_item",
        ["payment_order_id", "withholding_code", "fund_code"],
        unique=True,
        postgresql_where=sa.text("live"),
    )
    for table in ("withholding_remittance", "withholding_remittance_item"):
        migrate.secure(op, "finance", table)


def _create_late_interest_charges() -> None:
    op.create_table(
        "late_interest_charge",
        sa.Column("late_interest_charge_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("late_payable_id", sa.Uuid(), nullable=False),
        sa.Column("source_document_number", sa.Text(), nullable=False),
        sa.Column("creditor", sa.Text(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("end_explanation", sa.Text(), nullable=True),
        sa.Column("payable_id", sa.Uuid(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_late_interest_charge_status")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_late_interest_charge_above_zero")),
        sa.CheckConstraint("until_on >= from_on", name=op.f("ck_late_interest_charge_days")),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_late_interest_charge_maker_is_not_checker")
        ),
        sa.CheckConstraint(
            "(status = 'APPROVED') = (payable_id is not null)"
            " and (status = 'APPROVED') = (journal_entry_id is not null)",
            name=op.f("ck_late_interest_charge_approved_is_posted"),
        ),
        sa.PrimaryKeyConstraint("late_interest_charge_id", name=op.f("pk_late_interest_charge")),
    )
    op.create_index(
        "uq_late_interest_charge_live",
        "late_interest_charge",
        ["late_payable_id", "from_on"],
        unique=True,
        postgresql_where=sa.text("status in ('PROPOSED', 'APPROVED')"),
    )
    op.create_index(
        "ix_late_interest_charge_list", "late_interest_charge", ["agency_id", "late_interest_charge_id"], unique=False
    )
    migrate.secure(op, "finance", "late_interest_charge")


def _create_bank_charges() -> None:
    op.add_column("bank_entry", sa.Column("transaction_code", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "bank_charge",
        sa.Column("bank_charge_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("bank_entry_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("transaction_code", sa.Text(), nullable=False),
        sa.Column("bearing_agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("rejection_explanation", sa.Text(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind in ('FEE', 'INTEREST')", name=op.f("ck_bank_charge_kind")),
        sa.CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED')", name=op.f("ck_bank_charge_status")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_bank_charge_above_zero")),
        sa.CheckConstraint("(kind = 'FEE') = (budget_line_id is not null)", name=op.f("ck_bank_charge_fee_has_a_line")),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_bank_charge_maker_is_not_checker")
        ),
        sa.CheckConstraint(
            "(status = 'APPROVED') = (journal_entry_id is not null)", name=op.f("ck_bank_charge_approved_is_posted")
        ),
        sa.PrimaryKeyConstraint("bank_charge_id", name=op.f("pk_bank_charge")),
    )
    op.create_index(
        "uq_bank_charge_live",
        "bank_charge",
        ["bank_entry_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'REJECTED'"),
    )
    op.create_index("ix_bank_charge_list", "bank_charge", ["agency_id", "bank_charge_id"], unique=False)
    migrate.secure(op, "finance", "bank_charge")


def _create_offsets() -> None:
    for table in ("payable", "payment_request"):
        op.add_column(table, sa.Column("offset_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    for name, rule in (
        ("status", "status in ('REGISTERED', 'APPROVED', 'RECEIVABLE', 'REFUNDED', 'OFFSET', 'WITHDRAWN')"),
        (
            "approved_is_posted",
            "(status in ('APPROVED', 'RECEIVABLE', 'REFUNDED', 'OFFSET')) = (journal_entry_id is not null)",
        ),
    ):
        op.drop_constraint(op.f(f"ck_credit_note_{name}"), "credit_note", type_="check")
        op.create_check_constraint(op.f(f"ck_credit_note_{name}"), "credit_note", rule)
    op.create_table(
        "credit_offset",
        sa.Column("credit_offset_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("credit_note_id", sa.Uuid(), nullable=False),
        sa.Column("credit_note_number", sa.Text(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=True),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("end_explanation", sa.Text(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_credit_offset_status")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_offset_above_zero")),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_credit_offset_maker_is_not_checker")
        ),
        sa.CheckConstraint(
            "(status = 'APPROVED') = (journal_entry_id is not null)", name=op.f("ck_credit_offset_approved_is_posted")
        ),
        sa.PrimaryKeyConstraint("credit_offset_id", name=op.f("pk_credit_offset")),
    )
    op.create_index(
        "uq_credit_offset_live",
        "credit_offset",
        ["credit_note_id"],
        unique=True,
        postgresql_where=sa.text("status in ('PROPOSED', 'APPROVED')"),
    )
    op.create_index("ix_credit_offset_list", "credit_offset", ["agency_id", "credit_offset_id"], unique=False)
    migrate.secure(op, "finance", "credit_offset")
