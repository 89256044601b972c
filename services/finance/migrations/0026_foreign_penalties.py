"""Penalties, and fees and interest of the bank, in a foreign currency: their own amount and the rate of the books."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "finance_0026"
down_revision = "finance_0025"


def upgrade() -> None:
    """Let both keep a second amount; what stands is in the currency of the books and has none."""
    op.add_column("payment_order_penalty", sa.Column("foreign_currency", sa.Text(), nullable=True))
    op.add_column("payment_order_penalty", sa.Column("foreign_minor", sa.BigInteger(), nullable=True))
    op.add_column("payment_order_penalty", sa.Column("exchange_rate", sa.Numeric(), nullable=True))
    op.create_check_constraint(
        op.f("ck_payment_order_penalty_foreign"),
        "payment_order_penalty",
        "num_nulls(foreign_currency, foreign_minor, exchange_rate) in (0, 3)"
        " and (foreign_minor is null or foreign_minor > 0 and exchange_rate > 0)",
    )
    op.create_index("ix_late_delivery_penalty_agreement", "late_delivery_penalty", ["agreement_id", "due_on"])
    op.add_column("bank_charge", sa.Column("functional_currency", sa.Text(), nullable=True))
    op.add_column("bank_charge", sa.Column("functional_minor", sa.BigInteger(), nullable=True))
    op.add_column("bank_charge", sa.Column("exchange_rate", sa.Numeric(), nullable=True))
    op.create_check_constraint(
        op.f("ck_bank_charge_functional"),
        "bank_charge",
        "num_nulls(functional_currency, functional_minor, exchange_rate) in (0, 3)"
        " and (functional_minor is null or functional_minor > 0 and exchange_rate > 0)",
    )


def downgrade() -> None:
    """What was booked at a rate is not forgotten: restore a backup instead."""
    raise NotImplementedError("amounts in the currency of the books are not taken back; restore a backup")
