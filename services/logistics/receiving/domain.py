"""Receipts: what was delivered, and what of it was accepted (BAST). Only accepted goods have value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money, total
from services.logistics.catalog.domain import Treatment
from services.logistics.ordering.domain import Acceptance, Order
from services.logistics.pricing.domain import shown
from services.logistics.requisition.domain import refuse_self_approval


class Status(StrEnum):
    """Where a receipt stands."""

    DELIVERED = "DELIVERED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"


class ReceiptNotOpen(FailedPrecondition):
    """The receipt has been inspected already."""

    reason = "RECEIPT_STATUS"


@dataclass(frozen=True)
class Line:
    """One delivered thing."""

    receipt_line_id: UUID
    purchase_order_line_id: UUID
    treatment: Treatment
    delivered_quantity: Decimal
    lot: str = ""
    accepted_quantity: Decimal | None = None
    rejected_quantity: Decimal | None = None
    value_minor: int = 0
    stock_movement_number: int = 0


@dataclass(frozen=True)
class Receipt:
    """A delivery."""

    receipt_id: UUID
    agency_id: UUID
    purchase_order_id: UUID
    warehouse_id: UUID | None
    delivery_note: str
    delivered_on: date
    currency: str
    lines: tuple[Line, ...]
    status: Status
    received_by_person_id: UUID
    created_at: datetime
    receipt_number: str = ""
    accepted_on: date | None = None
    accepted_by_person_id: UUID | None = None
    accepted_at: datetime | None = None
    version: int = 1

    @property
    def value(self) -> Money:
        """The value of what was accepted."""
        return Money(total(line.value_minor for line in self.lines), self.currency)


@dataclass(frozen=True)
class Inspection:
    """The outcome of inspecting one line."""

    receipt_line_id: UUID
    accepted_quantity: Decimal
    rejected_quantity: Decimal


@dataclass(frozen=True)
class StockEntered:
    """The stock movement that a receipt line made."""

    receipt_line_id: UUID
    stock_movement_id: UUID
    stock_movement_number: int


@dataclass(frozen=True)
class GoodsAccepted:
    """Event: goods or services were accepted, the debt exists."""

    receipt: Receipt
    order: Order
    acceptances: tuple[tuple[Line, Acceptance], ...]
    entered: tuple[StockEntered, ...]


def inspect(
    receipt: Receipt, inspections: tuple[Inspection, ...], *, by: UUID, at: datetime, on: date, today: date
) -> Receipt:
    """The receipt with accepted and rejected quantities; together they are what was delivered, line by line."""
    if receipt.status is not Status.DELIVERED:
        raise ReceiptNotOpen(
            f"receipt {receipt.receipt_id} is {receipt.status}; only a DELIVERED one can be inspected",
            metadata={"status": receipt.status, "receipt_id": str(receipt.receipt_id)},
        )
    refuse_self_approval(receipt.received_by_person_id, by, f"receipt {receipt.receipt_id}")
    if not receipt.delivered_on <= on <= today:
        raise InvalidArgument.field(
            "accepted_on", f"{on} is not from the delivery on {receipt.delivered_on} to today, {today}"
        )
    by_line = {inspection.receipt_line_id: inspection for inspection in inspections}
    ours = {line.receipt_line_id for line in receipt.lines}
    if len(by_line) != len(inspections) or set(by_line) != ours:
        raise InvalidArgument.field("inspections", f"one for each of the {len(ours)} lines of the receipt is needed")
    lines = tuple(_inspected(line, by_line[line.receipt_line_id]) for line in receipt.lines)
    anything = any(line.accepted_quantity for line in lines)
    return replace(
        receipt,
        lines=lines,
        status=Status.ACCEPTED if anything else Status.REJECTED,
        accepted_on=on,
        accepted_by_person_id=by,
        accepted_at=at,
        version=receipt.version + 1,
    )


def _inspected(line: Line, inspection: Inspection) -> Line:
    inspected = inspection.accepted_quantity + inspection.rejected_quantity
    if inspected != line.delivered_quantity:
        raise InvalidArgument.field(
            "inspections",
            f"line {line.receipt_line_id}: {shown(inspection.accepted_quantity)} accepted and "
            f"{shown(inspection.rejected_quantity)} rejected are not the {shown(line.delivered_quantity)} delivered",
        )
    return replace(
        line,
        accepted_quantity=inspection.accepted_quantity,
        rejected_quantity=inspection.rejected_quantity,
    )


def accepted_quantities(receipt: Receipt) -> tuple[tuple[UUID, Decimal], ...]:
    """What was accepted of which order line, in the receipt's order; lines rejected in full are left out."""
    return tuple(
        (line.purchase_order_line_id, line.accepted_quantity) for line in receipt.lines if line.accepted_quantity
    )


def valued(
    receipt: Receipt, acceptances: tuple[tuple[Line, Acceptance], ...], entered: tuple[StockEntered, ...], number: str
) -> Receipt:
    """The receipt with the values, stock movement numbers and legal number that its acceptance gave it."""
    values = {line.receipt_line_id: acceptance.value.minor for line, acceptance in acceptances}
    numbers = {each.receipt_line_id: each.stock_movement_number for each in entered}
    lines = tuple(
        replace(
            line,
            value_minor=values.get(line.receipt_line_id, 0),
            stock_movement_number=numbers.get(line.receipt_line_id, 0),
        )
        for line in receipt.lines
    )
    return replace(receipt, lines=lines, receipt_number=number)


@dataclass(frozen=True)
class DeliveredLine:
    """A delivered thing as its receiver writes it down."""

    purchase_order_line_id: UUID
    quantity: Decimal
    lot: str


@dataclass(frozen=True)
class Delivery:
    """A delivery as its receiver writes it down."""

    agency_id: UUID
    purchase_order_id: UUID
    warehouse_id: UUID | None
    delivery_note: str
    delivered_on: date
    lines: tuple[DeliveredLine, ...]
