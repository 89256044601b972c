"""The approval matrix, routes of documents, delegations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0008"
down_revision = "finance_0007"


def upgrade() -> None:
    """Make the tables; routes and delegations stand behind the agency wall, the matrix is the whole government's."""
    _create_tables()
    migrate.secure(op, "finance", "approval_due", agency=False, app="select, insert, update, delete")
    migrate.secure(op, "finance", "approval_rule", agency=False, app="select, insert, update")
    for table in ("approval", "approval_step", "approval_delegation"):
        migrate.secure(op, "finance", table)
    migrate.secure(op, "finance", "approval_decision", app="select, insert")


def downgrade() -> None:
    """What was decided about documents is not forgotten: restore a backup instead."""
    raise NotImplementedError("approvals are not taken back; restore a backup")


def _create_tables() -> None:
    op.create_table(
        "approval",
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("maker_person_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PENDING', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_approval_status")
        ),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_approval")),
    )
    op.create_index("ix_approval_list", "approval", ["agency_id", "approval_id"], unique=False)
    op.create_table(
        "approval_decision",
        sa.Column("approval_decision_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column("approval_step_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("on_behalf_of_person_id", sa.Uuid(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(act = 'ESCALATE') = (person_id is null)", name=op.f("ck_approval_decision_clock_has_no_person")
        ),
        sa.CheckConstraint("act in ('APPROVE', 'REJECT', 'ESCALATE')", name=op.f("ck_approval_decision_act")),
        sa.PrimaryKeyConstraint("approval_decision_id", name=op.f("pk_approval_decision")),
    )
    op.create_index("ix_approval_decision_step", "approval_decision", ["approval_step_id"], unique=False)
    op.create_index(
        "uq_approval_decision_person",
        "approval_decision",
        ["approval_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("person_id is not null"),
    )
    op.create_table(
        "approval_delegation",
        sa.Column("approval_delegation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("from_person_id", sa.Uuid(), nullable=False),
        sa.Column("to_person_id", sa.Uuid(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "valid_until >= valid_from and from_person_id <> to_person_id", name=op.f("ck_approval_delegation_from_to")
        ),
        sa.PrimaryKeyConstraint("approval_delegation_id", name=op.f("pk_approval_delegation")),
    )
    op.create_index(
        "ix_approval_delegation_list", "approval_delegation", ["agency_id", "approval_delegation_id"], unique=False
    )
    op.create_index("ix_approval_delegation_to", "approval_delegation", ["to_person_id"], unique=False)
    op.create_table(
        "approval_due",
        sa.Column("approval_step_id", sa.Uuid(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column("document_agency_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("approval_step_id", name=op.f("pk_approval_due")),
    )
    op.create_index("ix_approval_due_approval", "approval_due", ["approval_id"], unique=False)
    op.create_index("ix_approval_due_at", "approval_due", ["due_at"], unique=False)
    op.create_table(
        "approval_rule",
        sa.Column("approval_rule_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("approvers", sa.Integer(), nullable=False),
        sa.Column("amount_currency", sa.Text(), nullable=False),
        sa.Column("amount_from_minor", sa.BigInteger(), nullable=False),
        sa.Column("organisation_prefix", sa.Text(), nullable=False),
        sa.Column("account_prefix", sa.Text(), nullable=False),
        sa.Column("deadline_days", sa.Integer(), nullable=False),
        sa.Column("escalation_role", sa.Text(), nullable=False),
        sa.Column("legal_source", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("document_kind in ('PAYMENT_REQUEST')", name=op.f("ck_approval_rule_document_kind")),
        sa.CheckConstraint(
            "amount_from_minor >= 0 and deadline_days between 0 and 365", name=op.f("ck_approval_rule_limits")
        ),
        sa.CheckConstraint(
            "step_number between 1 and 99 and approvers between 1 and 10", name=op.f("ck_approval_rule_numbers")
        ),
        sa.PrimaryKeyConstraint("approval_rule_id", name=op.f("pk_approval_rule")),
        sa.UniqueConstraint(
            "document_kind",
            "step_number",
            "role",
            "amount_currency",
            "amount_from_minor",
            "organisation_prefix",
            "account_prefix",
            "valid_from",
            name="uq_approval_rule_content",
        ),
    )
    op.create_table(
        "approval_step",
        sa.Column("approval_step_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("approvers", sa.Integer(), nullable=False),
        sa.Column("deadline_days", sa.Integer(), nullable=False),
        sa.Column("escalation_role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "status in ('WAITING', 'OPEN', 'APPROVED', 'REJECTED')", name=op.f("ck_approval_step_status")
        ),
        sa.PrimaryKeyConstraint("approval_step_id", name=op.f("pk_approval_step")),
    )
    op.create_index("ix_approval_step_approval", "approval_step", ["approval_id", "step_number"], unique=False)
