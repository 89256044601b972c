"""Closings of years within the span of a budget: what of its estimate they left standing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "finance_0020"
down_revision = "finance_0019"


def upgrade() -> None:
    """A closing keeps the estimates that stand on after it."""
    op.add_column(
        "fiscal_year_closing",
        sa.Column(
            "open_estimates",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    """Forget what stood on; the ledger and the funds still say it."""
    op.drop_column("fiscal_year_closing", "open_estimates")
