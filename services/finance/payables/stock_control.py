"""Stock = control account at a common cut (domain rules §6): the last stock movement in the books, without a gap below.

What lies above the cut is in flight and does not count: receipts that were accrued before logistics' stock topic came
so far, and price variances that logistics has not numbered yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.money import Money
from services.finance.classification import mapping
from services.finance.payables import ordering_store


@dataclass(frozen=True)
class StockControl:
    """The control account at the cut."""

    stock_movement_number: int
    balance: Money
    account_code: str


def at_cut(session: Session, agency_id: UUID, *, on: date) -> StockControl:
    """The balance of the stock control account at the cut. `on` chooses the account that the pack names for stock."""
    account_code = mapping.account_for(session, "INV", on=on)
    row = ordering_store.stock_at_cut(session, agency_id, account_code)
    return StockControl(row.number, Money(int(row.balance), row.currency), account_code)
