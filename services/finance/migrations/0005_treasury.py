"""Bank accounts, payment runs, bank files, statements, returned payments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0005"
down_revision = "finance_0004"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""
    _create_tables()
    # A stopped order never went to the bank; a rejected one came back from it.
    op.drop_constraint(op.f("ck_payment_order_status"), "payment_order", type_="check")
    op.create_check_constraint(
        op.f("ck_payment_order_status"),
        "payment_order",
        "status in ('UNNUMBERED', 'ISSUED', 'DEBITED', 'REJECTED', 'STOPPED')",
    )
    op.create_index("ix_payment_order_net", "payment_order", ["treasury_agency_id", "net_minor"])
    op.create_index(
        "ix_payment_order_waiting",
        "payment_order",
        ["treasury_agency_id", "issued_on"],
        postgresql_where=sa.text("status = 'ISSUED'"),
    )
    for table in ("bank_account", "payee_account", "payment_run", "payment_instruction", "bank_entry"):
        migrate.secure(op, "finance", table)
    migrate.secure(op, "finance", "payment_return")
    for table in ("payment_run_file", "payment_omission", "bank_file", "bank_statement", "bank_answer"):
        migrate.secure(op, "finance", table, app="select, insert")


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")


def _create_tables() -> None:
    op.create_table(
        "bank_account",
        sa.Column("bank_account_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("holder_name", sa.Text(), nullable=False),
        sa.Column("account_number", sa.Text(), nullable=False),
        sa.Column("number_kind", sa.Text(), nullable=False),
        sa.Column("bic", sa.Text(), nullable=True),
        sa.Column("clearing_code", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("number_kind in ('IBAN', 'LOCAL')", name=op.f("ck_bank_account_number_kind")),
        sa.CheckConstraint(
            "bic is not null or clearing_code is not null", name=op.f("ck_bank_account_says_which_bank")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_bank_account_days")),
        sa.PrimaryKeyConstraint("bank_account_id", name=op.f("pk_bank_account")),
    )
    op.create_index("ix_bank_account_list", "bank_account", ["agency_id", "bank_account_id"], unique=False)
    op.create_table(
        "payee_account",
        sa.Column("payee_account_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("creditor", sa.Text(), nullable=False),
        sa.Column("holder_name", sa.Text(), nullable=False),
        sa.Column("account_number", sa.Text(), nullable=False),
        sa.Column("number_kind", sa.Text(), nullable=False),
        sa.Column("bic", sa.Text(), nullable=True),
        sa.Column("clearing_code", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("number_kind in ('IBAN', 'LOCAL')", name=op.f("ck_payee_account_number_kind")),
        sa.CheckConstraint("status in ('PROPOSED', 'APPROVED')", name=op.f("ck_payee_account_status")),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_payee_account_maker_is_not_checker")
        ),
        sa.CheckConstraint(
            "bic is not null or clearing_code is not null", name=op.f("ck_payee_account_says_which_bank")
        ),
        sa.CheckConstraint("valid_to >= valid_from", name=op.f("ck_payee_account_days")),
        sa.PrimaryKeyConstraint("payee_account_id", name=op.f("pk_payee_account")),
    )
    op.create_index("ix_payee_account_creditor", "payee_account", ["agency_id", "creditor"], unique=False)
    op.create_table(
        "payment_run",
        sa.Column("payment_run_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("bank_account_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("execution_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("cash_limit_minor", sa.BigInteger(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("instruction_count", sa.Integer(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("cancellation_explanation", sa.Text(), nullable=True),
        sa.Column("exported_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("file_format", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("file_sha256", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'EXPORTED') = (file_sha256 is not null)", name=op.f("ck_payment_run_exported_with_its_hash")
        ),
        sa.CheckConstraint(
            "status in ('DRAFT', 'APPROVED', 'EXPORTED', 'CANCELLED')", name=op.f("ck_payment_run_status")
        ),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_payment_run_maker_is_not_checker")
        ),
        sa.PrimaryKeyConstraint("payment_run_id", name=op.f("pk_payment_run")),
    )
    op.create_index("ix_payment_run_list", "payment_run", ["agency_id", "payment_run_id"], unique=False)
    op.create_table(
        "payment_run_file",
        sa.Column("payment_run_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("payment_run_id", name=op.f("pk_payment_run_file")),
    )
    op.create_table(
        "payment_instruction",
        sa.Column("payment_instruction_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("payment_run_id", sa.Uuid(), nullable=False),
        sa.Column("paying_agency_id", sa.Uuid(), nullable=False),
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("payment_return_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payee_account_id", sa.Uuid(), nullable=False),
        sa.Column("payee_name", sa.Text(), nullable=False),
        sa.Column("payee_number", sa.Text(), nullable=False),
        sa.Column("payee_number_kind", sa.Text(), nullable=False),
        sa.Column("payee_bic", sa.Text(), nullable=True),
        sa.Column("payee_clearing_code", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("bank_reference", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "live = (status in ('IN_RUN', 'SENT', 'ACCEPTED'))", name=op.f("ck_payment_instruction_live")
        ),
        sa.CheckConstraint(
            "status in ('IN_RUN', 'SENT', 'ACCEPTED', 'DEBITED', 'REJECTED', 'RETURNED', 'CANCELLED')",
            name=op.f("ck_payment_instruction_status"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_instruction_above_zero")),
        sa.PrimaryKeyConstraint("payment_instruction_id", name=op.f("pk_payment_instruction")),
    )
    op.create_index("ix_payment_instruction_order", "payment_instruction", ["payment_order_id"], unique=False)
    op.create_index("ix_payment_instruction_run", "payment_instruction", ["payment_run_id", "position"], unique=False)
    op.create_index(
        "uq_payment_instruction_live",
        "payment_instruction",
        ["payment_order_id"],
        unique=True,
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "payment_omission",
        sa.Column("payment_run_id", sa.Uuid(), nullable=False),
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("payment_run_id", "payment_order_id", name=op.f("pk_payment_omission")),
    )
    op.create_table(
        "bank_file",
        sa.Column("bank_file_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("byte_count", sa.Integer(), nullable=False),
        sa.Column("ignored_count", sa.Integer(), nullable=False),
        sa.Column("imported_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("format in ('PAIN_002', 'CAMT_053', 'CAMT_054')", name=op.f("ck_bank_file_format")),
        sa.PrimaryKeyConstraint("bank_file_id", name=op.f("pk_bank_file")),
        sa.UniqueConstraint("agency_id", "sha256", name=op.f("uq_bank_file_agency_id_sha256")),
    )
    op.create_table(
        "bank_statement",
        sa.Column("bank_statement_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("bank_account_id", sa.Uuid(), nullable=False),
        sa.Column("bank_file_id", sa.Uuid(), nullable=False),
        sa.Column("statement_reference", sa.Text(), nullable=False),
        sa.Column("sequence_number", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=False),
        sa.Column("closing_minor", sa.BigInteger(), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bank_statement_id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("bank_account_id", "position", name=op.f("uq_bank_statement_bank_account_id_position")),
        sa.UniqueConstraint(
            "bank_account_id", "statement_reference", name=op.f("uq_bank_statement_bank_account_id_statement_reference")
        ),
    )
    op.create_table(
        "bank_entry",
        sa.Column("bank_entry_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("bank_account_id", sa.Uuid(), nullable=False),
        sa.Column("bank_file_id", sa.Uuid(), nullable=False),
        sa.Column("bank_statement_id", sa.Uuid(), nullable=True),
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.Column("bank_reference", sa.Text(), nullable=False),
        sa.Column("end_to_end_id", sa.Text(), nullable=False),
        sa.Column("remittance", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("payment_order_id", sa.Uuid(), nullable=True),
        sa.Column("payment_return_id", sa.Uuid(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("matched_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("match_explanation", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'MATCHED') = (journal_entry_id is not null)", name=op.f("ck_bank_entry_matched_with_the_books")
        ),
        sa.CheckConstraint("direction in ('DEBIT', 'CREDIT')", name=op.f("ck_bank_entry_direction")),
        sa.CheckConstraint("status in ('MATCHED', 'UNMATCHED')", name=op.f("ck_bank_entry_status")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_bank_entry_above_zero")),
        sa.PrimaryKeyConstraint("bank_entry_id", name=op.f("pk_bank_entry")),
        sa.UniqueConstraint("bank_account_id", "entry_key", name=op.f("uq_bank_entry_bank_account_id_entry_key")),
    )
    op.create_index("ix_bank_entry_list", "bank_entry", ["bank_account_id", "bank_entry_id"], unique=False)
    op.create_index("ix_bank_entry_statement", "bank_entry", ["bank_statement_id"], unique=False)
    op.create_index(
        "ix_bank_entry_unmatched",
        "bank_entry",
        ["agency_id", "bank_entry_id"],
        unique=False,
        postgresql_where=sa.text("status = 'UNMATCHED'"),
    )
    op.create_index(
        "uq_bank_entry_journal",
        "bank_entry",
        ["journal_entry_id"],
        unique=True,
        postgresql_where=sa.text("journal_entry_id is not null"),
    )
    op.create_table(
        "bank_answer",
        sa.Column("bank_file_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("end_to_end_id", sa.Text(), nullable=False),
        sa.Column("payment_instruction_id", sa.Uuid(), nullable=True),
        sa.Column("payment_order_id", sa.Uuid(), nullable=True),
        sa.Column("bank_entry_id", sa.Uuid(), nullable=True),
        sa.Column("status_code", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bank_file_id", "position", name=op.f("pk_bank_answer")),
    )
    op.create_table(
        "payment_return",
        sa.Column("payment_return_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("paying_agency_id", sa.Uuid(), nullable=False),
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("returned_instruction_id", sa.Uuid(), nullable=True),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("returned_on", sa.Date(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("bank_reference", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("payee_account_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reissued_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("reissued_on", sa.Date(), nullable=True),
        sa.Column("return_entry_id", sa.Uuid(), nullable=False),
        sa.Column("reissue_entry_id", sa.Uuid(), nullable=True),
        sa.Column("debit_entry_id", sa.Uuid(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'RETURNED') = (payee_account_id is null)", name=op.f("ck_payment_return_reissued_to_an_account")
        ),
        sa.CheckConstraint("status in ('RETURNED', 'REISSUED', 'PAID')", name=op.f("ck_payment_return_status")),
        sa.PrimaryKeyConstraint("payment_return_id", name=op.f("pk_payment_return")),
        sa.UniqueConstraint(
            "payment_order_id", "bank_reference", name=op.f("uq_payment_return_payment_order_id_bank_reference")
        ),
    )
    op.create_index("ix_payment_return_list", "payment_return", ["agency_id", "payment_return_id"], unique=False)
    op.create_index(
        "uq_payment_return_instruction",
        "payment_return",
        ["returned_instruction_id"],
        unique=True,
        postgresql_where=sa.text("returned_instruction_id is not null"),
    )
    op.create_index(
        "uq_payment_return_open",
        "payment_return",
        ["payment_order_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'PAID'"),
    )
