"""Preparation."""

from __future__ import annotations

revision = "finance_0011"
down_revision = "finance_0010"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
