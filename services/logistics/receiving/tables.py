"""Receipts and their lines."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, minor_field, uuid_key
from services.logistics.tables import LogisticsTable, exact_field, text_field


class ReceiptRow(LogisticsTable, table=True):
    """A delivery. The database too refuses one that its receiver accepted (I9)."""

    __tablename__ = "receipt"
    __table_args__ = (
        Index("ix_receipt_agency", "agency_id", "receipt_id"),
        Index("ix_receipt_order", "purchase_order_id"),
        CheckConstraint("accepted_by_person_id <> received_by_person_id", name="two_persons"),
    )

    receipt_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    receipt_number: str = text_field()
    purchase_order_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("purchase_order.purchase_order_id"),))
    warehouse_id: UUID | None = Field(
        default=None, sa_type=Uuid, nullable=True, sa_column_args=(ForeignKey("warehouse.warehouse_id"),)
    )
    delivery_note: str = text_field()
    delivered_on: date = Field(sa_type=Date)
    currency: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    received_by_person_id: UUID = Field(sa_type=Uuid)
    accepted_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    accepted_on: date | None = Field(default=None, sa_type=Date, nullable=True)
    created_at: datetime = instant_field()
    accepted_at: datetime | None = instant_field(nullable=True)
    version: int = bigint_field()


class ReceiptLineRow(LogisticsTable, table=True):
    """One delivered thing."""

    __tablename__ = "receipt_line"
    __table_args__ = (
        Index("ix_receipt_line_receipt", "receipt_id", "ordinal"),
        Index("ix_receipt_line_order_line", "purchase_order_line_id"),
        CheckConstraint("delivered_quantity > 0", name="delivered_quantity"),
        CheckConstraint("accepted_quantity + rejected_quantity = delivered_quantity", name="inspected"),
    )

    receipt_line_id: UUID = uuid_key()
    receipt_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("receipt.receipt_id"),))
    agency_id: UUID = Field(sa_type=Uuid)
    ordinal: int
    purchase_order_line_id: UUID = Field(
        sa_type=Uuid, sa_column_args=(ForeignKey("purchase_order_line.purchase_order_line_id"),)
    )
    treatment: str = Field(sa_type=Text)
    lot: str = text_field()
    delivered_quantity: Decimal = exact_field()
    accepted_quantity: Decimal | None = exact_field(nullable=True)
    rejected_quantity: Decimal | None = exact_field(nullable=True)
    value_minor: int = minor_field()
    stock_movement_number: int = bigint_field()
