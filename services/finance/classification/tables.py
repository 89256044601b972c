"""Tables of the classification. The chart belongs to the whole government; years and periods to an agency."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.tables import FinanceTable


class AccountRow(FinanceTable, table=True):
    """One account of the chart on [valid_from, valid_to)."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("code", "valid_from"),)

    account_id: UUID = uuid_key()
    code: str = Field(sa_type=Text)
    parent_code: str = Field(sa_type=Text)  # empty for a root
    display_name: str = Field(sa_type=Text)
    english_name: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    normal_side: str = Field(sa_type=Text)
    basis: str = Field(sa_type=Text)
    postable: bool
    control: bool
    funds_control: bool
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)


class DimensionValueRow(FinanceTable, table=True):
    """One value of a dimension on [valid_from, valid_to)."""

    __tablename__ = "dimension_value"
    __table_args__ = (UniqueConstraint("kind", "code", "valid_from"),)

    dimension_value_id: UUID = uuid_key()
    kind: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    parent_code: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)


class AccountMappingRow(FinanceTable, table=True):
    """One dated rule that gives the account for a role and a budget code."""

    __tablename__ = "account_mapping"
    __table_args__ = (UniqueConstraint("role", "expenditure_prefix", "valid_from"),)

    account_mapping_id: UUID = uuid_key()
    role: str = Field(sa_type=Text)
    expenditure_prefix: str = Field(sa_type=Text)
    method: str = Field(sa_type=Text)
    account_code: str = Field(sa_type=Text)
    legal_source: str = Field(sa_type=Text)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)


class FiscalYearRow(FinanceTable, table=True):
    """A fiscal year of one agency's books."""

    __tablename__ = "fiscal_year"
    __table_args__ = (UniqueConstraint("agency_id", "year"),)

    fiscal_year_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    year: int
    functional_currency: str = Field(sa_type=Text)


class FiscalPeriodRow(FinanceTable, table=True):
    """One period of an agency's year in one area. Postings hold its row shared, a close takes it exclusively."""

    __tablename__ = "fiscal_period"
    __table_args__ = (
        UniqueConstraint("agency_id", "area", "year", "number"),
        CheckConstraint("state in ('FUTURE', 'OPEN', 'SOFT_CLOSED', 'HARD_CLOSED')", name="state"),
        Index("ix_fiscal_period_days", "agency_id", "area", "starts_on", "ends_on"),
    )

    fiscal_period_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    year: int
    number: int
    area: str = Field(sa_type=Text)
    starts_on: date
    ends_on: date
    state: str = Field(sa_type=Text)
    changed_at: datetime = instant_field()
