"""What happened to a charge of the bank, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True)
class BankChargeBooked:
    """A fee or interest of the bank is in the books: `row` is the approved charge."""

    row: Row[Any]
