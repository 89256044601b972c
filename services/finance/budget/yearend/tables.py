"""Tables of the end of budget years."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


def _sum() -> int:
    return Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class BudgetYearEndRow(FinanceTable, table=True):
    """The end of an agency's budget year: PROPOSED by one person, decided by another."""

    __tablename__ = "budget_year_end"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint("default_decision in ('CARRY', 'CANCEL')", name="decision"),
        CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name="two_persons",
        ),
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
        Index(
            "uq_budget_year_end_counting",
            "agency_id",
            "fiscal_year",
            unique=True,
            postgresql_where=text("status in ('PROPOSED', 'APPROVED')"),
        ),
    )

    budget_year_end_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    document_number: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    default_decision: str = Field(sa_type=Text)
    opened_on: date
    status: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    lapsed_minor: int = minor_field()
    carried_minor: int = minor_field()
    paid_minor: int = minor_field()
    closed_advances_minor: int = _sum()
    line_count: int
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)
    version: int


class BudgetYearEndDecisionRow(FinanceTable, table=True):
    """What becomes of one obligation, where it is not the document's default."""

    __tablename__ = "budget_year_end_decision"
    __table_args__ = (CheckConstraint("decision in ('CARRY', 'CANCEL')", name="decision"),)

    budget_year_end_id: UUID = uuid_key()
    document_line_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    decision: str = Field(sa_type=Text)


class BudgetYearEndLineRow(FinanceTable, table=True):
    """What became of one line: revised = paid + lapsed + carried (F7 at year end)."""

    __tablename__ = "budget_year_end_line"
    __table_args__ = (
        CheckConstraint("revised_minor = paid_minor + lapsed_minor + carried_minor", name="whole"),
        CheckConstraint("closed_advances_minor between 0 and paid_minor", name="advances_are_paid"),
    )

    budget_year_end_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    next_budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    revised_minor: int = minor_field()
    paid_minor: int = minor_field()
    lapsed_minor: int = minor_field()
    carried_minor: int = minor_field()
    # What of `paid_minor` was paid in advance and not delivered when the year ended.
    closed_advances_minor: int = _sum()
