"""Entries between agencies correct one another, and reverse by themselves; a template may end before it began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0021"
down_revision = "finance_0020"


def upgrade() -> None:
    """Each leg tells what its act corrects and when it reverses; a work list keeps the acts that are to reverse.

    A template that was made by mistake is ended before its first due day, so that it posts nothing.
    """
    op.add_column("joint_entry_leg", sa.Column("corrects_joint_entry_id", sa.Uuid(), nullable=True))
    op.add_column("joint_entry_leg", sa.Column("reverse_on", sa.Date(), nullable=True))
    op.create_index(
        "ix_joint_entry_leg_corrects",
        "joint_entry_leg",
        ["corrects_joint_entry_id", "agency_id", "joint_entry_id"],
        postgresql_where=sa.text("corrects_joint_entry_id is not null"),
    )
    op.create_table(
        "joint_reversal",
        sa.Column("joint_entry_id", sa.Uuid(), nullable=False),
        sa.Column("entity_ids", postgresql.JSONB(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("joint_entry_id", name=op.f("pk_joint_reversal")),
    )
    op.create_index("ix_joint_reversal_due", "joint_reversal", ["due_on", "joint_entry_id"])
    op.drop_constraint(op.f("ck_journal_template_span"), "journal_template")
    migrate.secure(op, "finance", "joint_reversal", agency=False, app="select, insert, update, delete")


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")
