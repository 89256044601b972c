"""Entries between agencies, attachments by hash, runs of scheduled jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0013"
down_revision = "finance_0012"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall. Acts, contents and attachments are only ever added."""
    _create_joint_entries()
    _create_attachments()
    _create_jobs()
    for table in ("joint_entry", "joint_entry_leg", "attachment_content", "attachment_chunk", "attachment"):
        migrate.secure(op, "finance", table, app="select, insert")
    migrate.secure(op, "finance", "job")
    migrate.secure(op, "finance", "job_run")


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")


def _create_joint_entries() -> None:
    op.create_table(
        "joint_entry",
        sa.Column("joint_entry_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("agency_ids", postgresql.JSONB(), nullable=False),
        sa.Column("reverses_joint_entry_id", sa.Uuid(), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("joint_entry_id", name=op.f("pk_joint_entry")),
    )
    op.create_index(
        "uq_joint_entry_reverses",
        "joint_entry",
        ["reverses_joint_entry_id"],
        unique=True,
        postgresql_where=sa.text("reverses_joint_entry_id is not null"),
    )
    op.create_table(
        "joint_entry_leg",
        sa.Column("joint_entry_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=False),
        sa.Column("treasury_agency_id", sa.Uuid(), nullable=False),
        sa.Column("reverses_joint_entry_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("joint_entry_id", "agency_id", name=op.f("pk_joint_entry_leg")),
    )
    op.create_index("ix_joint_entry_leg_list", "joint_entry_leg", ["agency_id", "joint_entry_id"])
    op.create_index(
        "ix_joint_entry_leg_reverses",
        "joint_entry_leg",
        ["reverses_joint_entry_id", "agency_id"],
        postgresql_where=sa.text("reverses_joint_entry_id is not null"),
    )


def _create_attachments() -> None:
    op.create_table(
        "attachment_content",
        sa.Column("attachment_content_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_attachment_content_sha256")),
        sa.CheckConstraint("byte_count > 0", name=op.f("ck_attachment_content_not_empty")),
        sa.PrimaryKeyConstraint("attachment_content_id", name=op.f("pk_attachment_content")),
        sa.UniqueConstraint("agency_id", "sha256", name="uq_attachment_content_hash"),
    )
    op.create_table(
        "attachment_chunk",
        sa.Column("attachment_content_id", sa.Uuid(), nullable=False),
        sa.Column("chunk_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("attachment_content_id", "chunk_no", name=op.f("pk_attachment_chunk")),
    )
    # Scans of papers are compressed already: a second pass would cost time and give nothing.
    op.execute("alter table attachment_chunk alter column data set storage external")
    op.create_table(
        "attachment",
        sa.Column("attachment_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("attachment_content_id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("supersedes_attachment_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(supersedes_attachment_id is null) = (reason = '')", name=op.f("ck_attachment_superseded_with_reason")
        ),
        sa.PrimaryKeyConstraint("attachment_id", name=op.f("pk_attachment")),
        sa.ForeignKeyConstraint(
            ["attachment_content_id"],
            ["attachment_content.attachment_content_id"],
            name=op.f("fk_attachment_attachment_content_id"),
        ),
    )
    op.create_index("ix_attachment_list", "attachment", ["agency_id", "attachment_id"])
    op.create_index("ix_attachment_document", "attachment", ["document_id", "attachment_id"])
    op.create_index(
        "uq_attachment_supersedes",
        "attachment",
        ["supersedes_attachment_id"],
        unique=True,
        postgresql_where=sa.text("supersedes_attachment_id is not null"),
    )


def _create_jobs() -> None:
    op.create_table(
        "job",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.CheckConstraint("status in ('OPEN', 'DONE')", name=op.f("ck_job_status")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job")),
        sa.UniqueConstraint("agency_id", "kind", "due_on", name="uq_job_due"),
    )
    op.create_table(
        "job_run",
        sa.Column("job_run_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.Column("error_reason", sa.Text(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('WAITING', 'RUNNING', 'DONE', 'PARTLY_DONE', 'NOTHING_TO_DO', 'FAILED')",
            name=op.f("ck_job_run_status"),
        ),
        sa.CheckConstraint(
            "(status in ('WAITING', 'RUNNING')) = (ended_at is null)", name=op.f("ck_job_run_ended_when_over")
        ),
        sa.PrimaryKeyConstraint("job_run_id", name=op.f("pk_job_run")),
    )
    op.create_index("ix_job_run_list", "job_run", ["agency_id", "job_run_id"])
    op.create_index(
        "ix_job_run_open",
        "job_run",
        ["agency_id", "kind", "due_on"],
        postgresql_where=sa.text("ended_at is null"),
    )
