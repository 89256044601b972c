"""Tables of contracts of several years."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class MultiYearAuthorisationRow(FinanceTable, table=True):
    """A contract of several years under a ceiling: PROPOSED by one person, decided by another."""

    __tablename__ = "multi_year_authorisation"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint("0 < price_minor and price_minor <= ceiling_minor", name="price"),
        CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name="two_persons",
        ),
        UniqueConstraint("agency_id", "document_number"),
    )

    multi_year_authorisation_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    document_number: str = Field(sa_type=Text)
    legal_reference: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    contract_id: UUID = Field(sa_type=Uuid)
    contract_number: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    ceiling_minor: int = minor_field()
    price_minor: int = minor_field()
    effective_on: date
    status: str = Field(sa_type=Text)
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)
    version: int


class MultiYearSliceRow(FinanceTable, table=True):
    """One year's part of a contract: obligated on a line since a day, or waiting for its year."""

    __tablename__ = "multi_year_slice"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("obligated_on is null or budget_line_id is not null", name="line"),
        Index(
            "ix_multi_year_slice_waiting",
            "agency_id",
            "fiscal_year",
            postgresql_where=text("obligated_on is null"),
        ),
    )

    multi_year_authorisation_id: UUID = uuid_key()
    fiscal_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    amount_minor: int = minor_field()
    document_line_id: UUID = Field(sa_type=Uuid)
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    obligated_on: date | None = Field(default=None, nullable=True)
    exception: str = Field(sa_type=Text)
