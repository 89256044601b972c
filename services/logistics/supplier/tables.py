"""Suppliers, their debarments, and the legal entities that identity has told of."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, uuid_key
from services.logistics.tables import LogisticsTable


class LegalEntityRow(LogisticsTable, table=True):
    """A projection of identity's legal entities: the name alone."""

    __tablename__ = "legal_entity"

    legal_entity_id: UUID = uuid_key()
    display_name: str = Field(sa_type=Text)


class SupplierRow(LogisticsTable, table=True):
    """A supplier serves every agency, so it stands outside the agency wall."""

    __tablename__ = "supplier"
    __table_args__ = (UniqueConstraint("legal_entity_id"),)

    supplier_id: UUID = uuid_key()
    legal_entity_id: UUID = Field(sa_type=Uuid)
    display_name: str = Field(sa_type=Text)
    categories: list[str] = json_field()
    documents: list[dict[str, Any]] = json_field()
    created_at: datetime = instant_field()
    version: int = bigint_field()


class DebarmentRow(LogisticsTable, table=True):
    """A decision that bars a supplier from new orders; added, never edited."""

    __tablename__ = "debarment"
    __table_args__ = (
        Index("ix_debarment_supplier", "supplier_id", "valid_from"),
        CheckConstraint("valid_to is null or valid_to > valid_from", name="span"),
    )

    debarment_id: UUID = uuid_key()
    supplier_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("supplier.supplier_id"),))
    valid_from: date = Field(sa_type=Date)
    valid_to: date | None = Field(default=None, sa_type=Date, nullable=True)
    decision_number: str = Field(sa_type=Text)
    cause: str = Field(sa_type=Text)
    decided_by_person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()
