"""Budgets that outlive a year, advances at a year's end, warnings on manual entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "finance_0015"
down_revision = "finance_0014"

_KINDS = (
    *("APPROPRIATE", "ALLOT", "RESERVE", "OBLIGATE", "RELEASE", "EXPEND", "ORDER", "PAY", "REJECT", "VARIANCE"),
    *("TRUE_UP", "REVALUE", "VIREMENT", "FREEZE", "OVERRIDE", "LAPSE", "CARRY", "CLOSE_ADVANCE"),
)


def upgrade() -> None:
    """Close advances with their year, let lines span years."""
    _close_advances()
    _span_years()
    _bill_in_foreign_currencies()


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")


def _close_advances() -> None:
    op.drop_constraint(op.f("ck_funds_movement_kind"), "funds_movement", type_="check")
    kinds = ", ".join(f"'{kind}'" for kind in _KINDS)
    op.create_check_constraint("kind", "funds_movement", f"kind in ({kinds})")
    for table in ("budget_year_end", "budget_year_end_line"):
        op.add_column(
            table, sa.Column("closed_advances_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
    op.create_check_constraint(
        "advances_are_paid", "budget_year_end_line", "closed_advances_minor between 0 and paid_minor"
    )


def _span_years() -> None:
    for table in ("appropriation", "budget_line"):
        op.add_column(table, sa.Column("valid_from", sa.Date(), nullable=True))
        op.add_column(table, sa.Column("valid_to", sa.Date(), nullable=True))
        op.add_column(table, sa.Column("last_fiscal_year", sa.Integer(), nullable=True))
        op.create_check_constraint(
            "span",
            table,
            "num_nulls(valid_from, valid_to, last_fiscal_year) in (0, 3)"
            " and (valid_to is null or (valid_from < valid_to and last_fiscal_year > fiscal_year))",
        )
    op.create_index(
        "ix_budget_line_project",
        "budget_line",
        ["agency_id", "last_fiscal_year"],
        unique=False,
        postgresql_where=sa.text("last_fiscal_year is not null"),
    )


def _bill_in_foreign_currencies() -> None:
    op.add_column("contract_terms", sa.Column("functional_currency", sa.Text(), nullable=True))
    for table in ("contract_line", "bill_line"):
        op.add_column(table, sa.Column("recovered_worth_minor", sa.BigInteger(), nullable=True))
