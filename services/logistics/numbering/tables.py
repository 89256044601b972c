"""The last number of each series of documents."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Text
from sqlmodel import Field

from chassis.tables import bigint_field, uuid_key
from services.logistics.tables import LogisticsTable


class NumberSeriesRow(LogisticsTable, table=True):
    """A series: kind of document, agency, year."""

    __tablename__ = "number_series"

    agency_id: UUID = uuid_key()
    series: str = Field(sa_type=Text, primary_key=True)
    year: int = Field(primary_key=True)
    last_number: int = bigint_field()
