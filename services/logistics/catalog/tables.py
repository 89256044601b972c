"""The catalog's table."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, uuid_key
from services.logistics.tables import LogisticsTable, text_field


class ItemRow(LogisticsTable, table=True):
    """A good or service. The catalog is the whole government's, so it stands outside the agency wall."""

    __tablename__ = "item"
    __table_args__ = (UniqueConstraint("code"),)

    item_id: UUID = uuid_key()
    code: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    unit_of_measure: str = Field(sa_type=Text)
    treatment: str = Field(sa_type=Text)
    valuation_method: str | None = Field(default=None, sa_type=Text, nullable=True)
    negative_allowed: bool
    unspsc_code: str = text_field()
    expenditure_account_code: str = text_field()
    active: bool
    created_at: datetime = instant_field()
    version: int = bigint_field()
