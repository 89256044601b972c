"""Payables acts."""

from __future__ import annotations

revision = "finance_0009"
down_revision = "finance_0008"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
