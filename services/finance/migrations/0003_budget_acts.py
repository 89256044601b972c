# ruff: noqa: E501  # a constraint stands as one text
"""Acts that change authority: supplementary budgets, virement, freezes, overrides, and the rules of virement."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0003"
down_revision = "finance_0002"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""
    _widen()
    _create_changes()
    _create_overrides()
    _create_years()
    _create_year_ends()
    # At the end of a year an unpaid debt goes over to next year's line; nothing else of a payable's part ever changes.
    op.execute("grant update (budget_line_id) on payable_part to finance_app")
    migrate.secure(op, "finance", "virement_rule", agency=False, app="select, insert")
    migrate.secure(op, "finance", "budget_change")
    migrate.secure(op, "finance", "budget_change_line")
    migrate.secure(op, "finance", "budget_override")
    migrate.secure(op, "finance", "budget_override_item")
    migrate.secure(op, "finance", "funds_over_limit", app="select, insert")
    migrate.secure(op, "finance", "period_limit", app="select, insert")
    migrate.secure(op, "finance", "multi_year_authorisation")
    migrate.secure(op, "finance", "multi_year_slice")
    migrate.secure(op, "finance", "budget_year_end")
    migrate.secure(op, "finance", "budget_year_end_decision", app="select, insert")
    migrate.secure(op, "finance", "budget_year_end_line", app="select, insert")


def _widen() -> None:
    op.add_column("budget_line", sa.Column("warning", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_check_constraint("one_mode", "budget_line", "not (controlling and warning)")
    for name in ("frozen_minor", "override_minor"):
        op.add_column("funds_movement", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.drop_constraint(op.f("ck_funds_movement_kind"), "funds_movement", type_="check")
    op.create_check_constraint(
        "kind",
        "funds_movement",
        "kind in ('APPROPRIATE', 'ALLOT', 'RESERVE', 'OBLIGATE', 'RELEASE', 'EXPEND', 'ORDER', 'PAY', 'REJECT', 'VARIANCE', 'TRUE_UP', 'REVALUE', 'VIREMENT', 'FREEZE', 'OVERRIDE', 'LAPSE', 'CARRY')",
    )


def _create_changes() -> None:
    op.create_table(
        "virement_rule",
        sa.Column("virement_rule_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("from_prefix", sa.Text(), nullable=False),
        sa.Column("to_prefix", sa.Text(), nullable=False),
        sa.Column("equal", postgresql.JSONB(), nullable=False),
        sa.Column("may_differ", postgresql.JSONB(), nullable=False),
        sa.Column("bans", postgresql.JSONB(), nullable=False),
        sa.Column("share_max", sa.Numeric(), nullable=True),
        sa.Column("approver_role", sa.Text(), nullable=False),
        sa.Column("legal_source", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("share_max > 0 and share_max <= 1", name=op.f("ck_virement_rule_share")),
        sa.PrimaryKeyConstraint("virement_rule_id", name=op.f("pk_virement_rule")),
        sa.UniqueConstraint("code", "valid_from", name=op.f("uq_virement_rule_code_valid_from")),
    )
    op.create_table(
        "budget_change",
        sa.Column("budget_change_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("legal_reference", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("increase_minor", sa.BigInteger(), nullable=False),
        sa.Column("decrease_minor", sa.BigInteger(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind in ('SUPPLEMENTARY', 'VIREMENT', 'FREEZE', 'UNFREEZE')", name=op.f("ck_budget_change_kind")
        ),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_budget_change_status")
        ),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_budget_change_two_persons"),
        ),
        sa.PrimaryKeyConstraint("budget_change_id", name=op.f("pk_budget_change")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_budget_change_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_table(
        "budget_change_line",
        sa.Column("budget_change_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("from_budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("new_line", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("virement_rule_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_budget_change_line_amount")),
        sa.PrimaryKeyConstraint("budget_change_id", "line_no", name=op.f("pk_budget_change_line")),
    )
    op.create_index("ix_budget_change_line_line", "budget_change_line", ["budget_line_id"], unique=False)


def _create_overrides() -> None:
    op.create_table(
        "budget_override",
        sa.Column("budget_override_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("authority_document", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("coverage", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_role", sa.Text(), nullable=False),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'OPEN', 'REJECTED', 'RECALLED', 'CLOSED')",
            name=op.f("ck_budget_override_status"),
        ),
        sa.CheckConstraint(
            "status not in ('OPEN', 'REJECTED', 'CLOSED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_budget_override_two_persons"),
        ),
        sa.PrimaryKeyConstraint("budget_override_id", name=op.f("pk_budget_override")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_budget_override_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_table(
        "budget_override_item",
        sa.Column("budget_override_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("granted_minor", sa.BigInteger(), nullable=False),
        sa.Column("open_minor", sa.BigInteger(), nullable=False),
        sa.Column("consumed_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "granted_minor > 0 and 0 <= consumed_minor and consumed_minor <= open_minor and open_minor <= granted_minor",
            name=op.f("ck_budget_override_item_amounts"),
        ),
        sa.PrimaryKeyConstraint("budget_override_id", "budget_line_id", name=op.f("pk_budget_override_item")),
    )
    op.create_index(
        "ix_budget_override_item_open",
        "budget_override_item",
        ["budget_line_id"],
        unique=False,
        postgresql_where=sa.text("open_minor > 0"),
    )
    op.create_table(
        "funds_over_limit",
        sa.Column("funds_over_limit_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("asked_minor", sa.BigInteger(), nullable=False),
        sa.Column("available_minor", sa.BigInteger(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("funds_over_limit_id", name=op.f("pk_funds_over_limit")),
    )
    op.create_index(
        "ix_funds_over_limit_line", "funds_over_limit", ["budget_line_id", "funds_over_limit_id"], unique=False
    )
    op.create_table(
        "period_limit",
        sa.Column("period_limit_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("legal_source", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("step in ('RESERVE', 'OBLIGATE')", name=op.f("ck_period_limit_step")),
        sa.PrimaryKeyConstraint("period_limit_id", name=op.f("pk_period_limit")),
        sa.UniqueConstraint("agency_id", "step", "valid_from", name=op.f("uq_period_limit_agency_id_step_valid_from")),
    )


def _create_years() -> None:
    op.create_table(
        "multi_year_authorisation",
        sa.Column("multi_year_authorisation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("legal_reference", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("contract_number", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("ceiling_minor", sa.BigInteger(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')",
            name=op.f("ck_multi_year_authorisation_status"),
        ),
        sa.CheckConstraint(
            "0 < price_minor and price_minor <= ceiling_minor", name=op.f("ck_multi_year_authorisation_price")
        ),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_multi_year_authorisation_two_persons"),
        ),
        sa.PrimaryKeyConstraint("multi_year_authorisation_id", name=op.f("pk_multi_year_authorisation")),
        sa.UniqueConstraint(
            "agency_id", "document_number", name=op.f("uq_multi_year_authorisation_agency_id_document_number")
        ),
    )
    op.create_table(
        "multi_year_slice",
        sa.Column("multi_year_authorisation_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("obligated_on", sa.Date(), nullable=True),
        sa.Column("exception", sa.Text(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_multi_year_slice_amount")),
        sa.CheckConstraint("obligated_on is null or budget_line_id is not null", name=op.f("ck_multi_year_slice_line")),
        sa.PrimaryKeyConstraint("multi_year_authorisation_id", "fiscal_year", name=op.f("pk_multi_year_slice")),
    )
    op.create_index(
        "ix_multi_year_slice_waiting",
        "multi_year_slice",
        ["agency_id", "fiscal_year"],
        unique=False,
        postgresql_where=sa.text("obligated_on is null"),
    )


def _create_year_ends() -> None:
    op.create_table(
        "budget_year_end",
        sa.Column("budget_year_end_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("default_decision", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("lapsed_minor", sa.BigInteger(), nullable=False),
        sa.Column("carried_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_budget_year_end_status")
        ),
        sa.CheckConstraint("default_decision in ('CARRY', 'CANCEL')", name=op.f("ck_budget_year_end_decision")),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_budget_year_end_two_persons"),
        ),
        sa.PrimaryKeyConstraint("budget_year_end_id", name=op.f("pk_budget_year_end")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_budget_year_end_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_index(
        "uq_budget_year_end_counting",
        "budget_year_end",
        ["agency_id", "fiscal_year"],
        unique=True,
        postgresql_where=sa.text("status in ('PROPOSED', 'APPROVED')"),
    )
    op.create_table(
        "budget_year_end_decision",
        sa.Column("budget_year_end_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.CheckConstraint("decision in ('CARRY', 'CANCEL')", name=op.f("ck_budget_year_end_decision_decision")),
        sa.PrimaryKeyConstraint(
            "budget_year_end_id", "document_line_id", "budget_line_id", name=op.f("pk_budget_year_end_decision")
        ),
    )
    op.create_table(
        "budget_year_end_line",
        sa.Column("budget_year_end_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("next_budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("revised_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("lapsed_minor", sa.BigInteger(), nullable=False),
        sa.Column("carried_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "revised_minor = paid_minor + lapsed_minor + carried_minor", name=op.f("ck_budget_year_end_line_whole")
        ),
        sa.PrimaryKeyConstraint("budget_year_end_id", "budget_line_id", name=op.f("pk_budget_year_end_line")),
    )


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")
