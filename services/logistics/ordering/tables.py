"""Purchase orders and their lines."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, minor_field, uuid_key
from services.logistics.tables import LogisticsTable, exact_field, text_field


class PurchaseOrderRow(LogisticsTable, table=True):
    """An order. The database too refuses one that its maker signed (I9)."""

    __tablename__ = "purchase_order"
    __table_args__ = (
        Index("ix_purchase_order_agency", "agency_id", "purchase_order_id"),
        Index("ix_purchase_order_requisition", "requisition_id"),
        Index("ix_purchase_order_supplier", "supplier_id"),
        CheckConstraint("signed_by_person_id <> made_by_person_id", name="two_persons"),
    )

    purchase_order_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    purchase_order_number: str = text_field()
    requisition_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("requisition.requisition_id"),))
    supplier_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("supplier.supplier_id"),))
    legal_entity_id: UUID = Field(sa_type=Uuid)
    currency: str = Field(sa_type=Text)
    deliver_by: date = Field(sa_type=Date)
    status: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    paid_minor: int = minor_field()
    made_by_person_id: UUID = Field(sa_type=Uuid)
    signed_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    cancelled_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    cancel_cause: str = text_field()
    refusal: dict[str, Any] | None = json_field(nullable=True)
    created_at: datetime = instant_field()
    signed_at: datetime | None = instant_field(nullable=True)
    issued_on: date | None = Field(default=None, sa_type=Date, nullable=True)
    version: int = bigint_field()


class PurchaseOrderLineRow(LogisticsTable, table=True):
    """One thing that is ordered, and how far it has come."""

    __tablename__ = "purchase_order_line"
    __table_args__ = (
        Index("ix_purchase_order_line_order", "purchase_order_id", "ordinal"),
        Index("ix_purchase_order_line_requisition_line", "requisition_line_id"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint(
            "accepted_quantity >= 0 and cancelled_quantity >= 0 and accepted_quantity + cancelled_quantity <= quantity",
            name="accepted_quantity",
        ),
        CheckConstraint("invoiced_quantity between 0 and quantity", name="invoiced_quantity"),
    )

    purchase_order_line_id: UUID = uuid_key()
    purchase_order_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("purchase_order.purchase_order_id"),))
    agency_id: UUID = Field(sa_type=Uuid)
    ordinal: int
    requisition_line_id: UUID = Field(
        sa_type=Uuid, sa_column_args=(ForeignKey("requisition_line.requisition_line_id"),)
    )
    item_id: UUID | None = Field(
        default=None, sa_type=Uuid, nullable=True, sa_column_args=(ForeignKey("item.item_id"),)
    )
    description: str = Field(sa_type=Text)
    quantity: Decimal = exact_field()
    unit_price: Decimal = exact_field()
    tax_rate: Decimal = exact_field()
    budget_line_id: UUID = Field(sa_type=Uuid)
    fund_code: str = text_field()
    treatment: str = Field(sa_type=Text)
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    final: bool
    accepted_quantity: Decimal = exact_field()
    accepted_value_minor: int = minor_field()
    cancelled_quantity: Decimal = exact_field()
    invoiced_quantity: Decimal = exact_field()
    invoiced_minor: int = minor_field()
