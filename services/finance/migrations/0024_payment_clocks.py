"""Days by which each step of a payment is due, the budget user's statement of responsibility, what was received and
not invoiced for too long, and when the books of an agency were proved last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0024"
down_revision = "finance_0023"


def upgrade() -> None:
    """Make the tables and columns; agencies that keep books already are proved like those to come."""
    _create_payment_clocks()
    _keep_statements()
    op.create_index(
        "ix_purchase_order_line_uninvoiced",
        "purchase_order_line",
        ["agency_id", "purchase_order_line_id"],
        unique=False,
        postgresql_where=sa.text("accepted_minor > returned_minor + cleared_minor"),
    )
    _create_proof_clock()


def downgrade() -> None:
    """Which payments were late is on record for good: restore a backup instead."""
    raise NotImplementedError("what was late, and what was stated, is not forgotten; restore a backup")


def _create_payment_clocks() -> None:
    op.create_table(
        "payment_clock",
        sa.Column("payment_request_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("return_due_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint("step in ('AUTHORISATION', 'ORDER')", name=op.f("ck_payment_clock_step")),
        sa.CheckConstraint("outcome in ('DONE', 'RETURNED', 'WITHDRAWN')", name=op.f("ck_payment_clock_outcome")),
        sa.CheckConstraint(
            "(ended_on is null) = (outcome is null)", name=op.f("ck_payment_clock_ended_with_an_outcome")
        ),
        sa.PrimaryKeyConstraint("payment_request_id", "step", name=op.f("pk_payment_clock")),
    )
    op.create_index(
        "ix_payment_clock_list",
        "payment_clock",
        ["agency_id", "due_on", "payment_request_id", "step"],
        unique=False,
    )
    migrate.secure(op, "finance", "payment_clock")


def _keep_statements() -> None:
    op.add_column("payment_request", sa.Column("statement_signed_on", sa.Date(), nullable=True))
    op.add_column("payment_request", sa.Column("statement_sha256", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_payment_request_statement_whole"),
        "payment_request",
        "(statement_signed_on is null) = (statement_sha256 is null)",
    )
    op.create_check_constraint(
        op.f("ck_payment_request_statement_digest"), "payment_request", "statement_sha256 ~ '^[0-9a-f]{64}$'"
    )


def _create_proof_clock() -> None:
    # Outside of the agency wall, as the service's own round has no agency before it reads this: ids and days alone.
    op.create_table(
        "proof_clock",
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("proved_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_proof_clock")),
    )
    migrate.secure(op, "finance", "proof_clock", agency=False)
    # A table's wall is its owner's too, and lifted while its rows are read.
    op.execute("alter table fiscal_year no force row level security")
    op.execute("insert into proof_clock (entity_id) select distinct agency_id from fiscal_year")
    op.execute("alter table fiscal_year force row level security")
    op.execute(
        """
        create function wind_proof_clock() returns trigger language plpgsql as $$
        begin
            insert into proof_clock (entity_id) values (new.agency_id) on conflict do nothing;
            return null;
        end $$
        """
    )
    op.execute("revoke all on function wind_proof_clock() from public")
    op.execute("grant execute on function wind_proof_clock() to finance_app")
    op.execute(
        "create trigger fiscal_year_proved after insert on fiscal_year for each row execute function wind_proof_clock()"
    )
