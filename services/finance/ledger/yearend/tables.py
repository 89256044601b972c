"""The table of year-end closings; their entries name them as source."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from chassis.tables import instant_field, json_field, uuid_key
from services.finance.tables import FinanceTable


class FiscalYearClosingRow(FinanceTable, table=True):
    """A closing of a year's results. `results` repeats its entries' lines, for the list.

    `open_estimates` are what of the budgets that outlive the year it left standing.
    """

    __tablename__ = "fiscal_year_closing"
    __table_args__ = (Index("ix_fiscal_year_closing_list", "agency_id", "fiscal_year_closing_id"),)

    fiscal_year_closing_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    year: int
    results: list[dict[str, Any]] = json_field()
    open_estimates: list[dict[str, Any]] = Field(
        sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": text("'[]'::jsonb")}
    )
    journal_entry_ids: list[str] = json_field()
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()
