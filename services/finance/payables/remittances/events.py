"""What happened to a remittance, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row


@dataclass(frozen=True)
class WithholdingRemitted:
    """The bank debited the payment of a remittance."""

    withholding_remittance_id: UUID
    agency_id: UUID
    withholding_code: str
    creditor: str
    currency: str
    amount_minor: int
    payment_order_id: UUID
    remitted_on: date
    version: int


@dataclass(frozen=True)
class WithholdingReceiptRecorded:
    """The creditor's receipt was recorded: `row` is the remittance with it."""

    row: Row[Any]
