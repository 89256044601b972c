"""The tables of payroll runs, payslips, and who was left out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, minor_field, uuid_key
from services.hr.tables import HrTable


class PayrollRunRow(HrTable, table=True):
    """One run of an agency. Its totals are filled when it is computed."""

    __tablename__ = "payroll_run"
    __table_args__ = (
        Index("ix_payroll_run_period", "agency_id", "year", "month", "payroll_run_id"),
        # One run at a time is computed or waits for a decision, so that nobody is paid twice by two runs.
        Index(
            "uq_payroll_run_open",
            "agency_id",
            unique=True,
            postgresql_where=text("state in ('COMPUTING', 'COMPUTED', 'ACCEPTING', 'REFUSED_FUNDS')"),
        ),
        # I9: the maker never approves.
        CheckConstraint("approved_by_person_id is distinct from created_by_person_id", name="approver_is_not_maker"),
        CheckConstraint(
            "gross_minor + tax_allowance_minor - deductions_minor = net_minor", name="net_is_gross_less_deductions"
        ),
    )

    payroll_run_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    number: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    year: int
    month: int
    # Whose budget lines bear it: the fiscal year, by finance's name, in which the month lay when the run was begun.
    fiscal_year: int
    currency: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    known_at: datetime = instant_field()
    rounding: str = Field(sa_type=Text)
    operation_id: UUID = Field(sa_type=Uuid)
    employees_total: int
    employees_done: int
    payslip_count: int
    exception_count: int
    gross_minor: int = minor_field()
    tax_allowance_minor: int = minor_field()
    deductions_minor: int = minor_field()
    net_minor: int = minor_field()
    employer_parts_minor: int = minor_field()
    paid_minor: int = minor_field()
    refusal: dict[str, Any] | None = json_field(nullable=True)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    effective_on: date | None = Field(default=None, nullable=True)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    version: int = bigint_field()


class PayslipRow(HrTable, table=True):
    """One person's pay in one run. `void` is set with the cancellation of its run and is all that ever changes."""

    __tablename__ = "payslip"
    __table_args__ = (
        # Nobody is paid twice for the same: the last fence, whatever the runs do.
        Index(
            "uq_payslip_period",
            "employee_id",
            "kind",
            "year",
            "month",
            unique=True,
            postgresql_where=text("not void"),
        ),
        Index("ix_payslip_run", "payroll_run_id", "payslip_id"),
        Index("ix_payslip_agency", "agency_id", "payslip_id"),
        CheckConstraint(
            "gross_minor + tax_allowance_minor - deductions_minor = net_minor", name="net_is_gross_less_deductions"
        ),
        CheckConstraint("net_minor >= 0", name="net_not_negative"),
    )

    payslip_id: UUID = uuid_key()
    payroll_run_id: UUID = Field(sa_type=Uuid, foreign_key="payroll_run.payroll_run_id")
    agency_id: UUID = Field(sa_type=Uuid)
    employee_id: UUID = Field(sa_type=Uuid, foreign_key="employee.employee_id")
    person_id: UUID = Field(sa_type=Uuid)
    position_id: UUID = Field(sa_type=Uuid)
    kind: str = Field(sa_type=Text)
    year: int
    month: int
    staff_kind: str = Field(sa_type=Text)
    gross_minor: int = minor_field()
    tax_allowance_minor: int = minor_field()
    deductions_minor: int = minor_field()
    net_minor: int = minor_field()
    employer_parts_minor: int = minor_field()
    taxable_minor: int = minor_field()
    tax_minor: int = minor_field()
    deductible_minor: int = minor_field()
    void: bool


class PayslipLineRow(HrTable, table=True):
    """One component of one payslip. Added, never edited."""

    __tablename__ = "payslip_line"
    __table_args__ = (
        Index("ix_payslip_line_run", "payroll_run_id", "component"),
        # All that was paid to an employment for a month, when something new is known of it.
        Index("ix_payslip_line_for", "employee_id", "for_year", "for_month"),
    )

    payslip_id: UUID = Field(sa_type=Uuid, primary_key=True, foreign_key="payslip.payslip_id")
    line_no: int = Field(primary_key=True)
    payroll_run_id: UUID = Field(sa_type=Uuid)
    agency_id: UUID = Field(sa_type=Uuid)
    employee_id: UUID = Field(sa_type=Uuid)
    component: str = Field(sa_type=Text)
    side: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    for_year: int
    for_month: int
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    creditor: str = Field(sa_type=Text)


class PayrollExceptionRow(HrTable, table=True):
    """One employment that a run leaves out whole, and why; or one that is paid and owes for earlier months."""

    __tablename__ = "payroll_exception"

    payroll_run_id: UUID = Field(sa_type=Uuid, primary_key=True, foreign_key="payroll_run.payroll_run_id")
    employee_id: UUID = Field(sa_type=Uuid, primary_key=True, foreign_key="employee.employee_id")
    agency_id: UUID = Field(sa_type=Uuid)
    reason: str = Field(sa_type=Text)
    message: str = Field(sa_type=Text)
    left_out: bool
    amount_minor: int = minor_field()


class PayrollPaymentRow(HrTable, table=True):
    """What one payment order paid of one run: counted once, however often the event comes."""

    __tablename__ = "payroll_payment"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_above_zero"),)

    payroll_run_id: UUID = Field(sa_type=Uuid, primary_key=True, foreign_key="payroll_run.payroll_run_id")
    payment_order_id: UUID = Field(sa_type=Uuid, primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    amount_minor: int = minor_field()
    value_date: date
