"""What happened to contracts that are paid by bills, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.finance.billing.domain import BilledLine


@dataclass(frozen=True)
class BillCertified:
    """The work of a bill is done and owed."""

    bill_id: UUID
    agency_id: UUID
    contract_id: UUID
    supplier_id: UUID
    certified_on: date
    currency: str
    lines: tuple[BilledLine, ...]
    final: bool
    version: int
