"""Warehouses, the stock ledger, what is held, and each agency's cut."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, ForeignKey, Index, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, minor_field, uuid_key
from services.logistics.tables import LogisticsTable, exact_field, text_field


class WarehouseRow(LogisticsTable, table=True):
    """A place of an agency where stock is kept."""

    __tablename__ = "warehouse"
    __table_args__ = (UniqueConstraint("agency_id", "code"),)

    warehouse_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    code: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    created_at: datetime = instant_field()


class StockCutRow(LogisticsTable, table=True):
    """The last movement number of an agency. Its row lock orders the agency's movements."""

    __tablename__ = "stock_cut"

    agency_id: UUID = uuid_key()
    last_number: int = bigint_field()


class StockMovementRow(LogisticsTable, table=True):
    """A movement: added, never edited (the app role has no UPDATE on it)."""

    __tablename__ = "stock_movement"
    __table_args__ = (
        UniqueConstraint("agency_id", "stock_movement_number"),
        Index(
            "ix_stock_movement_history", "agency_id", "item_id", "fund_code", "effective_at", "stock_movement_number"
        ),
        Index("ix_stock_movement_corrected", "corrected_movement_id"),
        Index("ix_stock_movement_order_line", "purchase_order_line_id"),
    )

    stock_movement_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    stock_movement_number: int = bigint_field()
    kind: str = Field(sa_type=Text)
    item_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("item.item_id"),))
    warehouse_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("warehouse.warehouse_id"),))
    fund_code: str = text_field()
    lot: str = text_field()
    quantity: Decimal = exact_field()
    value_minor: int = minor_field()
    currency: str = Field(sa_type=Text)
    # Whether its value was given (a receipt, a count with a price) and not found by the method.
    priced: bool
    effective_at: datetime = instant_field()
    effective_on: date = Field(sa_type=Date)
    accounting_on: date = Field(sa_type=Date)
    recorded_at: datetime = instant_field()
    corrected_movement_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    cause_movement_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    value_before_minor: int | None = minor_field(nullable=True)
    value_after_minor: int | None = minor_field(nullable=True)
    linked_movement_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    receipt_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    purchase_order_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    stock_count_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    invoice_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    purpose: str = text_field()
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class StockPositionRow(LogisticsTable, table=True):
    """What a position holds: derived from its movements (verify replays them), kept so that an issue need not."""

    __tablename__ = "stock_position"

    agency_id: UUID = uuid_key()
    fund_code: str = Field(sa_type=Text, primary_key=True)
    item_id: UUID = Field(sa_type=Uuid, primary_key=True, sa_column_args=(ForeignKey("item.item_id"),))
    warehouse_id: UUID = Field(sa_type=Uuid, primary_key=True, sa_column_args=(ForeignKey("warehouse.warehouse_id"),))
    lot: str = Field(sa_type=Text, primary_key=True)
    quantity: Decimal = exact_field()
    value_minor: int = minor_field()
    currency: str = Field(sa_type=Text)
    layers: list[Any] = json_field()  # [[quantity, value_minor], …], the oldest first
    shortages: list[Any] = json_field()  # [[movement id, quantity, value_minor], …], the oldest first
    last_unit_cost: str = text_field()  # a fraction of minor units, "1234/7"; empty: none
    last_effective_at: datetime = instant_field()
