"""The columns of the foreign side of movements and positions: none is written for what has no foreign side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from services.finance.budget.buckets import BUCKET_NAMES, Buckets
from services.finance.budget.domain import Movement, Position
from services.finance.budget.foreign.held import ForeignChange, ForeignHeld

BUCKETS = [f"foreign_{name}_minor" for name in BUCKET_NAMES]
_POSITION_COLUMNS = {
    "foreign_currency": "text[]",
    "foreign_rated_on": "date[]",
    "foreign_total_minor": "bigint[]",
    "foreign_liquidated_minor": "bigint[]",
    **dict.fromkeys(BUCKETS, "bigint[]"),
}


def held_of(row: Row[Any]) -> ForeignHeld | None:
    """The foreign side of a row of funds_position."""
    if row.foreign_currency is None:
        return None
    buckets = Buckets(*(getattr(row, column) for column in BUCKETS))
    return ForeignHeld(
        row.foreign_currency, row.foreign_total_minor, row.foreign_liquidated_minor, buckets, row.foreign_rated_on
    )


def change_of(row: Row[Any]) -> ForeignChange | None:
    """The foreign side of a row of funds_movement."""
    if row.foreign_currency is None:
        return None
    return ForeignChange(
        row.foreign_currency, Buckets(*(getattr(row, column) for column in BUCKETS)), row.exchange_rate
    )


def movement_columns(movements: Sequence[Movement]) -> dict[str, list[Any]]:
    """The values by column, one for each movement; empty when none has a foreign side."""
    sides = [movement.foreign for movement in movements]
    if not any(sides):
        return {}
    return {
        "foreign_currency": [side and side.currency for side in sides],
        "exchange_rate": [side and side.rate for side in sides],
        **{column: [side and side.changes.amounts()[nth] for side in sides] for nth, column in enumerate(BUCKETS)},
    }


def position_columns(positions: Sequence[Position]) -> dict[str, str]:
    """The columns to write, with their array types; empty when no position has a foreign side."""
    return _POSITION_COLUMNS if any(position.foreign for position in positions) else {}


def position_values(position: Position) -> dict[str, Any]:
    """The values by column."""
    held = position.foreign
    if held is None:
        return dict.fromkeys(_POSITION_COLUMNS)
    return {
        "foreign_currency": held.currency,
        "foreign_rated_on": held.rated_on,
        "foreign_total_minor": held.total,
        "foreign_liquidated_minor": held.liquidated,
        **dict(zip(BUCKETS, held.buckets.amounts(), strict=True)),
    }
