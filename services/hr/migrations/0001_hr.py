"""Units, positions, employments and their facts, commitments, payroll runs and payslips."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from chassis import migrate

revision, down_revision = "hr_0001", None

_HOLDING = text("state in ('PENDING', 'ACTIVE', 'SEPARATING')")


def _uuid(name: str, *constraints: sa.ForeignKey, key: bool = False, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Uuid, *constraints, primary_key=key, nullable=nullable)


def _text(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _minor(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _int(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer, nullable=False) for name in names]


def _day(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Date, nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make the first tables."""
    migrate.shared_tables(op, "hr")

    op.create_table(
        "unit",
        _uuid("unit_id", key=True),
        _uuid("agency_id"),
        _uuid("parent_unit_id", sa.ForeignKey("unit.unit_id"), nullable=True),
        *_text("code", "title"),
        *_minor("version"),
        sa.UniqueConstraint("agency_id", "code"),
    )
    migrate.secure(op, "hr", "unit")

    op.create_table(
        "position",
        _uuid("position_id", key=True),
        _uuid("agency_id"),
        _uuid("unit_id", sa.ForeignKey("unit.unit_id")),
        *_text("code", "title", "staff_kind", "position_kind", "echelon"),
        *_minor("functional_allowance_minor"),
        *_text("state"),
        *_minor("version"),
        sa.UniqueConstraint("agency_id", "code"),
        sa.CheckConstraint("functional_allowance_minor >= 0", name="allowance_not_negative"),
    )
    op.create_index("ix_position_unit", "position", ["unit_id"])
    migrate.secure(op, "hr", "position")

    op.create_table(
        "position_funding",
        _uuid("position_id", sa.ForeignKey("position.position_id"), key=True),
        sa.Column("fiscal_year", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("component", sa.Text, primary_key=True),
        _uuid("agency_id"),
        _uuid("budget_line_id"),
    )
    migrate.secure(op, "hr", "position_funding", app="select, insert, update, delete")

    op.create_table(
        "employee",
        _uuid("employee_id", key=True),
        _uuid("agency_id"),
        _uuid("person_id"),
        _uuid("position_id", sa.ForeignKey("position.position_id")),
        *_text("employee_number"),
        _day("hired_on"),
        _day("paid_from"),
        _day("separated_on", nullable=True),
        *_text("state"),
        sa.Column("refusal", JSONB, nullable=True),
        _uuid("hired_by_person_id"),
        *_minor("version"),
        sa.CheckConstraint("separated_on is null or separated_on > hired_on", name="days_in_order"),
    )
    op.create_index(
        "uq_employee_number",
        "employee",
        ["agency_id", "employee_number"],
        unique=True,
        postgresql_where=text("state <> 'REFUSED'"),
    )
    op.create_index(
        "uq_employee_person", "employee", ["agency_id", "person_id"], unique=True, postgresql_where=_HOLDING
    )
    op.create_index("uq_employee_position", "employee", ["position_id"], unique=True, postgresql_where=_HOLDING)
    op.create_index("ix_employee_agency", "employee", ["agency_id", "employee_number", "employee_id"])
    migrate.secure(op, "hr", "employee")

    op.create_table(
        "employee_fact",
        _uuid("employee_fact_id", key=True),
        _uuid("employee_id", sa.ForeignKey("employee.employee_id")),
        _uuid("agency_id"),
        _day("valid_from"),
        _day("valid_to", nullable=True),
        _instant("known_from"),
        _instant("known_to", nullable=True),
        *_text("staff_kind", "grade"),
        *_int("service_years"),
        sa.Column("spouse_allowance", sa.Boolean, nullable=False),
        *_int("children_with_allowance"),
        *_text("tax_status"),
        *_minor("contract_pay_minor"),
        *_text("bank_code", "bank_account_masked", "document_number"),
        sa.CheckConstraint("valid_to is null or valid_to > valid_from", name="valid_in_order"),
        sa.CheckConstraint("known_to is null or known_to > known_from", name="known_in_order"),
        sa.CheckConstraint("service_years >= 0 and children_with_allowance >= 0", name="counts_not_negative"),
    )
    op.create_index("ix_employee_fact_employee", "employee_fact", ["employee_id", "known_from"])
    migrate.secure(op, "hr", "employee_fact")

    op.create_table(
        "commitment",
        _uuid("employee_id", sa.ForeignKey("employee.employee_id"), key=True),
        sa.Column("fiscal_year", sa.Integer, primary_key=True, autoincrement=False),
        _uuid("budget_line_id", key=True),
        _uuid("agency_id"),
        _uuid("document_line_id"),
        *_minor("open_minor", "used_minor"),
        sa.UniqueConstraint("document_line_id"),
        sa.CheckConstraint("open_minor >= 0", name="open_not_negative"),
    )
    migrate.secure(op, "hr", "commitment")

    op.create_table(
        "payroll_run",
        _uuid("payroll_run_id", key=True),
        _uuid("agency_id"),
        *_text("number", "kind"),
        *_int("year", "month"),
        *_text("currency", "state"),
        _instant("known_at"),
        *_text("rounding"),
        _uuid("operation_id"),
        *_int("employees_total", "employees_done", "payslip_count", "exception_count"),
        *_minor(
            "gross_minor",
            "tax_allowance_minor",
            "deductions_minor",
            "net_minor",
            "employer_parts_minor",
            "paid_minor",
        ),
        sa.Column("refusal", JSONB, nullable=True),
        _uuid("journal_entry_id", nullable=True),
        _day("effective_on", nullable=True),
        _uuid("created_by_person_id"),
        _uuid("approved_by_person_id", nullable=True),
        *_minor("version"),
        sa.CheckConstraint("approved_by_person_id is distinct from created_by_person_id", name="approver_is_not_maker"),
        sa.CheckConstraint(
            "gross_minor + tax_allowance_minor - deductions_minor = net_minor", name="net_is_gross_less_deductions"
        ),
    )
    op.create_index("ix_payroll_run_period", "payroll_run", ["agency_id", "year", "month", "payroll_run_id"])
    op.create_index(
        "uq_payroll_run_open",
        "payroll_run",
        ["agency_id"],
        unique=True,
        postgresql_where=text("state in ('COMPUTING', 'COMPUTED', 'ACCEPTING', 'REFUSED_FUNDS')"),
    )
    migrate.secure(op, "hr", "payroll_run")

    op.create_table(
        "payslip",
        _uuid("payslip_id", key=True),
        _uuid("payroll_run_id", sa.ForeignKey("payroll_run.payroll_run_id")),
        _uuid("agency_id"),
        _uuid("employee_id", sa.ForeignKey("employee.employee_id")),
        _uuid("person_id"),
        _uuid("position_id"),
        *_text("kind"),
        *_int("year", "month"),
        *_text("staff_kind"),
        *_minor(
            "gross_minor",
            "tax_allowance_minor",
            "deductions_minor",
            "net_minor",
            "employer_parts_minor",
            "taxable_minor",
            "tax_minor",
            "deductible_minor",
        ),
        sa.Column("void", sa.Boolean, nullable=False),
        sa.CheckConstraint(
            "gross_minor + tax_allowance_minor - deductions_minor = net_minor", name="net_is_gross_less_deductions"
        ),
        sa.CheckConstraint("net_minor >= 0", name="net_not_negative"),
    )
    op.create_index(
        "uq_payslip_period",
        "payslip",
        ["employee_id", "kind", "year", "month"],
        unique=True,
        postgresql_where=text("not void"),
    )
    op.create_index("ix_payslip_run", "payslip", ["payroll_run_id", "payslip_id"])
    op.create_index("ix_payslip_agency", "payslip", ["agency_id", "payslip_id"])
    migrate.secure(op, "hr", "payslip")

    op.create_table(
        "payslip_line",
        _uuid("payslip_id", sa.ForeignKey("payslip.payslip_id"), key=True),
        sa.Column("line_no", sa.Integer, primary_key=True, autoincrement=False),
        _uuid("payroll_run_id"),
        _uuid("agency_id"),
        _uuid("employee_id"),
        *_text("component", "side"),
        *_minor("amount_minor"),
        *_int("for_year", "for_month"),
        _uuid("budget_line_id", nullable=True),
        *_text("creditor"),
    )
    op.create_index("ix_payslip_line_run", "payslip_line", ["payroll_run_id", "component"])
    migrate.secure(op, "hr", "payslip_line", app="select, insert")

    op.create_table(
        "payroll_exception",
        _uuid("payroll_run_id", sa.ForeignKey("payroll_run.payroll_run_id"), key=True),
        _uuid("employee_id", sa.ForeignKey("employee.employee_id"), key=True),
        _uuid("agency_id"),
        *_text("reason", "message"),
        sa.Column("left_out", sa.Boolean, nullable=False),
        *_minor("amount_minor"),
    )
    migrate.secure(op, "hr", "payroll_exception", app="select, insert")

    op.create_table(
        "payroll_payment",
        _uuid("payroll_run_id", sa.ForeignKey("payroll_run.payroll_run_id"), key=True),
        _uuid("payment_order_id", key=True),
        _uuid("agency_id"),
        *_minor("amount_minor"),
        _day("value_date"),
        sa.CheckConstraint("amount_minor > 0", name="amount_above_zero"),
    )
    migrate.secure(op, "hr", "payroll_payment", app="select, insert")


def downgrade() -> None:
    """Not offered: going back would lose pay records; restore a backup instead."""
    raise NotImplementedError("restore a backup instead")
