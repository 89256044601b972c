# ruff: noqa: E501  # a constraint stands as one text
"""The finance service's first tables: classification, ledger, budget."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0001"
down_revision = None


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""
    migrate.shared_tables(op, "finance")
    _create_tables()
    _secure()


def downgrade() -> None:
    """There is nothing before the first revision: drop the database instead."""
    raise NotImplementedError("the first revision is not taken back; drop the database")


def _create_tables() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("english_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("normal_side", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("postable", sa.Boolean(), nullable=False),
        sa.Column("control", sa.Boolean(), nullable=False),
        sa.Column("funds_control", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("code", "valid_from", name=op.f("uq_account_code_valid_from")),
    )
    op.create_table(
        "account_balance",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period_number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("functional_debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("functional_credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "agency_id",
            "account_code",
            "fund_code",
            "basis",
            "currency",
            "fiscal_year",
            "period_number",
            name=op.f("pk_account_balance"),
        ),
    )
    op.create_table(
        "account_mapping",
        sa.Column("account_mapping_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("expenditure_prefix", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("legal_source", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("account_mapping_id", name=op.f("pk_account_mapping")),
        sa.UniqueConstraint(
            "role",
            "expenditure_prefix",
            "valid_from",
            name=op.f("uq_account_mapping_role_expenditure_prefix_valid_from"),
        ),
    )
    op.create_table(
        "account_turnover",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("accounting_on", sa.Date(), nullable=False),
        sa.Column("period_number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("functional_debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("functional_credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "agency_id",
            "account_code",
            "fund_code",
            "basis",
            "currency",
            "accounting_on",
            "period_number",
            name=op.f("pk_account_turnover"),
        ),
    )
    op.create_index("ix_account_turnover_day", "account_turnover", ["accounting_on"], unique=False)
    op.create_table(
        "allotment",
        sa.Column("allotment_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("allotment_order_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("month_from", sa.SmallInteger(), nullable=False),
        sa.Column("month_to", sa.SmallInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("allotment_id", name=op.f("pk_allotment")),
    )
    op.create_index(op.f("ix_allotment_allotment_order_id"), "allotment", ["allotment_order_id"], unique=False)
    op.create_index("ix_allotment_line", "allotment", ["budget_line_id", "month_from"], unique=False)
    op.create_table(
        "allotment_order",
        sa.Column("allotment_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("month_from", sa.SmallInteger(), nullable=False),
        sa.Column("month_to", sa.SmallInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "1 <= month_from and month_from <= month_to and month_to <= 12", name=op.f("ck_allotment_order_months")
        ),
        sa.PrimaryKeyConstraint("allotment_order_id", name=op.f("pk_allotment_order")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_allotment_order_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_table(
        "appropriation",
        sa.Column("appropriation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=True),
        sa.Column("activated_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("status in ('DRAFT', 'ACTIVE')", name=op.f("ck_appropriation_status")),
        sa.PrimaryKeyConstraint("appropriation_id", name=op.f("pk_appropriation")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_appropriation_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_table(
        "appropriation_import",
        sa.Column("appropriation_import_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("appropriation_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("appropriation_import_id", name=op.f("pk_appropriation_import")),
    )
    op.create_index(
        op.f("ix_appropriation_import_appropriation_id"), "appropriation_import", ["appropriation_id"], unique=False
    )
    op.create_table(
        "budget_line",
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("organisation_code", sa.Text(), nullable=False),
        sa.Column("program_code", sa.Text(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("function_code", sa.Text(), nullable=False),
        sa.Column("location_code", sa.Text(), nullable=False),
        sa.Column("project_code", sa.Text(), nullable=False),
        sa.Column("funding_source_code", sa.Text(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("postable", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("controlling", sa.Boolean(), nullable=False),
        sa.Column("appropriation_id", sa.Uuid(), nullable=True),
        sa.Column("display_name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("original_minor", sa.BigInteger(), nullable=False),
        sa.Column("supplementary_minor", sa.BigInteger(), nullable=False),
        sa.Column("virement_in_minor", sa.BigInteger(), nullable=False),
        sa.Column("virement_out_minor", sa.BigInteger(), nullable=False),
        sa.Column("carried_in_minor", sa.BigInteger(), nullable=False),
        sa.Column("frozen_minor", sa.BigInteger(), nullable=False),
        sa.Column("override_minor", sa.BigInteger(), nullable=False),
        sa.Column("reserved_minor", sa.BigInteger(), nullable=False),
        sa.Column("obligated_minor", sa.BigInteger(), nullable=False),
        sa.Column("advanced_minor", sa.BigInteger(), nullable=False),
        sa.Column("expended_minor", sa.BigInteger(), nullable=False),
        sa.Column("ordered_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint("status in ('DRAFT', 'ACTIVE', 'CLOSED')", name=op.f("ck_budget_line_status")),
        sa.CheckConstraint(
            "least(original_minor, virement_in_minor, virement_out_minor, frozen_minor, override_minor, reserved_minor, obligated_minor, advanced_minor, expended_minor, ordered_minor, paid_minor) >= 0",
            name=op.f("ck_budget_line_no_negative_bucket"),
        ),
        sa.CheckConstraint(
            "not controlling or original_minor + supplementary_minor + virement_in_minor - virement_out_minor + carried_in_minor - frozen_minor + override_minor - reserved_minor - obligated_minor - advanced_minor - expended_minor - ordered_minor - paid_minor >= 0",
            name=op.f("ck_budget_line_available_not_negative"),
        ),
        sa.PrimaryKeyConstraint("budget_line_id", name=op.f("pk_budget_line")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "fund_code",
            "organisation_code",
            "program_code",
            "account_code",
            "function_code",
            "location_code",
            "project_code",
            "funding_source_code",
            "line_no",
            name="uq_budget_line_key",
        ),
    )
    op.create_index("ix_budget_line_appropriation", "budget_line", ["appropriation_id"], unique=False)
    op.create_index(
        "ix_budget_line_list",
        "budget_line",
        ["agency_id", "fiscal_year", "organisation_code", "account_code", "line_no"],
        unique=False,
    )
    op.create_index(
        "ix_budget_line_parent",
        "budget_line",
        ["parent_id"],
        unique=False,
        postgresql_where=sa.text("parent_id is not null"),
    )
    op.create_table(
        "dimension_value",
        sa.Column("dimension_value_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("dimension_value_id", name=op.f("pk_dimension_value")),
        sa.UniqueConstraint("kind", "code", "valid_from", name=op.f("uq_dimension_value_kind_code_valid_from")),
    )
    op.create_table(
        "fiscal_period",
        sa.Column("fiscal_period_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state in ('FUTURE', 'OPEN', 'SOFT_CLOSED', 'HARD_CLOSED')", name=op.f("ck_fiscal_period_state")
        ),
        sa.PrimaryKeyConstraint("fiscal_period_id", name=op.f("pk_fiscal_period")),
        sa.UniqueConstraint(
            "agency_id", "area", "year", "number", name=op.f("uq_fiscal_period_agency_id_area_year_number")
        ),
    )
    op.create_index(
        "ix_fiscal_period_days", "fiscal_period", ["agency_id", "area", "starts_on", "ends_on"], unique=False
    )
    op.create_table(
        "fiscal_year",
        sa.Column("fiscal_year_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("functional_currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fiscal_year_id", name=op.f("pk_fiscal_year")),
        sa.UniqueConstraint("agency_id", "year", name=op.f("uq_fiscal_year_agency_id_year")),
    )
    op.create_table(
        "funds_movement",
        sa.Column("funds_movement_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reserved_minor", sa.BigInteger(), nullable=False),
        sa.Column("obligated_minor", sa.BigInteger(), nullable=False),
        sa.Column("advanced_minor", sa.BigInteger(), nullable=False),
        sa.Column("expended_minor", sa.BigInteger(), nullable=False),
        sa.Column("ordered_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("authority_minor", sa.BigInteger(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=True),
        sa.Column("position_document_line_id", sa.Uuid(), nullable=True),
        sa.Column("liquidates_movement_id", sa.Uuid(), nullable=True),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("accounting_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "kind in ('APPROPRIATE', 'ALLOT', 'RESERVE', 'OBLIGATE', 'RELEASE', 'EXPEND', 'ORDER', 'PAY', 'REJECT', 'VARIANCE', 'TRUE_UP', 'REVALUE')",
            name=op.f("ck_funds_movement_kind"),
        ),
        sa.PrimaryKeyConstraint("funds_movement_id", name=op.f("pk_funds_movement")),
    )
    op.create_index("ix_funds_movement_document", "funds_movement", ["document_id", "budget_line_id"], unique=False)
    op.create_index(
        "ix_funds_movement_document_line",
        "funds_movement",
        ["document_line_id", "budget_line_id"],
        unique=False,
        postgresql_where=sa.text("document_line_id is not null"),
    )
    op.create_index(
        "ix_funds_movement_line", "funds_movement", ["budget_line_id", "recorded_at", "funds_movement_id"], unique=False
    )
    op.create_table(
        "funds_position",
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("liquidated_minor", sa.BigInteger(), nullable=False),
        sa.Column("quantity_total", sa.Numeric(), nullable=True),
        sa.Column("quantity_liquidated", sa.Numeric(), nullable=False),
        sa.Column("reserved_minor", sa.BigInteger(), nullable=False),
        sa.Column("obligated_minor", sa.BigInteger(), nullable=False),
        sa.Column("advanced_minor", sa.BigInteger(), nullable=False),
        sa.Column("expended_minor", sa.BigInteger(), nullable=False),
        sa.Column("ordered_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("source_document_line_id", sa.Uuid(), nullable=True),
        sa.Column("source_budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("source_quantity", sa.Numeric(), nullable=False),
        sa.Column("source_liquidated_minor", sa.BigInteger(), nullable=False),
        sa.Column("source_freed_minor", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("opening_movement_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "least(reserved_minor, obligated_minor, advanced_minor, expended_minor, ordered_minor, paid_minor, total_minor, liquidated_minor, source_liquidated_minor, source_freed_minor) >= 0",
            name=op.f("ck_funds_position_no_negative_bucket"),
        ),
        sa.CheckConstraint("liquidated_minor <= total_minor", name=op.f("ck_funds_position_liquidated_within_total")),
        sa.CheckConstraint(
            "quantity_total is null or (quantity_total > 0 and quantity_liquidated between 0 and quantity_total)",
            name=op.f("ck_funds_position_quantity_within_total"),
        ),
        sa.PrimaryKeyConstraint("document_line_id", "budget_line_id", name=op.f("pk_funds_position")),
    )
    op.create_index("ix_funds_position_document", "funds_position", ["document_id"], unique=False)
    op.create_index("ix_funds_position_line", "funds_position", ["budget_line_id"], unique=False)
    op.create_table(
        "funds_refusal",
        sa.Column("funds_refusal_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("asked_minor", sa.BigInteger(), nullable=False),
        sa.Column("available_minor", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("funds_refusal_id", name=op.f("pk_funds_refusal")),
    )
    op.create_index(op.f("ix_funds_refusal_document_id"), "funds_refusal", ["document_id"], unique=False)
    op.create_table(
        "funds_requested",
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_funds_requested_not_negative")),
        sa.PrimaryKeyConstraint("budget_line_id", "month", name=op.f("pk_funds_requested")),
    )
    op.create_table(
        "funds_schedule",
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period_number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_funds_schedule_not_negative")),
        sa.CheckConstraint("period_number between 1 and 12", name=op.f("ck_funds_schedule_period")),
        sa.PrimaryKeyConstraint(
            "document_line_id", "budget_line_id", "year", "period_number", name=op.f("pk_funds_schedule")
        ),
    )
    op.create_index(
        "ix_funds_schedule_line", "funds_schedule", ["budget_line_id", "year", "period_number"], unique=False
    )
    op.create_table(
        "journal_entry",
        sa.Column("journal_entry_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("accounting_on", sa.Date(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("period_number", sa.SmallInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=True),
        sa.Column("reverses_journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("late_reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("journal_entry_id", name=op.f("pk_journal_entry")),
    )
    op.create_index(
        "ix_journal_entry_day", "journal_entry", ["agency_id", "accounting_on", "journal_entry_id"], unique=False
    )
    op.create_index(
        "ix_journal_entry_source",
        "journal_entry",
        ["source_id"],
        unique=False,
        postgresql_where=sa.text("source_id is not null"),
    )
    op.create_index(
        "uq_journal_entry_reverses",
        "journal_entry",
        ["reverses_journal_entry_id"],
        unique=True,
        postgresql_where=sa.text("reverses_journal_entry_id is not null"),
    )
    op.create_table(
        "journal_line",
        sa.Column("journal_entry_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("functional_debit_minor", sa.BigInteger(), nullable=True),
        sa.Column("functional_credit_minor", sa.BigInteger(), nullable=True),
        sa.Column("organisation_code", sa.Text(), nullable=False),
        sa.Column("program_code", sa.Text(), nullable=False),
        sa.Column("function_code", sa.Text(), nullable=False),
        sa.Column("location_code", sa.Text(), nullable=False),
        sa.Column("project_code", sa.Text(), nullable=False),
        sa.Column("funding_source_code", sa.Text(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("funds_movement_id", sa.Uuid(), nullable=True),
        sa.Column("document_line_id", sa.Uuid(), nullable=True),
        sa.Column("counterpart_agency_id", sa.Uuid(), nullable=True),
        sa.Column("accounting_on", sa.Date(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("period_number", sa.SmallInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(debit_minor > 0) <> (credit_minor > 0)", name=op.f("ck_journal_line_one_side")),
        sa.CheckConstraint(
            "(functional_debit_minor is null) = (functional_credit_minor is null)",
            name=op.f("ck_journal_line_functional_pair"),
        ),
        sa.CheckConstraint("debit_minor >= 0 and credit_minor >= 0", name=op.f("ck_journal_line_not_negative")),
        sa.PrimaryKeyConstraint("journal_entry_id", "line_no", name=op.f("pk_journal_line")),
    )
    op.create_index(
        "ix_journal_line_budget_line",
        "journal_line",
        ["budget_line_id"],
        unique=False,
        postgresql_where=sa.text("budget_line_id is not null"),
    )
    op.create_index(
        "ix_journal_line_statement",
        "journal_line",
        ["agency_id", "account_code", "accounting_on", "journal_entry_id", "line_no"],
        unique=False,
    )


def _secure() -> None:
    migrate.secure(op, "finance", "account", agency=False, app="select, insert")
    migrate.secure(op, "finance", "account_balance")
    migrate.secure(op, "finance", "account_mapping", agency=False, app="select, insert")
    migrate.secure(op, "finance", "account_turnover")
    migrate.secure(op, "finance", "allotment", app="select, insert")
    migrate.secure(op, "finance", "allotment_order", app="select, insert")
    migrate.secure(op, "finance", "appropriation")
    migrate.secure(op, "finance", "appropriation_import", app="select, insert")
    migrate.secure(op, "finance", "budget_line")
    migrate.secure(op, "finance", "dimension_value", agency=False, app="select, insert")
    migrate.secure(op, "finance", "fiscal_period")
    migrate.secure(op, "finance", "fiscal_year", app="select, insert")
    migrate.secure(op, "finance", "funds_movement", app="select, insert")
    migrate.secure(op, "finance", "funds_position")
    migrate.secure(op, "finance", "funds_refusal", app="select, insert")
    migrate.secure(op, "finance", "funds_requested")
    migrate.secure(op, "finance", "funds_schedule")
    migrate.secure(op, "finance", "journal_entry", app="select, insert")
    migrate.secure(op, "finance", "journal_line", app="select, insert")
