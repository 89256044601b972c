"""The tables of employments, their facts, and what is obligated for them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, minor_field, uuid_key
from services.hr.tables import HrTable

# The states in which a person holds a seat, or is about to.
_HOLDING = text("state in ('PENDING', 'ACTIVE', 'SEPARATING')")


class EmployeeRow(HrTable, table=True):
    """One employment. A refused one keeps its row, with the figures of the refusal."""

    __tablename__ = "employee"
    __table_args__ = (
        Index(
            "uq_employee_number",
            "agency_id",
            "employee_number",
            unique=True,
            postgresql_where=text("state <> 'REFUSED'"),
        ),
        Index("ix_employee_agency", "agency_id", "employee_number", "employee_id"),
        Index("uq_employee_person", "agency_id", "person_id", unique=True, postgresql_where=_HOLDING),
        Index("uq_employee_position", "position_id", unique=True, postgresql_where=_HOLDING),
        CheckConstraint("separated_on is null or separated_on > hired_on", name="days_in_order"),
    )

    employee_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    person_id: UUID = Field(sa_type=Uuid)
    position_id: UUID = Field(sa_type=Uuid, foreign_key="position.position_id")
    employee_number: str = Field(sa_type=Text)
    hired_on: date
    paid_from: date
    separated_on: date | None = Field(default=None, nullable=True)
    state: str = Field(sa_type=Text)
    refusal: dict[str, Any] | None = json_field(nullable=True)
    hired_by_person_id: UUID = Field(sa_type=Uuid)
    version: int = bigint_field()


class EmployeeFactRow(HrTable, table=True):
    """Facts on `[valid_from, valid_to)`, known on `[known_from, known_to)`. Only `known_to` is ever set later."""

    __tablename__ = "employee_fact"
    __table_args__ = (
        Index("ix_employee_fact_employee", "employee_id", "known_from"),
        CheckConstraint("valid_to is null or valid_to > valid_from", name="valid_in_order"),
        CheckConstraint("known_to is null or known_to > known_from", name="known_in_order"),
        CheckConstraint("service_years >= 0 and children_with_allowance >= 0", name="counts_not_negative"),
    )

    employee_fact_id: UUID = uuid_key()
    employee_id: UUID = Field(sa_type=Uuid, foreign_key="employee.employee_id")
    agency_id: UUID = Field(sa_type=Uuid)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)
    known_from: datetime = instant_field()
    known_to: datetime | None = instant_field(nullable=True)
    staff_kind: str = Field(sa_type=Text)
    grade: str = Field(sa_type=Text)
    service_years: int
    spouse_allowance: bool
    children_with_allowance: int
    tax_status: str = Field(sa_type=Text)
    contract_pay_minor: int = minor_field()
    bank_code: str = Field(sa_type=Text)
    bank_account_masked: str = Field(sa_type=Text)
    document_number: str = Field(sa_type=Text)


class CommitmentRow(HrTable, table=True):
    """What an employment has obligated on a budget line (`open_minor`), and what approved runs used of it."""

    __tablename__ = "commitment"
    __table_args__ = (
        UniqueConstraint("document_line_id"),
        CheckConstraint("open_minor >= 0", name="open_not_negative"),
    )

    employee_id: UUID = Field(sa_type=Uuid, primary_key=True, foreign_key="employee.employee_id")
    fiscal_year: int = Field(primary_key=True)
    budget_line_id: UUID = Field(sa_type=Uuid, primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    document_line_id: UUID = Field(sa_type=Uuid)
    open_minor: int = minor_field()
    used_minor: int = minor_field()
