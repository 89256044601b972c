"""What happened to withholding slips, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class WithholdingSlipIssued:
    """A slip has its number."""

    withholding_slip_id: UUID
    agency_id: UUID
    payment_order_id: UUID
    creditor: str
    withholding_code: str
    currency: str
    amount_minor: int
    withheld_on: date
    slip_number: str
    version: int
