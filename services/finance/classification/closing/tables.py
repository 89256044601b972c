"""Tables of reopenings and issued statements."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, json_field, uuid_key
from services.finance.tables import FinanceTable


class FiscalPeriodReopeningRow(FinanceTable, table=True):
    """A proposal to bring a period one step back, decided once."""

    __tablename__ = "fiscal_period_reopening"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint("from_state in ('SOFT_CLOSED', 'HARD_CLOSED')", name="from_state"),
        # Trust I9: the database too keeps maker and checker apart.
        CheckConstraint(
            "status = 'RECALLED' or decided_by_person_id <> proposed_by_person_id", name="maker_is_not_checker"
        ),
        CheckConstraint("(status = 'PROPOSED') = (decided_by_person_id is null)", name="decided_by_somebody"),
        Index(
            "uq_fiscal_period_reopening_pending",
            *("agency_id", "year", "number"),
            unique=True,
            postgresql_where=text("status = 'PROPOSED'"),
        ),
        Index("ix_fiscal_period_reopening_list", "agency_id", "fiscal_period_reopening_id"),
    )

    fiscal_period_reopening_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    year: int
    number: int = Field(sa_type=SmallInteger)
    areas: list[str] = json_field()
    reason: str = Field(sa_type=Text)
    from_state: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)


class FinancialStatementsRow(FinanceTable, table=True):
    """The issue of a year's statements: at most one, and never taken back."""

    __tablename__ = "financial_statements"

    agency_id: UUID = uuid_key()
    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    issued_on: date
    document_number: str = Field(sa_type=Text)
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()
