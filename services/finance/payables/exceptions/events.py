"""What happened to a held invoice's exception, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True)
class InvoiceExceptionChanged:
    """It was opened, assigned, put to the supplier, decided or resolved: `row` is its new version."""

    row: Row[Any]
