"""Tables of changes of the matrix. They are its history, and never edited once decided."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.approval.tables import texts_field
from services.finance.tables import FinanceTable


class ApprovalRuleChangeRow(FinanceTable, table=True):
    """One document that changes the matrix: PROPOSED by one person, decided by another."""

    __tablename__ = "approval_rule_change"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name="two_persons",
        ),
        CheckConstraint("(status = 'PROPOSED') = (decided_by_person_id is null)", name="decided_by_somebody"),
        UniqueConstraint("agency_id", "document_number"),
        Index("ix_approval_rule_change_list", "agency_id", "approval_rule_change_id"),
    )

    approval_rule_change_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    document_number: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)
    version: int


class ApprovalRuleAdditionRow(FinanceTable, table=True):
    """A rule that a change brings; it is in the matrix under its id once the change is approved."""

    __tablename__ = "approval_rule_addition"

    approval_rule_change_id: UUID = uuid_key()
    item_no: int = Field(sa_type=SmallInteger, primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    approval_rule_id: UUID = Field(sa_type=Uuid)
    document_kind: str = Field(sa_type=Text)
    step_number: int
    display_name: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    approvers: int
    amount_currency: str = Field(sa_type=Text)
    amount_from_minor: int = minor_field()
    node_segments: list[str] = texts_field()
    node_codes: list[str] = texts_field()
    deadline_days: int
    escalation_role: str = Field(sa_type=Text)
    legal_source: str = Field(sa_type=Text)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)


class ApprovalRuleEndingRow(FinanceTable, table=True):
    """A rule that a change ends, and on which day; from the approval on the day on which it does."""

    __tablename__ = "approval_rule_ending"
    __table_args__ = (Index("ix_approval_rule_ending_rule", "approval_rule_id"),)

    approval_rule_change_id: UUID = uuid_key()
    item_no: int = Field(sa_type=SmallInteger, primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    approval_rule_id: UUID = Field(sa_type=Uuid)
    valid_to: date
