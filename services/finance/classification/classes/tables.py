"""Tables of reporting classes and of what belongs to them. They belong to the whole government, as the chart does."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field

from chassis.tables import uuid_key
from services.finance.classification.segments import Segment
from services.finance.tables import FinanceTable

_SEGMENTS = ", ".join(f"'{one.value}'" for one in Segment)


class ReportingClassRow(FinanceTable, table=True):
    """One class of a scheme."""

    __tablename__ = "reporting_class"
    __table_args__ = (UniqueConstraint("scheme", "code"),)

    reporting_class_id: UUID = uuid_key()
    scheme: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    parent_code: str = Field(sa_type=Text)  # empty for a root
    display_name: str = Field(sa_type=Text)


class ClassMappingRow(FinanceTable, table=True):
    """One dated rule that gives a code of the chart its class."""

    __tablename__ = "class_mapping"
    __table_args__ = (
        CheckConstraint(f"segment in ({_SEGMENTS})", name="segment"),
        CheckConstraint("valid_to > valid_from", name="days"),
        UniqueConstraint("scheme", "segment_code", "valid_from"),
    )

    class_mapping_id: UUID = uuid_key()
    scheme: str = Field(sa_type=Text)
    segment: str = Field(sa_type=Text)
    segment_code: str = Field(sa_type=Text)
    class_code: str = Field(sa_type=Text)
    legal_source: str = Field(sa_type=Text)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)
