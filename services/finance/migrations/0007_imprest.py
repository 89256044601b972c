"""Imprests: cash that units hold, vouchers, replenishments, and the payables that bring the cash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0007"
down_revision = "finance_0006"


def upgrade() -> None:
    """Make the tables, put them behind the agency wall, and let payables move no budget line."""
    op.add_column("payable", sa.Column("fund_code", sa.Text(), nullable=True))
    op.drop_constraint(op.f("ck_payable_source"), "payable", type_="check")
    op.create_check_constraint(
        op.f("ck_payable_source"),
        "payable",
        "source in ('INVOICE', 'PAYROLL', 'EMPLOYER_CONTRIBUTION', 'PREPAYMENT', 'BILL', 'RETENTION', 'IMPREST',"
        " 'REPLENISHMENT')",
    )
    op.create_check_constraint(
        op.f("ck_payable_fund_of_cash"),
        "payable",
        "(fund_code is not null) = (source in ('IMPREST', 'REPLENISHMENT'))",
    )
    _create_tables()
    for table in ("imprest", "imprest_voucher"):
        migrate.secure(op, "finance", table)
    for table in ("imprest_line", "imprest_replenishment"):
        migrate.secure(op, "finance", table, app="select, insert")


def downgrade() -> None:
    """Cash that was handed out is not forgotten: restore a backup instead."""
    raise NotImplementedError("imprests are not taken back; restore a backup")


def _create_tables() -> None:
    op.create_table(
        "imprest",
        sa.Column("imprest_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("holder_person_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("claimed_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("returned_minor", sa.BigInteger(), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column("settled_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("bank_reference", sa.Text(), nullable=True),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind in ('STANDING', 'ADDITIONAL')", name=op.f("ck_imprest_kind")),
        sa.CheckConstraint("status in ('OPEN', 'SETTLED')", name=op.f("ck_imprest_status")),
        sa.CheckConstraint("amount_minor > 0 and returned_minor >= 0", name=op.f("ck_imprest_amounts")),
        sa.PrimaryKeyConstraint("imprest_id", name=op.f("pk_imprest")),
    )
    op.create_index("ix_imprest_list", "imprest", ["agency_id", "imprest_id"], unique=False)
    op.create_index(
        "uq_imprest_additional_open",
        "imprest",
        ["agency_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'ADDITIONAL' and status = 'OPEN'"),
    )
    op.create_index(
        "uq_imprest_standing",
        "imprest",
        ["agency_id", "fiscal_year"],
        unique=True,
        postgresql_where=sa.text("kind = 'STANDING'"),
    )
    op.create_table(
        "imprest_line",
        sa.Column("imprest_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("imprest_id", "budget_line_id", name=op.f("pk_imprest_line")),
    )
    op.create_table(
        "imprest_replenishment",
        sa.Column("imprest_replenishment_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("imprest_id", sa.Uuid(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("claimed_on", sa.Date(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("imprest_replenishment_id", name=op.f("pk_imprest_replenishment")),
    )
    op.create_index("ix_imprest_replenishment_imprest", "imprest_replenishment", ["imprest_id"], unique=False)
    op.create_table(
        "imprest_voucher",
        sa.Column("imprest_voucher_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("imprest_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payee", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("approved_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("paid_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("payable_id", sa.Uuid(), nullable=True),
        sa.Column("cancel_explanation", sa.Text(), nullable=True),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status in ('APPROVED', 'PAID', 'CLAIMED', 'VALIDATED', 'CANCELLED')",
            name=op.f("ck_imprest_voucher_status"),
        ),
        sa.CheckConstraint(
            "amount_minor > 0 and paid_minor between 0 and amount_minor", name=op.f("ck_imprest_voucher_amounts")
        ),
        sa.CheckConstraint(
            "paid_by_person_id <> created_by_person_id", name=op.f("ck_imprest_voucher_payer_is_not_approver")
        ),
        sa.PrimaryKeyConstraint("imprest_voucher_id", name=op.f("pk_imprest_voucher")),
    )
    op.create_index("ix_imprest_voucher_imprest", "imprest_voucher", ["imprest_id"], unique=False)
    op.create_index("ix_imprest_voucher_list", "imprest_voucher", ["agency_id", "imprest_voucher_id"], unique=False)
    op.create_index(
        "ix_imprest_voucher_payable",
        "imprest_voucher",
        ["payable_id"],
        unique=False,
        postgresql_where=sa.text("payable_id is not null"),
    )
