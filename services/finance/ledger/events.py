"""Facts of the ledger, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from services.finance.ledger.domain import Posted


@dataclass(frozen=True)
class EntryPosted:
    """An entry stands in the books."""

    posted: Posted


@dataclass(frozen=True)
class Expended:
    """What a manual entry spent of one budget line (or, by reversal, gave back: below zero)."""

    budget_line_id: UUID
    funds_movement_id: UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class FundsExpendedDirectly:
    """A manual entry spent budget lines, straight from what they had available."""

    posted: Posted
    items: tuple[Expended, ...]
