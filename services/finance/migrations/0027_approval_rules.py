"""Rules of the approval matrix are made by two persons."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0027"
down_revision = "finance_0026"


def upgrade() -> None:
    """Make the documents that change the matrix. The rules that are there stay in force, and name no change."""
    _create_changes()
    _create_items(
        "approval_rule_addition",
        sa.Column("approval_rule_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("approvers", sa.Integer(), nullable=False),
        sa.Column("amount_currency", sa.Text(), nullable=False),
        sa.Column("amount_from_minor", sa.BigInteger(), nullable=False),
        sa.Column("node_segments", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("node_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("deadline_days", sa.Integer(), nullable=False),
        sa.Column("escalation_role", sa.Text(), nullable=False),
        sa.Column("legal_source", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
    )
    _create_items(
        "approval_rule_ending",
        sa.Column("approval_rule_id", sa.Uuid(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
    )
    op.create_index("ix_approval_rule_ending_rule", "approval_rule_ending", ["approval_rule_id"], unique=False)
    for table in ("approval_rule_change", "approval_rule_addition", "approval_rule_ending"):
        migrate.secure(op, "finance", table)
    op.add_column("approval_rule", sa.Column("approval_rule_change_id", sa.Uuid(), nullable=True))
    op.execute(
        "create trigger what_was_done_is_noted after insert or update on approval_rule_change"
        " for each row execute function note_document('APPROVAL_RULE_CHANGE', 'approval_rule_change_id',"
        " 'document_number', '', '')"
    )


def downgrade() -> None:
    """Who changed the matrix is not forgotten: restore a backup instead."""
    raise NotImplementedError("changes of the approval matrix are not taken back; restore a backup")


def _create_changes() -> None:
    op.create_table(
        "approval_rule_change",
        sa.Column("approval_rule_change_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_approval_rule_change_status")
        ),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_approval_rule_change_two_persons"),
        ),
        sa.CheckConstraint(
            "(status = 'PROPOSED') = (decided_by_person_id is null)",
            name=op.f("ck_approval_rule_change_decided_by_somebody"),
        ),
        sa.PrimaryKeyConstraint("approval_rule_change_id", name=op.f("pk_approval_rule_change")),
        sa.UniqueConstraint(
            "agency_id", "document_number", name=op.f("uq_approval_rule_change_agency_id_document_number")
        ),
    )
    op.create_index("ix_approval_rule_change_list", "approval_rule_change", ["agency_id", "approval_rule_change_id"])


def _create_items(table: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column("approval_rule_change_id", sa.Uuid(), nullable=False),
        sa.Column("item_no", sa.SmallInteger(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("approval_rule_change_id", "item_no", name=op.f(f"pk_{table}")),
    )
