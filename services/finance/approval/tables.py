"""Tables of the approval matrix. The matrix is the whole government's; routes and delegations are behind the wall."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.approval.domain import DocumentKind
from services.finance.tables import FinanceTable


def _uuid() -> UUID:
    return Field(sa_type=Uuid)


def _optional_uuid() -> UUID | None:
    return Field(default=None, sa_type=Uuid, nullable=True)


def texts_field() -> list[str]:
    """An array of texts."""
    return Field(sa_type=ARRAY(Text), nullable=False)  # type: ignore[call-overload,no-any-return]  # SQLModel's stub knows classes only


_KINDS = ", ".join(f"'{kind.value}'" for kind in DocumentKind)


class ApprovalRuleRow(FinanceTable, table=True):
    """One rule of the matrix. The nth node is its nth segment and code, in the order of the segments' names."""

    __tablename__ = "approval_rule"
    __table_args__ = (
        CheckConstraint(f"document_kind in ({_KINDS})", name="document_kind"),
        CheckConstraint("step_number between 1 and 99 and approvers between 1 and 10", name="numbers"),
        CheckConstraint("amount_from_minor >= 0 and deadline_days between 0 and 365", name="limits"),
        CheckConstraint("cardinality(node_segments) = cardinality(node_codes)", name="nodes"),
        UniqueConstraint(
            *("document_kind", "step_number", "role", "amount_currency", "amount_from_minor"),
            *("node_segments", "node_codes", "valid_from"),
            name="uq_approval_rule_content",
        ),
    )

    approval_rule_id: UUID = uuid_key()
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
    # The document that brought it; null for one from before rules were made by two persons.
    approval_rule_change_id: UUID | None = _optional_uuid()


class ApprovalRow(FinanceTable, table=True):
    """The route of one document; its id is the document's."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("status in ('PENDING', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        Index("ix_approval_list", "agency_id", "approval_id"),
    )

    approval_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    document_kind: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    maker_person_id: UUID = _uuid()
    status: str = Field(sa_type=Text)
    created_at: datetime = instant_field()
    version: int
    # 1, and one more each time the document changed and its route was begun anew.
    round_number: int


class ApprovalStepRow(FinanceTable, table=True):
    """One step of one round of a route."""

    __tablename__ = "approval_step"
    __table_args__ = (
        CheckConstraint("status in ('WAITING', 'OPEN', 'APPROVED', 'REJECTED')", name="status"),
        Index("ix_approval_step_approval", "approval_id", "step_number"),
        Index("ix_approval_step_open", "agency_id", "role", postgresql_where=text("status = 'OPEN'")),
    )

    approval_step_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    approval_id: UUID = _uuid()
    round_number: int
    step_number: int
    display_name: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    approvers: int
    deadline_days: int
    escalation_role: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    opened_at: datetime | None = instant_field(nullable=True)
    due_at: datetime | None = instant_field(nullable=True)
    escalated: bool


class ApprovalDueRow(FinanceTable, table=True):
    """The clock's work list: which open steps pass to another role, and when. Ids and instants alone, so that one clock
    serves all agencies from outside the agency wall."""

    __tablename__ = "approval_due"
    __table_args__ = (Index("ix_approval_due_at", "due_at"), Index("ix_approval_due_approval", "approval_id"))

    approval_step_id: UUID = uuid_key()
    approval_id: UUID = _uuid()
    document_agency_id: UUID = _uuid()
    due_at: datetime = instant_field()


class ApprovalDecisionRow(FinanceTable, table=True):
    """One act on a step: added, never changed. No person decides twice in one round of a route."""

    __tablename__ = "approval_decision"
    __table_args__ = (
        CheckConstraint("act in ('APPROVE', 'REJECT', 'ESCALATE')", name="act"),
        CheckConstraint("(act = 'ESCALATE') = (person_id is null)", name="clock_has_no_person"),
        Index("ix_approval_decision_step", "approval_step_id"),
        Index(
            "uq_approval_decision_person",
            *("approval_id", "round_number", "person_id"),
            unique=True,
            postgresql_where=text("person_id is not null"),
        ),
    )

    approval_decision_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    approval_id: UUID = _uuid()
    round_number: int
    approval_step_id: UUID = _uuid()
    act: str = Field(sa_type=Text)
    person_id: UUID | None = _optional_uuid()
    on_behalf_of_person_id: UUID | None = _optional_uuid()
    explanation: str = Field(sa_type=Text)
    decided_at: datetime = instant_field()


class ApprovalDelegationRow(FinanceTable, table=True):
    """A role that another person may use for a time."""

    __tablename__ = "approval_delegation"
    __table_args__ = (
        CheckConstraint("valid_until >= valid_from and from_person_id <> to_person_id", name="from_to"),
        Index("ix_approval_delegation_list", "agency_id", "approval_delegation_id"),
        Index("ix_approval_delegation_to", "to_person_id"),
    )

    approval_delegation_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    role: str = Field(sa_type=Text)
    from_person_id: UUID = _uuid()
    to_person_id: UUID = _uuid()
    valid_from: date
    valid_until: date
    explanation: str = Field(sa_type=Text)
    created_at: datetime = instant_field()
    ended_at: datetime | None = instant_field(nullable=True)
