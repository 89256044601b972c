"""What happened to imprests, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class Validated:
    """One validated voucher."""

    imprest_voucher_id: UUID
    budget_line_id: UUID
    amount_minor: int


@dataclass(frozen=True)
class ImprestVouchersValidated:
    """Vouchers are expenditure of the budget."""

    imprest_id: UUID
    agency_id: UUID
    currency: str
    vouchers: tuple[Validated, ...]
    validated_on: date
    version: int


@dataclass(frozen=True)
class ImprestSettled:
    """An imprest was ended."""

    imprest_id: UUID
    agency_id: UUID
    currency: str
    returned_minor: int
    settled_on: date
    version: int
