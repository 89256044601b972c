"""Tables of budget requests. A submitted version is never edited."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, SmallInteger, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.tables import FinanceTable


def minors_field() -> list[int]:
    """Minor units by year: the budget year first, then each medium-term year."""
    return Field(sa_type=ARRAY(BigInteger), nullable=False)  # type: ignore[call-overload,no-any-return]  # SQLModel's stub knows classes only


class BudgetRequestRow(FinanceTable, table=True):
    """One unit's request for a budget year (RKA-SKPD): what its versions share."""

    __tablename__ = "budget_request"
    __table_args__ = (
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
        Index("ix_budget_request_list", "agency_id", "budget_request_id"),
    )

    budget_request_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    organisation_code: str = Field(sa_type=Text)
    document_number: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    medium_term_years: int = Field(sa_type=SmallInteger)
    latest_version_number: int
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    # What the final version has become; free again when that was withdrawn before it came into force.
    appropriation_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True, unique=True)
    version: int


class BudgetRequestVersionRow(FinanceTable, table=True):
    """One version of a request, with the sums of its lines. Its makers neither review nor approve it."""

    __tablename__ = "budget_request_version"
    __table_args__ = (
        CheckConstraint("stage in ('FIRST', 'AFTER_REVIEW', 'FINAL')", name="stage"),
        CheckConstraint(
            "status in ('DRAFT', 'SUBMITTED', 'REVIEWED', 'RETURNED', 'APPROVED', 'RECALLED', 'SUPERSEDED')",
            name="status",
        ),
        CheckConstraint("reviewed_by_person_id <> all (maker_person_ids)", name="reviewer_is_no_maker"),
        CheckConstraint(
            "status = 'RECALLED' or decided_by_person_id <> all (maker_person_ids)", name="decider_is_no_maker"
        ),
        CheckConstraint(
            "status not in ('APPROVED', 'SUPERSEDED') or decided_by_person_id <> reviewed_by_person_id",
            name="three_persons",
        ),
    )

    budget_request_id: UUID = uuid_key()
    version_number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    stage: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    maker_person_ids: list[UUID] = Field(sa_type=ARRAY(Uuid), nullable=False)  # type: ignore[call-overload]  # SQLModel's stub knows classes only
    line_count: int
    totals_minor: list[int] = minors_field()
    opened_at: datetime = instant_field()
    submitted_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    submitted_at: datetime | None = instant_field(nullable=True)
    reviewed_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    reviewed_at: datetime | None = instant_field(nullable=True)
    review_remark: str = Field(sa_type=Text)
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)


class BudgetRequestLineRow(FinanceTable, table=True):
    """One line of one version. A trigger refuses any change once the version is submitted."""

    __tablename__ = "budget_request_line"
    __table_args__ = (
        CheckConstraint("0 <= all (amounts_minor)", name="amounts"),
        UniqueConstraint(
            "budget_request_id",
            "version_number",
            "organisation_code",
            "program_code",
            "account_code",
            "fund_code",
            "function_code",
            "location_code",
            "project_code",
            "funding_source_code",
            "line_no",
            name="uq_budget_request_line_key",
        ),
    )

    budget_request_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    budget_request_id: UUID = Field(sa_type=Uuid)
    version_number: int
    organisation_code: str = Field(sa_type=Text)
    program_code: str = Field(sa_type=Text)
    account_code: str = Field(sa_type=Text)
    fund_code: str = Field(sa_type=Text)
    function_code: str = Field(sa_type=Text)
    location_code: str = Field(sa_type=Text)
    project_code: str = Field(sa_type=Text)
    funding_source_code: str = Field(sa_type=Text)
    line_no: int
    display_name: str = Field(sa_type=Text)
    amounts_minor: list[int] = minors_field()
