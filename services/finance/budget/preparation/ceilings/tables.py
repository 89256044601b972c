"""Tables of ceilings. A decided document is never edited."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, SmallInteger, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.budget.preparation.tables import minors_field
from services.finance.tables import FinanceTable


class BudgetCeilingRow(FinanceTable, table=True):
    """One ceiling document (KUA-PPAS): PROPOSED by one person, decided by another."""

    __tablename__ = "budget_ceiling"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name="two_persons",
        ),
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
    )

    budget_ceiling_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    document_number: str = Field(sa_type=Text)
    legal_reference: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    effective_on: date
    status: str = Field(sa_type=Text)
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)
    version: int


class BudgetCeilingHeadRow(FinanceTable, table=True):
    """One head of a ceiling document; its version is given by the approval."""

    __tablename__ = "budget_ceiling_head"
    __table_args__ = (
        CheckConstraint("0 <= all (amounts_minor)", name="amounts"),
        UniqueConstraint(
            *("budget_ceiling_id", "organisation_code", "program_code", "account_code"),
            name="uq_budget_ceiling_head_place",
        ),
    )

    budget_ceiling_head_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    budget_ceiling_id: UUID = Field(sa_type=Uuid)
    head_no: int = Field(sa_type=SmallInteger)
    organisation_code: str = Field(sa_type=Text)
    program_code: str = Field(sa_type=Text)
    account_code: str = Field(sa_type=Text)
    amounts_minor: list[int] = minors_field()
    version_number: int | None = Field(default=None, nullable=True)
