"""Combinations that may be posted, what becomes of a code in the next chart, and classes that reports add up by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0012"
down_revision = "finance_0011"

_FUNCTIONS = (
    "combination_faults(combination_line[])",
    "carried_code(text, text, date, date)",
)
_SEGMENTS = "('ACCOUNT', 'FUND', 'ORGANISATION', 'PROGRAM', 'FUNCTION', 'LOCATION', 'PROJECT', 'FUNDING_SOURCE')"


def upgrade() -> None:
    """Make the tables, and the functions that judge combinations and follow successions."""
    _create_rules()
    _create_successions()
    _create_classes()
    # One chart, one set of rules about it, one table of successors, one set of classes for the whole government.
    migrate.secure(op, "finance", "combination_rule", agency=False, app="select, insert")
    # A rule is ended, and otherwise stays as it was made; so do the codes of the chart.
    op.execute("grant update (valid_to, version) on combination_rule to finance_app")
    migrate.secure(op, "finance", "code_succession", agency=False, app="select, insert")
    op.execute("grant update (valid_to) on account, dimension_value to finance_app")
    migrate.secure(op, "finance", "balance_carry_over", app="select, insert")
    migrate.secure(op, "finance", "reporting_class", agency=False, app="select, insert")
    migrate.secure(op, "finance", "class_mapping", agency=False, app="select, insert")
    op.execute(Path(__file__).with_name("0012_combinations.sql").read_text(encoding="utf-8"))
    for function in _FUNCTIONS:
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to finance_app")


def downgrade() -> None:
    """What was carried over is in the books: restore a backup instead."""
    raise NotImplementedError("rules and carry-overs are not taken back; restore a backup")


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _days() -> list[sa.Column[Any]]:
    return [sa.Column("valid_from", sa.Date(), nullable=False), sa.Column("valid_to", sa.Date(), nullable=True)]


def _create_rules() -> None:
    op.create_table(
        "combination_rule",
        sa.Column("combination_rule_id", sa.Uuid(), nullable=False),
        *_text("code"),
        sa.Column("condition_segments", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("condition_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        *_text("segment", "effect"),
        sa.Column("codes", postgresql.ARRAY(sa.Text()), nullable=False),
        *_text("explanation", "legal_source"),
        *_days(),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(f"segment in {_SEGMENTS}", name=op.f("ck_combination_rule_segment")),
        sa.CheckConstraint(
            "effect in ('MUST_BE_BELOW', 'MUST_NOT_BE_BELOW', 'MUST_BE_GIVEN', 'MUST_BE_EMPTY', 'UNRESTRICTED')",
            name=op.f("ck_combination_rule_effect"),
        ),
        sa.CheckConstraint(
            "cardinality(condition_segments) = cardinality(condition_codes) and cardinality(condition_codes) > 0",
            name=op.f("ck_combination_rule_conditions"),
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_combination_rule_days")),
        sa.PrimaryKeyConstraint("combination_rule_id", name=op.f("pk_combination_rule")),
        sa.UniqueConstraint("code", "valid_from", name=op.f("uq_combination_rule_code_valid_from")),
    )


def _create_successions() -> None:
    op.create_table(
        "code_succession",
        sa.Column("code_succession_id", sa.Uuid(), nullable=False),
        *_text("segment", "old_code", "new_code"),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        *_text("legal_source"),
        sa.CheckConstraint(f"segment in {_SEGMENTS}", name=op.f("ck_code_succession_segment")),
        sa.CheckConstraint("old_code <> new_code", name=op.f("ck_code_succession_codes")),
        sa.PrimaryKeyConstraint("code_succession_id", name=op.f("pk_code_succession")),
        sa.UniqueConstraint("segment", "old_code", "effective_on", "new_code", name="uq_code_succession_key"),
    )
    op.create_index(
        "uq_code_succession_default",
        "code_succession",
        ["segment", "old_code", "effective_on"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "balance_carry_over",
        sa.Column("balance_carry_over_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("carried", postgresql.JSONB(), nullable=False),
        sa.Column("journal_entry_ids", postgresql.JSONB(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("balance_carry_over_id", name=op.f("pk_balance_carry_over")),
    )
    op.create_index(
        "ix_balance_carry_over_list", "balance_carry_over", ["agency_id", "balance_carry_over_id"], unique=False
    )


def _create_classes() -> None:
    op.create_table(
        "reporting_class",
        sa.Column("reporting_class_id", sa.Uuid(), nullable=False),
        *_text("scheme", "code", "parent_code", "display_name"),
        sa.PrimaryKeyConstraint("reporting_class_id", name=op.f("pk_reporting_class")),
        sa.UniqueConstraint("scheme", "code", name=op.f("uq_reporting_class_scheme_code")),
    )
    op.create_table(
        "class_mapping",
        sa.Column("class_mapping_id", sa.Uuid(), nullable=False),
        *_text("scheme", "segment", "segment_code", "class_code", "legal_source"),
        *_days(),
        sa.CheckConstraint(f"segment in {_SEGMENTS}", name=op.f("ck_class_mapping_segment")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_class_mapping_days")),
        sa.PrimaryKeyConstraint("class_mapping_id", name=op.f("pk_class_mapping")),
        sa.UniqueConstraint(
            "scheme", "segment_code", "valid_from", name=op.f("uq_class_mapping_scheme_segment_code_valid_from")
        ),
    )
