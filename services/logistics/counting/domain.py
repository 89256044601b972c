"""Stock counts: one person counts, another approves, the books follow (domain rules §6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from chassis.errors import FailedPrecondition
from services.logistics.requisition.domain import refuse_self_approval
from services.logistics.stock.domain import Position


class CountStatus(StrEnum):
    """Where a count stands."""

    DRAFT = "DRAFT"
    APPROVED = "APPROVED"


class CountNotOpen(FailedPrecondition):
    """The count has been approved already."""

    reason = "STOCK_COUNT_STATUS"


@dataclass(frozen=True)
class Count:
    """What was counted at a position."""

    stock_count_id: UUID
    agency_id: UUID
    position: Position
    fund_code: str
    counted_quantity: Decimal
    unit_price: Decimal | None
    currency: str
    cause: str
    counted_by_person_id: UUID
    created_at: datetime
    status: CountStatus = CountStatus.DRAFT
    approved_by_person_id: UUID | None = None
    stock_movement_id: UUID | None = None
    version: int = 1


def approve_count(count: Count, *, by: UUID) -> Count:
    """The count is approved by a person who did not count."""
    if count.status is not CountStatus.DRAFT:
        raise CountNotOpen(
            f"count {count.stock_count_id} is {count.status}; only a DRAFT one can be approved",
            metadata={"status": count.status},
        )
    refuse_self_approval(count.counted_by_person_id, by, f"count {count.stock_count_id}")
    return replace(count, status=CountStatus.APPROVED, approved_by_person_id=by, version=count.version + 1)
