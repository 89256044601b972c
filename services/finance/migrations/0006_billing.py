"""Contracts that are paid by bills: terms, prepayments, bills, and the payables that they open."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0006"
down_revision = "finance_0005"


def upgrade() -> None:
    """Make the tables, put them behind the agency wall, and let payables come from contracts."""
    op.add_column("payable", sa.Column("contract_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_payable_contract", "payable", ["contract_id"], postgresql_where=sa.text("contract_id is not null")
    )
    op.drop_constraint(op.f("ck_payable_source"), "payable", type_="check")
    op.create_check_constraint(
        op.f("ck_payable_source"),
        "payable",
        "source in ('INVOICE', 'PAYROLL', 'EMPLOYER_CONTRIBUTION', 'PREPAYMENT', 'BILL', 'RETENTION')",
    )
    _create_tables()
    for table in ("bill", "contract_line", "contract_terms"):
        migrate.secure(op, "finance", table)
    migrate.secure(op, "finance", "bill_line")
    migrate.secure(op, "finance", "prepayment", app="select, insert")


def downgrade() -> None:
    """What was certified is owed: restore a backup instead."""
    raise NotImplementedError("certified bills are not taken back; restore a backup")


def _create_tables() -> None:
    op.create_table(
        "bill",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("bill_number", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("billed_on", sa.Date(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("certified_on", sa.Date(), nullable=True),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejection_explanation", sa.Text(), nullable=True),
        sa.Column("payable_id", sa.Uuid(), nullable=True),
        sa.Column("retention_payable_id", sa.Uuid(), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'CERTIFIED') = (journal_entry_id is not null)", name=op.f("ck_bill_certified_is_posted")
        ),
        sa.CheckConstraint("status in ('REGISTERED', 'CERTIFIED', 'REJECTED')", name=op.f("ck_bill_status")),
        sa.CheckConstraint("decided_by_person_id <> created_by_person_id", name=op.f("ck_bill_certifier_is_not_maker")),
        sa.PrimaryKeyConstraint("bill_id", name=op.f("pk_bill")),
    )
    op.create_index("ix_bill_list", "bill", ["agency_id", "bill_id"], unique=False)
    op.create_index(
        "uq_bill_number",
        "bill",
        ["contract_id", "bill_number"],
        unique=True,
        postgresql_where=sa.text("status <> 'REJECTED'"),
    )
    op.create_table(
        "bill_line",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.Column("retained_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("gross_minor > 0", name=op.f("ck_bill_line_above_zero")),
        sa.PrimaryKeyConstraint("bill_id", "document_line_id", name=op.f("pk_bill_line")),
    )
    op.create_table(
        "contract_line",
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.Column("retained_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "price_minor > 0 and least(billed_minor, recovered_minor, retained_minor) >= 0"
            " and billed_minor <= price_minor and recovered_minor + retained_minor <= billed_minor",
            name=op.f("ck_contract_line_within_the_price"),
        ),
        sa.PrimaryKeyConstraint("contract_id", "document_line_id", name=op.f("pk_contract_line")),
    )
    op.create_table(
        "contract_terms",
        sa.Column("contract_terms_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("contract_number", sa.Text(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_class", sa.Text(), nullable=False),
        sa.Column("retention_kind", sa.Text(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("maintenance_until", sa.Date(), nullable=False),
        sa.Column("tax_rate", sa.Numeric(), nullable=False),
        sa.Column("retention_rate", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("prepayment_limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "retention_kind in ('WITHHELD', 'GUARANTEE')", name=op.f("ck_contract_terms_retention_kind")
        ),
        sa.CheckConstraint(
            "price_minor > 0 and prepayment_limit_minor between 0 and price_minor",
            name=op.f("ck_contract_terms_amounts"),
        ),
        sa.CheckConstraint(
            "retention_rate >= 0 and retention_rate < 1 and tax_rate >= 0", name=op.f("ck_contract_terms_rates")
        ),
        sa.PrimaryKeyConstraint("contract_terms_id", name=op.f("pk_contract_terms")),
        sa.UniqueConstraint("contract_id", name=op.f("uq_contract_terms_contract_id")),
    )
    op.create_index("ix_contract_terms_list", "contract_terms", ["agency_id", "contract_terms_id"], unique=False)
    op.create_table(
        "prepayment",
        sa.Column("prepayment_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("claimed_on", sa.Date(), nullable=False),
        sa.Column("guarantee_number", sa.Text(), nullable=False),
        sa.Column("guarantee_minor", sa.BigInteger(), nullable=False),
        sa.Column("guarantee_valid_until", sa.Date(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "amount_minor > 0 and guarantee_minor >= amount_minor", name=op.f("ck_prepayment_guaranteed")
        ),
        sa.PrimaryKeyConstraint("prepayment_id", name=op.f("pk_prepayment")),
    )
    op.create_index("ix_prepayment_contract", "prepayment", ["contract_id"], unique=False)
    op.create_index("ix_prepayment_list", "prepayment", ["agency_id", "prepayment_id"], unique=False)
