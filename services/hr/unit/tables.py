"""The table of units."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, uuid_key
from services.hr.tables import HrTable


class UnitRow(HrTable, table=True):
    """One organisational unit."""

    __tablename__ = "unit"
    __table_args__ = (UniqueConstraint("agency_id", "code"),)

    unit_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    parent_unit_id: UUID | None = Field(default=None, sa_type=Uuid, foreign_key="unit.unit_id", nullable=True)
    code: str = Field(sa_type=Text)
    title: str = Field(sa_type=Text)
    version: int = bigint_field()
