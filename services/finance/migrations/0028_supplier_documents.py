"""Rounding amounts of suppliers' documents, and tax that was withheld of what credit notes take back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0028"
down_revision = "finance_0027"


def upgrade() -> None:
    """New columns that are nil for what is there, and the table of what is withheld no more."""
    for table in ("invoice_line", "credit_note_line"):
        op.add_column(table, sa.Column("rounding_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("credit_note", sa.Column("withheld_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint(
        op.f("ck_credit_note_something_comes"), "credit_note", "withheld_minor between 0 and total_minor"
    )
    op.add_column(
        "withholding_remittance", sa.Column("corrected_minor", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_check_constraint(
        op.f("ck_withholding_remittance_corrected_downwards"), "withholding_remittance", "corrected_minor >= 0"
    )
    op.create_table(
        "credit_note_withholding",
        sa.Column("credit_note_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("withholding_code", sa.Text(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("withholding_remittance_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_note_withholding_above_zero")),
        sa.PrimaryKeyConstraint(
            "credit_note_id",
            "purchase_order_line_id",
            "withholding_code",
            name=op.f("pk_credit_note_withholding"),
        ),
    )
    op.create_index(
        "ix_credit_note_withholding_remittance",
        "credit_note_withholding",
        ["withholding_remittance_id"],
        postgresql_where=sa.text("withholding_remittance_id is not null"),
    )
    op.create_index(
        "ix_credit_note_withholding_waiting",
        "credit_note_withholding",
        ["withholding_code", "fund_code"],
        postgresql_where=sa.text("withholding_remittance_id is null"),
    )
    migrate.secure(op, "finance", "credit_note_withholding")


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")
