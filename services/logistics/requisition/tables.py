"""Requisitions and their lines."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, minor_field, uuid_key
from services.logistics.tables import LogisticsTable, exact_field, text_field


class RequisitionRow(LogisticsTable, table=True):
    """A requisition. The database too refuses one that its maker approved (I9)."""

    __tablename__ = "requisition"
    __table_args__ = (
        Index("ix_requisition_agency", "agency_id", "requisition_id"),
        CheckConstraint("approved_by_person_id <> requested_by_person_id", name="two_persons"),
    )

    requisition_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    requisition_number: str = text_field()
    purpose: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    needed_on: date = Field(sa_type=Date)
    status: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    requested_by_person_id: UUID = Field(sa_type=Uuid)
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    cancelled_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    cancel_cause: str = text_field()
    refusal: dict[str, Any] | None = json_field(nullable=True)
    created_at: datetime = instant_field()
    approved_at: datetime | None = instant_field(nullable=True)
    version: int = bigint_field()


class RequisitionLineRow(LogisticsTable, table=True):
    """One thing that is asked for; orders take its quantity."""

    __tablename__ = "requisition_line"
    __table_args__ = (
        Index("ix_requisition_line_requisition", "requisition_id", "ordinal"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("ordered_quantity between 0 and quantity", name="ordered_quantity"),
    )

    requisition_line_id: UUID = uuid_key()
    requisition_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("requisition.requisition_id"),))
    agency_id: UUID = Field(sa_type=Uuid)
    ordinal: int
    item_id: UUID | None = Field(
        default=None, sa_type=Uuid, nullable=True, sa_column_args=(ForeignKey("item.item_id"),)
    )
    description: str = Field(sa_type=Text)
    quantity: Decimal = exact_field()
    estimated_unit_price: Decimal = exact_field()
    tax_rate: Decimal = exact_field()
    budget_line_id: UUID = Field(sa_type=Uuid)
    fund_code: str = text_field()
    treatment: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    ordered_quantity: Decimal = exact_field()
    closed: bool
