"""A payroll run keeps the fiscal year that bears it; what was paid for a month is found by employment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "hr_0002"
down_revision = "hr_0001"


def upgrade() -> None:
    """Until now a fiscal year was the calendar year of the month, so that is what runs were charged to."""
    op.add_column("payroll_run", sa.Column("fiscal_year", sa.Integer(), nullable=True))
    # The owner is behind the wall as well; what is filled in here concerns every agency.
    op.execute("alter table payroll_run no force row level security")
    op.execute("update payroll_run set fiscal_year = year")
    op.execute("alter table payroll_run force row level security")
    op.alter_column("payroll_run", "fiscal_year", nullable=False)
    op.create_index("ix_payslip_line_for", "payslip_line", ["employee_id", "for_year", "for_month"])


def downgrade() -> None:
    """Take both away: the month still tells the calendar year."""
    op.drop_index("ix_payslip_line_for", "payslip_line")
    op.drop_column("payroll_run", "fiscal_year")
