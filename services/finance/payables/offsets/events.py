"""What happened to an offset, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True)
class CreditOffsetApproved:
    """A creditor's debt was set off: `row` is the approved offset."""

    row: Row[Any]
