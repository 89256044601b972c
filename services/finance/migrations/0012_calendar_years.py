"""Calendar years."""

from __future__ import annotations

revision = "finance_0012"
down_revision = "finance_0011"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
