"""Preparation of the budget: ceilings, requests of units in versions; changes of how lines are controlled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0011"
down_revision = "finance_0010"

_SEGMENTS = (
    "organisation_code",
    "program_code",
    "account_code",
    "fund_code",
    "function_code",
    "location_code",
    "project_code",
    "funding_source_code",
)
# Whatever code runs: lines change while their version is a draft, and never after.
_DRAFT_ONLY = """
    create function budget_request_line_of_a_draft() returns trigger language plpgsql as $$
    declare
        v_line budget_request_line;
    begin
        if tg_op = 'INSERT' then
            v_line := new;
        else
            v_line := old;
        end if;
        if not exists (select 1 from budget_request_version
                       where budget_request_id = v_line.budget_request_id and version_number = v_line.version_number
                         and status = 'DRAFT') then
            raise exception 'version % of budget request % is no draft; its lines are never edited',
                v_line.version_number, v_line.budget_request_id using errcode = 'check_violation';
        end if;
        if tg_op = 'DELETE' then
            return old;
        end if;
        return new;
    end
    $$
"""


def upgrade() -> None:
    """Make the tables, put them behind the agency wall, and keep submitted versions as they are."""
    _create_ceilings()
    _create_requests()
    _create_lines()
    _create_controls()
    for table in (
        *("budget_ceiling", "budget_ceiling_head", "budget_request", "budget_request_version"),
        *("budget_control_change", "budget_control_change_item"),
    ):
        migrate.secure(op, "finance", table, app="select, insert, update")
    migrate.secure(op, "finance", "budget_request_line", app="select, insert, delete")
    # A line keeps its key and its place; what may change is what is asked for.
    op.execute("grant update (display_name, amounts_minor) on budget_request_line to finance_app")
    op.execute(_DRAFT_ONLY)
    op.execute(
        "create trigger line_of_a_draft before insert or update or delete on budget_request_line"
        " for each row execute function budget_request_line_of_a_draft()"
    )


def downgrade() -> None:
    """What was asked for and approved is not forgotten: restore a backup instead."""
    raise NotImplementedError("budget preparation is not taken back; restore a backup")


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _create_ceilings() -> None:
    op.create_table(
        "budget_ceiling",
        sa.Column("budget_ceiling_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        *_text("document_number", "legal_reference", "explanation", "currency"),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_budget_ceiling_status")
        ),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_budget_ceiling_two_persons"),
        ),
        sa.PrimaryKeyConstraint("budget_ceiling_id", name=op.f("pk_budget_ceiling")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_budget_ceiling_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_table(
        "budget_ceiling_head",
        sa.Column("budget_ceiling_head_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_ceiling_id", sa.Uuid(), nullable=False),
        sa.Column("head_no", sa.SmallInteger(), nullable=False),
        *_text("organisation_code", "program_code", "account_code"),
        sa.Column("amounts_minor", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=True),
        sa.CheckConstraint("0 <= all (amounts_minor)", name=op.f("ck_budget_ceiling_head_amounts")),
        sa.PrimaryKeyConstraint("budget_ceiling_head_id", name=op.f("pk_budget_ceiling_head")),
        sa.UniqueConstraint(
            "budget_ceiling_id",
            "organisation_code",
            "program_code",
            "account_code",
            name="uq_budget_ceiling_head_place",
        ),
    )


def _create_requests() -> None:
    op.create_table(
        "budget_request",
        sa.Column("budget_request_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        *_text("organisation_code", "document_number", "explanation", "currency"),
        sa.Column("medium_term_years", sa.SmallInteger(), nullable=False),
        sa.Column("latest_version_number", sa.Integer(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("appropriation_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("budget_request_id", name=op.f("pk_budget_request")),
        sa.UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "document_number",
            name=op.f("uq_budget_request_agency_id_fiscal_year_document_number"),
        ),
        sa.UniqueConstraint("appropriation_id", name=op.f("uq_budget_request_appropriation_id")),
    )
    op.create_index("ix_budget_request_list", "budget_request", ["agency_id", "budget_request_id"], unique=False)
    op.create_table(
        "budget_request_version",
        sa.Column("budget_request_id", sa.Uuid(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("maker_person_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("totals_minor", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("review_remark", sa.Text(), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.CheckConstraint("stage in ('FIRST', 'AFTER_REVIEW', 'FINAL')", name=op.f("ck_budget_request_version_stage")),
        sa.CheckConstraint(
            "status in ('DRAFT', 'SUBMITTED', 'REVIEWED', 'RETURNED', 'APPROVED', 'RECALLED', 'SUPERSEDED')",
            name=op.f("ck_budget_request_version_status"),
        ),
        sa.CheckConstraint(
            "reviewed_by_person_id <> all (maker_person_ids)",
            name=op.f("ck_budget_request_version_reviewer_is_no_maker"),
        ),
        sa.CheckConstraint(
            "status = 'RECALLED' or decided_by_person_id <> all (maker_person_ids)",
            name=op.f("ck_budget_request_version_decider_is_no_maker"),
        ),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'SUPERSEDED') or decided_by_person_id <> reviewed_by_person_id",
            name=op.f("ck_budget_request_version_three_persons"),
        ),
        sa.PrimaryKeyConstraint("budget_request_id", "version_number", name=op.f("pk_budget_request_version")),
    )


def _create_lines() -> None:
    op.create_table(
        "budget_request_line",
        sa.Column("budget_request_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("budget_request_id", sa.Uuid(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        *_text(*_SEGMENTS),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("amounts_minor", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.CheckConstraint("0 <= all (amounts_minor)", name=op.f("ck_budget_request_line_amounts")),
        sa.PrimaryKeyConstraint("budget_request_line_id", name=op.f("pk_budget_request_line")),
        sa.UniqueConstraint(
            "budget_request_id", "version_number", *_SEGMENTS, "line_no", name="uq_budget_request_line_key"
        ),
    )


def _create_controls() -> None:
    op.create_table(
        "budget_control_change",
        sa.Column("budget_control_change_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        *_text("document_number", "legal_reference", "explanation", "status"),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_budget_control_change_status")
        ),
        sa.CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_budget_control_change_two_persons"),
        ),
        sa.PrimaryKeyConstraint("budget_control_change_id", name=op.f("pk_budget_control_change")),
        sa.UniqueConstraint(
            *("agency_id", "fiscal_year", "document_number"),
            name=op.f("uq_budget_control_change_agency_id_fiscal_year_document_number"),
        ),
    )
    op.create_table(
        "budget_control_change_item",
        sa.Column("budget_control_change_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("item_no", sa.SmallInteger(), nullable=False),
        *_text("mode", "mode_before"),
        sa.CheckConstraint(
            "mode in ('HARD_STOP', 'WARNING', 'UNCONTROLLED')", name=op.f("ck_budget_control_change_item_mode")
        ),
        sa.PrimaryKeyConstraint(
            "budget_control_change_id", "budget_line_id", name=op.f("pk_budget_control_change_item")
        ),
    )
    op.create_index(
        "ix_budget_control_change_item_line", "budget_control_change_item", ["budget_line_id"], unique=False
    )
