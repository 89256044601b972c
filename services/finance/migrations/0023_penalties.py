"""Penalties for late delivery, and what payment orders keep of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0023"
down_revision = "finance_0022"

_ROUTED = (
    *("PAYMENT_REQUEST", "SUPPLEMENTARY_BUDGET", "VIREMENT", "BUDGET_FREEZE", "BUDGET_OVERRIDE", "INVOICE"),
    *("CREDIT_NOTE", "BILL", "IMPREST_VOUCHER", "BUDGET_CEILING", "BUDGET_CONTROL_CHANGE", "BUDGET_YEAR_END"),
    *("MULTI_YEAR_AUTHORISATION", "FISCAL_PERIOD_REOPENING", "PAYMENT_RUN", "PAYEE_ACCOUNT"),
    *("WITHHOLDING_REMITTANCE", "LATE_INTEREST_CHARGE", "BANK_CHARGE", "CREDIT_OFFSET"),
    *("APPROPRIATION", "BUDGET_REQUEST", "LATE_DELIVERY_PENALTY"),
)
_LIVE = "status in ('PROPOSED', 'APPROVED', 'WAIVED')"


def upgrade() -> None:
    """Make the two tables, let penalties take a route, and note what is done with them."""
    _create_penalties()
    op.create_table(
        "payment_order_penalty",
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("late_delivery_penalty_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_order_penalty_above_zero")),
        sa.PrimaryKeyConstraint("payment_order_id", "late_delivery_penalty_id", name=op.f("pk_payment_order_penalty")),
    )
    op.create_index("ix_payment_order_penalty_penalty", "payment_order_penalty", ["late_delivery_penalty_id"])
    for table in ("late_delivery_penalty", "payment_order_penalty"):
        migrate.secure(op, "finance", table)
    kinds = ", ".join(f"'{kind}'" for kind in _ROUTED)
    op.drop_constraint(op.f("ck_approval_rule_document_kind"), "approval_rule", type_="check")
    op.create_check_constraint(op.f("ck_approval_rule_document_kind"), "approval_rule", f"document_kind in ({kinds})")
    op.execute(
        "create trigger what_was_done_is_noted after insert or update on late_delivery_penalty"
        " for each row execute function note_document('LATE_DELIVERY_PENALTY', 'late_delivery_penalty_id',"
        " 'source_document_number', 'currency', 'amount_minor')"
    )


def downgrade() -> None:
    """What was kept of payments is not forgotten: restore a backup instead."""
    raise NotImplementedError("penalties are not taken back; restore a backup")


def _create_penalties() -> None:
    op.create_table(
        "late_delivery_penalty",
        sa.Column("late_delivery_penalty_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("source_document_number", sa.Text(), nullable=False),
        sa.Column("creditor", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("base_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("delivered_on", sa.Date(), nullable=False),
        sa.Column("days_late", sa.Integer(), nullable=False),
        sa.Column("daily_rate", sa.Text(), nullable=False),
        sa.Column("legal_source", sa.Text(), nullable=False),
        sa.Column("assessed_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reduced_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("reduced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reduction_explanation", sa.Text(), nullable=True),
        sa.Column("ended_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("end_explanation", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        *(
            sa.CheckConstraint(rule, name=op.f(f"ck_late_delivery_penalty_{name}"))
            for name, rule in (
                ("status", "status in ('PROPOSED', 'APPROVED', 'WAIVED', 'REJECTED', 'RECALLED')"),
                ("base", "base in ('LATE_PART', 'CONTRACT')"),
                ("above_zero", "base_minor > 0 and assessed_minor > 0"),
                ("within_the_rule", "amount_minor between 0 and assessed_minor"),
                ("waived_is_nil", "(status = 'WAIVED') = (amount_minor = 0)"),
                ("days", "delivered_on > due_on and days_late = delivered_on - due_on"),
                (
                    "maker_is_not_checker",
                    "created_by_person_id not in (approved_by_person_id, reduced_by_person_id)",
                ),
                (
                    "approved_by_somebody",
                    "(status in ('APPROVED', 'WAIVED')) = (approved_by_person_id is not null)",
                ),
                (
                    "reduced_with_a_reason",
                    "(amount_minor < assessed_minor) = (reduced_by_person_id is not null)"
                    " and (reduced_by_person_id is null) = (reduction_explanation is null)",
                ),
            )
        ),
        sa.PrimaryKeyConstraint("late_delivery_penalty_id", name=op.f("pk_late_delivery_penalty")),
    )
    op.create_index(
        "uq_late_delivery_penalty_live",
        "late_delivery_penalty",
        ["payable_id", "due_on", "delivered_on"],
        unique=True,
        postgresql_where=sa.text(_LIVE),
    )
    op.create_index(
        "uq_late_delivery_penalty_contract",
        "late_delivery_penalty",
        ["agreement_id", "due_on"],
        unique=True,
        postgresql_where=sa.text(f"base = 'CONTRACT' and {_LIVE}"),
    )
    op.create_index("ix_late_delivery_penalty_payable", "late_delivery_penalty", ["payable_id"])
    op.create_index("ix_late_delivery_penalty_list", "late_delivery_penalty", ["agency_id", "late_delivery_penalty_id"])
