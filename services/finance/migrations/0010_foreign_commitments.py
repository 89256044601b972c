"""Foreign commitments: the foreign side of funds and payables, revaluations, overrides for exchange differences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0010"
down_revision = "finance_0009"

_BUCKETS = ("reserved", "obligated", "advanced", "expended", "ordered", "paid")


def upgrade() -> None:
    """Nullable columns only: what is in the currency of its budget line carries nothing of this."""
    for name in _BUCKETS:
        op.add_column("funds_movement", sa.Column(f"foreign_{name}_minor", sa.BigInteger(), nullable=True))
    op.add_column("funds_movement", sa.Column("foreign_currency", sa.Text(), nullable=True))
    op.add_column("funds_movement", sa.Column("exchange_rate", sa.Numeric(), nullable=True))
    for name in (*_BUCKETS, "total", "liquidated"):
        op.add_column("funds_position", sa.Column(f"foreign_{name}_minor", sa.BigInteger(), nullable=True))
    op.add_column("funds_position", sa.Column("foreign_currency", sa.Text(), nullable=True))
    op.add_column("funds_position", sa.Column("foreign_rated_on", sa.Date(), nullable=True))
    op.create_check_constraint(
        "no_negative_foreign_bucket",
        "funds_position",
        "foreign_currency is null or least(foreign_reserved_minor, foreign_obligated_minor, foreign_advanced_minor,"
        " foreign_expended_minor, foreign_ordered_minor, foreign_paid_minor, foreign_total_minor,"
        " foreign_liquidated_minor) >= 0",
    )
    op.create_index(
        "ix_funds_position_foreign",
        "funds_position",
        ["agency_id", "budget_line_id", "document_line_id"],
        unique=False,
        postgresql_where=sa.text("foreign_currency is not null"),
    )
    _create_revaluations()
    _widen_overrides()
    _widen_ledger()
    _widen_payables()


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")


def _create_revaluations() -> None:
    op.create_table(
        "funds_revaluation",
        sa.Column("funds_revaluation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("revalued_on", sa.Date(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("budget_override_id", sa.Uuid(), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("funds_revaluation_id", name=op.f("pk_funds_revaluation")),
    )
    op.create_index(
        "ix_funds_revaluation_list", "funds_revaluation", ["agency_id", "funds_revaluation_id"], unique=False
    )
    op.create_table(
        "funds_revaluation_item",
        sa.Column("funds_revaluation_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("funds_movement_id", sa.Uuid(), nullable=False),
        sa.Column("exchange_rate_id", sa.Uuid(), nullable=False),
        sa.Column("foreign_currency", sa.Text(), nullable=False),
        sa.Column("foreign_minor", sa.BigInteger(), nullable=False),
        sa.Column("carrying_minor", sa.BigInteger(), nullable=False),
        sa.Column("revalued_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "funds_revaluation_id", "document_line_id", "budget_line_id", name=op.f("pk_funds_revaluation_item")
        ),
    )
    # When an agency's commitments are next due: it holds ids and days only, and serves the round of all agencies.
    op.create_table(
        "foreign_commitment_clock",
        sa.Column("committed_agency_id", sa.Uuid(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("committed_agency_id", name=op.f("pk_foreign_commitment_clock")),
    )
    migrate.secure(op, "finance", "funds_revaluation", app="select, insert")
    migrate.secure(op, "finance", "funds_revaluation_item", app="select, insert")
    migrate.secure(op, "finance", "foreign_commitment_clock", agency=False)


def _widen_overrides() -> None:
    op.add_column(
        "budget_override", sa.Column("kind", sa.Text(), server_default=sa.text("'AUTHORITY'"), nullable=False)
    )
    op.add_column("budget_override", sa.Column("owner_person_id", sa.Uuid(), nullable=True))
    op.create_check_constraint("kind", "budget_override", "kind in ('AUTHORITY', 'EXCHANGE')")
    op.create_check_constraint("owner", "budget_override", "(kind = 'EXCHANGE') = (owner_person_id is not null)")


def _widen_ledger() -> None:
    """A balance is revalued for each document line by itself, so that E can follow it (F5)."""
    op.drop_constraint(op.f("pk_foreign_revaluation_item"), "foreign_revaluation_item", type_="primary")
    nobody = sa.text("'00000000-0000-0000-0000-000000000000'")
    for name in ("budget_line_id", "document_line_id"):
        op.add_column("foreign_revaluation_item", sa.Column(name, sa.Uuid(), server_default=nobody, nullable=False))
    op.create_primary_key(
        op.f("pk_foreign_revaluation_item"),
        "foreign_revaluation_item",
        [
            "foreign_revaluation_id",
            "account_code",
            "fund_code",
            "currency",
            "budget_line_id",
            "document_line_id",
        ],
    )


def _widen_payables() -> None:
    op.add_column("purchase_order_line", sa.Column("foreign_currency", sa.Text(), nullable=True))
    op.add_column("purchase_order_line", sa.Column("uninvoiced_minor", sa.BigInteger(), nullable=True))
    op.add_column("payable", sa.Column("foreign_currency", sa.Text(), nullable=True))
    op.add_column("payable", sa.Column("foreign_minor", sa.BigInteger(), nullable=True))
    op.add_column("payable_part", sa.Column("foreign_minor", sa.BigInteger(), nullable=True))
    op.add_column("payable_part", sa.Column("requested_minor", sa.BigInteger(), nullable=True))
    op.add_column("payment_order", sa.Column("foreign_currency", sa.Text(), nullable=True))
    op.add_column("payment_order", sa.Column("foreign_minor", sa.BigInteger(), nullable=True))
    op.add_column("payment_order", sa.Column("debited_minor", sa.BigInteger(), nullable=True))
    # A debt in a foreign currency is worth another amount at each month's end.
    op.execute("grant update (amount_minor, net_minor, tax_minor, requested_minor) on payable_part to finance_app")
