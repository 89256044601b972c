"""Foreign commitments."""

from __future__ import annotations

revision = "finance_0010"
down_revision = "finance_0009"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
