"""The tables of positions and of the budget lines that bear them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import bigint_field, minor_field, uuid_key
from services.hr.tables import HrTable


class PositionRow(HrTable, table=True):
    """One seat. `state` is VACANT or FILLED."""

    __tablename__ = "position"
    __table_args__ = (
        UniqueConstraint("agency_id", "code"),
        Index("ix_position_unit", "unit_id"),
        CheckConstraint("functional_allowance_minor >= 0", name="allowance_not_negative"),
    )

    position_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    unit_id: UUID = Field(sa_type=Uuid, foreign_key="unit.unit_id")
    code: str = Field(sa_type=Text)
    title: str = Field(sa_type=Text)
    staff_kind: str = Field(sa_type=Text)
    position_kind: str = Field(sa_type=Text)
    echelon: str = Field(sa_type=Text)
    functional_allowance_minor: int = minor_field()
    state: str = Field(sa_type=Text)
    version: int = bigint_field()


class PositionFundingRow(HrTable, table=True):
    """Which budget line bears which component in a fiscal year."""

    __tablename__ = "position_funding"

    position_id: UUID = Field(sa_type=Uuid, primary_key=True, foreign_key="position.position_id")
    fiscal_year: int = Field(primary_key=True)
    component: str = Field(sa_type=Text, primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    budget_line_id: UUID = Field(sa_type=Uuid)
