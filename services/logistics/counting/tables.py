"""Stock counts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, uuid_key
from services.logistics.tables import LogisticsTable, exact_field, text_field


class StockCountRow(LogisticsTable, table=True):
    """A count. The database too refuses one that its counter approved (I9)."""

    __tablename__ = "stock_count"
    __table_args__ = (
        Index("ix_stock_count_agency", "agency_id", "stock_count_id"),
        CheckConstraint("approved_by_person_id <> counted_by_person_id", name="two_persons"),
    )

    stock_count_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    warehouse_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("warehouse.warehouse_id"),))
    item_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("item.item_id"),))
    fund_code: str = text_field()
    lot: str = text_field()
    counted_quantity: Decimal = exact_field()
    unit_price: Decimal | None = exact_field(nullable=True)
    currency: str = Field(sa_type=Text)
    cause: str = text_field()
    status: str = Field(sa_type=Text)
    counted_by_person_id: UUID = Field(sa_type=Uuid)
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    stock_movement_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    created_at: datetime = instant_field()
    version: int = bigint_field()
