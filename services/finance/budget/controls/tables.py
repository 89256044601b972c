"""Tables of changes of control. They are the history of each line's mode, and never edited once decided."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.tables import FinanceTable


class BudgetControlChangeRow(FinanceTable, table=True):
    """One document that changes how lines are controlled: PROPOSED by one person, decided by another."""

    __tablename__ = "budget_control_change"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name="two_persons",
        ),
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
    )

    budget_control_change_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    document_number: str = Field(sa_type=Text)
    legal_reference: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)
    version: int


class BudgetControlChangeItemRow(FinanceTable, table=True):
    """The mode that one line gets, and the one that it had."""

    __tablename__ = "budget_control_change_item"
    __table_args__ = (
        CheckConstraint("mode in ('HARD_STOP', 'WARNING', 'UNCONTROLLED')", name="mode"),
        Index("ix_budget_control_change_item_line", "budget_line_id"),
    )

    budget_control_change_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    item_no: int = Field(sa_type=SmallInteger)
    mode: str = Field(sa_type=Text)
    mode_before: str = Field(sa_type=Text)
