"""What the funds of an agency owe one another, line by line; bank accounts follow the chart."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0025"
down_revision = "finance_0024"


# Every code that an account has had since `p_since`: its own, then its default successors of days before `p_until`
# (null: without end). A code may be used anew after it ended, so only what followed it from then on counts.
_HEIRS = """
    create function account_heirs(p_code text, p_since date, p_until date) returns text[]
    language sql stable as $$
        with recursive heir (code, since, number) as (
            select p_code, p_since, 0
            union all
            select s.new_code, s.effective_on, heir.number + 1
            from heir
            cross join lateral (
                select c.new_code, c.effective_on from code_succession c
                where c.segment = 'ACCOUNT' and c.old_code = heir.code and c.is_default
                  and c.effective_on > heir.since and (p_until is null or c.effective_on < p_until)
                order by c.effective_on limit 1
            ) s
            where heir.number < 32
        )
        select array_agg(code order by number) from heir
    $$
"""


def upgrade() -> None:
    """Keep the other fund of each line between two funds, and how the funds of a template's entries balance.

    A bank account goes on under the codes that follow its cash account. No rule judges lines that the engine makes.
    """
    op.execute(_HEIRS)
    op.execute(Path(__file__).with_name("0025_posting_faults.sql").read_text(encoding="utf-8"))
    op.execute("revoke all on function account_heirs(text, date, date) from public")
    op.execute("grant execute on function account_heirs(text, date, date) to finance_app, finance_reader")
    op.create_table(
        "interfund_line",
        sa.Column("journal_entry_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("counterpart_fund_code", sa.Text(), nullable=False),
        sa.CheckConstraint("fund_code <> counterpart_fund_code", name=op.f("ck_interfund_line_two_funds")),
        sa.PrimaryKeyConstraint("journal_entry_id", "line_no", name=op.f("pk_interfund_line")),
    )
    op.create_index(
        "ix_interfund_line_pair", "interfund_line", ["agency_id", "fund_code", "counterpart_fund_code", "basis"]
    )
    migrate.secure(op, "finance", "interfund_line", app="select, insert")
    op.add_column("journal_template", sa.Column("balancing", sa.Text(), nullable=False, server_default="GIVEN"))
    op.alter_column("journal_template", "balancing", server_default=None)
    op.create_check_constraint(
        op.f("ck_journal_template_balancing"), "journal_template", "balancing in ('GIVEN', 'DUE')"
    )


def downgrade() -> None:
    """What funds owe one another is not forgotten: restore a backup instead."""
    raise NotImplementedError("what funds owe one another is not taken back; restore a backup")
