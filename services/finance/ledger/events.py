"""Facts of the ledger, before they become messages (wire.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.finance.ledger.domain import Posted


@dataclass(frozen=True)
class EntriesPosted:
    """Entries of one agency stand in the books; they came there in one transaction, in this order."""

    entries: Sequence[Posted]
