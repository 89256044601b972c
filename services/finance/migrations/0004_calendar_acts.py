"""Reopening of periods by two persons, exchange rates, journal templates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0004"
down_revision = "finance_0003"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""
    _extend_journal_entry()
    _create_closing()
    _create_schedule()
    _create_rates()
    _create_year_end()
    migrate.secure(op, "finance", "fiscal_period_reopening")
    migrate.secure(op, "finance", "financial_statements", app="select, insert")
    migrate.secure(op, "finance", "journal_template")
    migrate.secure(op, "finance", "journal_template_line", app="select, insert")
    migrate.secure(op, "finance", "scheduled_entry")
    migrate.secure(op, "finance", "journal_clock", agency=False)
    migrate.secure(op, "finance", "exchange_rate", agency=False, app="select, insert")
    migrate.secure(op, "finance", "fiscal_year_closing", app="select, insert")
    migrate.secure(op, "finance", "foreign_revaluation", app="select, insert")
    migrate.secure(op, "finance", "foreign_revaluation_item", app="select, insert")
    _ring_the_clock()


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")


def _extend_journal_entry() -> None:
    op.add_column("journal_entry", sa.Column("corrects_journal_entry_id", sa.Uuid(), nullable=True))
    op.add_column("journal_entry", sa.Column("reverse_on", sa.Date(), nullable=True))
    op.create_index(
        "ix_journal_entry_corrects",
        "journal_entry",
        ["corrects_journal_entry_id", "journal_entry_id"],
        postgresql_where=sa.text("corrects_journal_entry_id is not null"),
    )
    op.create_index(
        "ix_journal_entry_reverse_on",
        "journal_entry",
        ["agency_id", "reverse_on", "journal_entry_id"],
        postgresql_where=sa.text("reverse_on is not null"),
    )


def _create_closing() -> None:
    op.create_table(
        "fiscal_period_reopening",
        sa.Column("fiscal_period_reopening_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("areas", postgresql.JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proposed_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name=op.f("ck_fiscal_period_reopening_status")
        ),
        sa.CheckConstraint(
            "from_state in ('SOFT_CLOSED', 'HARD_CLOSED')", name=op.f("ck_fiscal_period_reopening_from_state")
        ),
        sa.CheckConstraint(
            "status = 'RECALLED' or decided_by_person_id <> proposed_by_person_id",
            name=op.f("ck_fiscal_period_reopening_maker_is_not_checker"),
        ),
        sa.CheckConstraint(
            "(status = 'PROPOSED') = (decided_by_person_id is null)",
            name=op.f("ck_fiscal_period_reopening_decided_by_somebody"),
        ),
        sa.PrimaryKeyConstraint("fiscal_period_reopening_id", name=op.f("pk_fiscal_period_reopening")),
    )
    op.create_index(
        "uq_fiscal_period_reopening_pending",
        "fiscal_period_reopening",
        ["agency_id", "year", "number"],
        unique=True,
        postgresql_where=sa.text("status = 'PROPOSED'"),
    )
    op.create_index(
        "ix_fiscal_period_reopening_list", "fiscal_period_reopening", ["agency_id", "fiscal_period_reopening_id"]
    )
    op.create_table(
        "financial_statements",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "year", name=op.f("pk_financial_statements")),
    )


def _create_schedule() -> None:
    op.create_table(
        "journal_template",
        sa.Column("journal_template_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("first_due_on", sa.Date(), nullable=False),
        sa.Column("interval_months", sa.SmallInteger(), nullable=False),
        sa.Column("last_due_on", sa.Date(), nullable=True),
        sa.Column("auto_reverse", sa.Boolean(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("interval_months between 1 and 60", name=op.f("ck_journal_template_interval")),
        sa.CheckConstraint("last_due_on >= first_due_on", name=op.f("ck_journal_template_span")),
        sa.PrimaryKeyConstraint("journal_template_id", name=op.f("pk_journal_template")),
    )
    op.create_index("ix_journal_template_list", "journal_template", ["agency_id", "journal_template_id"])
    op.create_table(
        "journal_template_line",
        sa.Column("journal_template_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("basis", "fund_code", "account_code", "currency")),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("functional_minor", sa.BigInteger(), nullable=True),
        sa.Column("functional_currency", sa.Text(), nullable=False),
        sa.Column("organisation_code", sa.Text(), nullable=False),
        sa.Column("program_code", sa.Text(), nullable=False),
        sa.Column("function_code", sa.Text(), nullable=False),
        sa.Column("location_code", sa.Text(), nullable=False),
        sa.Column("project_code", sa.Text(), nullable=False),
        sa.Column("funding_source_code", sa.Text(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(debit_minor > 0) <> (credit_minor > 0)", name=op.f("ck_journal_template_line_one_side")),
        sa.CheckConstraint(
            "debit_minor >= 0 and credit_minor >= 0", name=op.f("ck_journal_template_line_not_negative")
        ),
        sa.PrimaryKeyConstraint("journal_template_id", "line_no", name=op.f("pk_journal_template_line")),
    )
    op.create_table(
        "scheduled_entry",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("refusal_reason", sa.Text(), nullable=False),
        sa.Column("refusal_message", sa.Text(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('RECURRING', 'REVERSAL')", name=op.f("ck_scheduled_entry_kind")),
        sa.CheckConstraint("status in ('POSTED', 'REFUSED')", name=op.f("ck_scheduled_entry_status")),
        sa.CheckConstraint(
            "(status = 'POSTED') = (journal_entry_id is not null)", name=op.f("ck_scheduled_entry_posted_has_its_entry")
        ),
        sa.PrimaryKeyConstraint("source_id", "due_on", name=op.f("pk_scheduled_entry")),
    )
    op.create_index("ix_scheduled_entry_list", "scheduled_entry", ["agency_id", "due_on", "source_id"])
    op.create_table(
        "journal_clock",
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("next_due_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_journal_clock")),
    )


def _create_rates() -> None:
    op.create_table(
        "exchange_rate",
        sa.Column("exchange_rate_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("functional_currency", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rated_on", sa.Date(), nullable=False),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rate > 0", name=op.f("ck_exchange_rate_above_zero")),
        sa.CheckConstraint("kind in ('MIDDLE')", name=op.f("ck_exchange_rate_kind")),
        sa.PrimaryKeyConstraint("exchange_rate_id", name=op.f("pk_exchange_rate")),
    )
    op.create_index(
        "ix_exchange_rate_day",
        "exchange_rate",
        ["functional_currency", "currency", "kind", "rated_on", "recorded_at", "exchange_rate_id"],
    )
    op.create_index("ix_exchange_rate_list", "exchange_rate", ["rated_on", "currency", "exchange_rate_id"])
    op.create_table(
        "foreign_revaluation",
        sa.Column("foreign_revaluation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("revalued_on", sa.Date(), nullable=False),
        sa.Column("functional_currency", sa.Text(), nullable=False),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("foreign_revaluation_id", name=op.f("pk_foreign_revaluation")),
    )
    op.create_index("ix_foreign_revaluation_list", "foreign_revaluation", ["agency_id", "foreign_revaluation_id"])
    op.create_table(
        "foreign_revaluation_item",
        sa.Column("foreign_revaluation_id", sa.Uuid(), nullable=False),
        sa.Column("account_code", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("foreign_minor", sa.BigInteger(), nullable=False),
        sa.Column("carrying_minor", sa.BigInteger(), nullable=False),
        sa.Column("revalued_minor", sa.BigInteger(), nullable=False),
        sa.Column("exchange_rate_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "foreign_revaluation_id", "account_code", "fund_code", "currency", name=op.f("pk_foreign_revaluation_item")
        ),
    )


def _create_year_end() -> None:
    op.create_table(
        "fiscal_year_closing",
        sa.Column("fiscal_year_closing_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("results", postgresql.JSONB(), nullable=False),
        sa.Column("journal_entry_ids", postgresql.JSONB(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fiscal_year_closing_id", name=op.f("pk_fiscal_year_closing")),
    )
    op.create_index("ix_fiscal_year_closing_list", "fiscal_year_closing", ["agency_id", "fiscal_year_closing_id"])


def _ring_the_clock() -> None:
    """An accrual that is posted sets its agency's clock, whichever way it came into the books."""
    op.execute(
        """
        create function ring_journal_clock() returns trigger language plpgsql as $$
        begin
            insert into journal_clock as kept (entity_id, next_due_on) values (new.agency_id, new.reverse_on)
            on conflict (entity_id) do update set next_due_on = least(kept.next_due_on, excluded.next_due_on);
            return null;
        end
        $$
        """
    )
    op.execute("revoke all on function ring_journal_clock() from public")
    op.execute("grant execute on function ring_journal_clock() to finance_app")
    op.execute(
        "create trigger accrual_rings_the_clock after insert on journal_entry for each row"
        " when (new.reverse_on is not null) execute function ring_journal_clock()"
    )
