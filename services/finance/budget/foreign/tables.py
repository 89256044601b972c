"""Tables of revaluations of foreign commitments; they are only ever added. The clock is a round's memory."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class FundsRevaluationRow(FinanceTable, table=True):
    """A revaluation of what an agency, or one of its lines, reserves and obligates in foreign currencies."""

    __tablename__ = "funds_revaluation"
    __table_args__ = (Index("ix_funds_revaluation_list", "agency_id", "funds_revaluation_id"),)

    funds_revaluation_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    document_number: str = Field(sa_type=Text)
    revalued_on: date
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    budget_override_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    recorded_at: datetime = instant_field()


class FundsRevaluationItemRow(FinanceTable, table=True):
    """What a revaluation did to one document line on one budget line."""

    __tablename__ = "funds_revaluation_item"

    funds_revaluation_id: UUID = uuid_key()
    document_line_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    funds_movement_id: UUID = Field(sa_type=Uuid)
    exchange_rate_id: UUID = Field(sa_type=Uuid)
    foreign_currency: str = Field(sa_type=Text)
    foreign_minor: int = minor_field()
    carrying_minor: int = minor_field()
    revalued_minor: int = minor_field()


class ForeignCommitmentClockRow(FinanceTable, table=True):
    """When an agency that commits in foreign currencies is next revalued by the service itself."""

    __tablename__ = "foreign_commitment_clock"

    committed_agency_id: UUID = uuid_key()
    due_on: date
