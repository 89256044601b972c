"""What happened to a charge of late interest, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True)
class LateInterestApproved:
    """Interest is owed: `row` is the approved charge."""

    row: Row[Any]
