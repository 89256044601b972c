"""The rows of runs, payslips and exceptions. Results go in by one statement a chunk.

(COPY is refused by PostgreSQL on tables with row-level security; `insert … select from unnest(…)` of whole columns
takes the same wire and one plan.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from chassis.dates import Month
from services.hr.employee.domain import Employee, State
from services.hr.employee.store import employee_of
from services.hr.employee.tables import EmployeeRow
from services.hr.payroll.correcting import PaidMonth
from services.hr.payroll.domain import Line, Payment, Refusal, Run, RunState, Totals
from services.hr.payroll.rules import PayKind, Side
from services.hr.payroll.tables import PayrollExceptionRow, PayrollPaymentRow, PayrollRunRow, PayslipLineRow, PayslipRow

_EMPLOYED = (State.ACTIVE.value, State.SEPARATING.value, State.SEPARATED.value)


def _run(row: Any) -> Run:
    return Run(
        payroll_run_id=row.payroll_run_id,
        agency_id=row.agency_id,
        number=row.number,
        kind=PayKind(row.kind),
        month=Month(row.year, row.month),
        fiscal_year=row.fiscal_year,
        currency=row.currency,
        known_at=row.known_at,
        rounding=row.rounding,
        operation_id=row.operation_id,
        created_by=row.created_by_person_id,
        state=RunState(row.state),
        employees_total=row.employees_total,
        employees_done=row.employees_done,
        totals=Totals(
            row.payslip_count,
            row.exception_count,
            row.gross_minor,
            row.tax_allowance_minor,
            row.deductions_minor,
            row.net_minor,
            row.employer_parts_minor,
        ),
        paid=row.paid_minor,
        refusal=None if row.refusal is None else Refusal(**row.refusal),
        journal_entry_id=row.journal_entry_id,
        effective_on=row.effective_on,
        approved_by=row.approved_by_person_id,
        version=row.version,
    )


def _values(run: Run) -> dict[str, Any]:
    totals = run.totals
    return {
        "state": run.state.value,
        "employees_total": run.employees_total,
        "employees_done": run.employees_done,
        "payslip_count": totals.payslips,
        "exception_count": totals.exceptions,
        "gross_minor": totals.gross,
        "tax_allowance_minor": totals.tax_allowance,
        "deductions_minor": totals.deductions,
        "net_minor": totals.net,
        "employer_parts_minor": totals.employer_parts,
        "paid_minor": run.paid,
        "refusal": null() if run.refusal is None else asdict(run.refusal),
        "journal_entry_id": run.journal_entry_id,
        "effective_on": run.effective_on,
        "approved_by_person_id": run.approved_by,
        "version": run.version,
    }


def insert_run(session: Session, run: Run) -> bool:
    """Add the run; False when another run of the agency is open."""
    added = session.execute(
        insert(PayrollRunRow)
        .values(
            payroll_run_id=run.payroll_run_id,
            agency_id=run.agency_id,
            number=run.number,
            kind=run.kind.value,
            year=run.month.year,
            month=run.month.month,
            fiscal_year=run.fiscal_year,
            currency=run.currency,
            known_at=run.known_at,
            rounding=run.rounding,
            operation_id=run.operation_id,
            created_by_person_id=run.created_by,
            **_values(run),
        )
        .on_conflict_do_nothing()
        .returning(PayrollRunRow.payroll_run_id)
    )
    return added.first() is not None


def update_run(session: Session, run: Run) -> None:
    """Save a changed run."""
    session.execute(
        update(PayrollRunRow)
        .where(PayrollRunRow.payroll_run_id == run.payroll_run_id)
        .values(**_values(run))
        .execution_options(synchronize_session=False)
    )


def run_by_id(session: Session, payroll_run_id: UUID, *, lock: bool = False) -> Run | None:
    """The run, if the transaction may see it."""
    query = select(PayrollRunRow).where(PayrollRunRow.payroll_run_id == payroll_run_id)
    row = session.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return None if row is None else _run(row)


def runs_of_period(session: Session, agency_id: UUID, kind: PayKind, month: Month) -> int:
    """How many runs of this kind and month the agency has had."""
    return session.execute(
        select(func.count())
        .select_from(PayrollRunRow)
        .where(
            PayrollRunRow.agency_id == agency_id,
            PayrollRunRow.kind == kind.value,
            PayrollRunRow.year == month.year,
            PayrollRunRow.month == month.month,
        )
    ).scalar_one()


def runs_before(session: Session, agency_id: UUID, before: Sequence[Any] | None, count: int) -> list[Run]:
    """Runs of the agency, newest period first, those before `before` (year, month, id)."""
    key = (PayrollRunRow.year, PayrollRunRow.month, PayrollRunRow.payroll_run_id)
    query = (
        select(PayrollRunRow)
        .where(PayrollRunRow.agency_id == agency_id)
        .order_by(*(column.desc() for column in key))  # type: ignore[attr-defined]  # a column by its class
        .limit(count)
    )
    if before is not None:
        query = query.where(func.row(*key) < func.row(*before))
    return [_run(row) for row in session.execute(query).scalars()]


def _population(run: Run, paid_for: Month) -> Any:
    """Who may be due pay of this run: employed in the month it is for, and in no other run for the same.

    Extra pay may be paid later than the month that entitles (`paid_for`).
    """
    month = run.month
    same = (
        PayslipRow.employee_id == EmployeeRow.employee_id,
        PayslipRow.kind == run.kind.value,
        PayslipRow.year == month.year,
        PayslipRow.void.is_(False),
        # Extra pay is paid once a calendar year: its regulations go by them.
        *((PayslipRow.month == month.month,) if run.kind is PayKind.REGULAR else ()),
    )
    return (
        EmployeeRow.agency_id == run.agency_id,
        EmployeeRow.state.in_(_EMPLOYED),
        EmployeeRow.paid_from < paid_for.next().first,
        EmployeeRow.separated_on.is_(None) | (EmployeeRow.separated_on > paid_for.first),
        ~select(PayslipRow.payslip_id).where(*same).exists(),
    )


def population_count(session: Session, run: Run, paid_for: Month) -> int:
    """How many employments the run looks at."""
    query = select(func.count()).select_from(EmployeeRow).where(*_population(run, paid_for))
    return int(session.execute(query).scalar_one())


def population_after(session: Session, run: Run, paid_for: Month, after: UUID | None, count: int) -> list[Employee]:
    """The next employments that the run looks at, by id."""
    query = select(EmployeeRow).where(*_population(run, paid_for)).order_by(EmployeeRow.employee_id).limit(count)
    if after is not None:
        query = query.where(EmployeeRow.employee_id > after)
    return [employee_of(row) for row in session.execute(query).scalars()]


def employees_of_run(session: Session, run: Run, after: UUID | None, count: int) -> list[Employee]:
    """The next employments that the run pays, by id."""
    query = (
        select(EmployeeRow)
        .join(PayslipRow, PayslipRow.employee_id == EmployeeRow.employee_id)
        .where(PayslipRow.payroll_run_id == run.payroll_run_id)
        .order_by(EmployeeRow.employee_id)
        .limit(count)
    )
    if after is not None:
        query = query.where(EmployeeRow.employee_id > after)
    return [employee_of(row) for row in session.execute(query).scalars()]


_PAYSLIP_TYPES = {
    "payslip_id": "uuid",
    "employee_id": "uuid",
    "person_id": "uuid",
    "position_id": "uuid",
    "staff_kind": "text",
    "gross_minor": "bigint",
    "tax_allowance_minor": "bigint",
    "deductions_minor": "bigint",
    "net_minor": "bigint",
    "employer_parts_minor": "bigint",
    "taxable_minor": "bigint",
    "tax_minor": "bigint",
    "deductible_minor": "bigint",
}
_LINE_TYPES = {
    "payslip_id": "uuid",
    "line_no": "integer",
    "employee_id": "uuid",
    "component": "text",
    "side": "text",
    "amount_minor": "bigint",
    "budget_line_id": "uuid",
    "creditor": "text",
    "for_year": "integer",
    "for_month": "integer",
}
_EXCEPTION_TYPES = {
    "employee_id": "uuid",
    "reason": "text",
    "message": "text",
    "left_out": "boolean",
    "amount_minor": "bigint",
}


def _insert_columns(
    session: Session, table: str, types: Mapping[str, str], columns: Mapping[str, list[Any]], fixed: Mapping[str, Any]
) -> None:
    """Insert whole columns, with the same values for `fixed` in every row. Table and names are ours alone."""
    if not next(iter(columns.values())):
        return
    names = ", ".join([*types, *fixed])
    arrays = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in types.items())
    values = ", ".join([*(f"rows.{name}" for name in types), *(f":{name}" for name in fixed)])
    statement = f"insert into {table} ({names}) select {values} from unnest({arrays}) as rows ({', '.join(types)})"  # noqa: S608
    session.execute(text(statement), {**columns, **fixed})


def insert_payslips(
    session: Session, run: Run, payslips: Mapping[str, list[Any]], lines: Mapping[str, list[Any]]
) -> None:
    """Add a chunk's payslips and their lines, given as columns."""
    owner = {"payroll_run_id": run.payroll_run_id, "agency_id": run.agency_id}
    period = {"kind": run.kind.value, "year": run.month.year, "month": run.month.month, "void": False}
    _insert_columns(session, "payslip", _PAYSLIP_TYPES, payslips, {**owner, **period})
    _insert_columns(session, "payslip_line", _LINE_TYPES, lines, owner)


def insert_exceptions(session: Session, run: Run, exceptions: Mapping[str, list[Any]]) -> None:
    """Add a chunk's left-out employments, given as columns."""
    owner = {"payroll_run_id": run.payroll_run_id, "agency_id": run.agency_id}
    _insert_columns(session, "payroll_exception", _EXCEPTION_TYPES, exceptions, owner)


_TOTALS = text(
    """
    select count(*) as payslips, coalesce(sum(gross_minor), 0) as gross,
           coalesce(sum(tax_allowance_minor), 0) as tax_allowance, coalesce(sum(deductions_minor), 0) as deductions,
           coalesce(sum(net_minor), 0) as net, coalesce(sum(employer_parts_minor), 0) as employer_parts,
           (select count(*) from payroll_exception where payroll_run_id = :run and left_out) as exceptions
    from payslip where payroll_run_id = :run
    """
)


def totals(session: Session, payroll_run_id: UUID) -> Totals:
    """The sums over a run's payslips, taken in numeric."""
    row = session.execute(_TOTALS, {"run": payroll_run_id}).one()
    return Totals(
        int(row.payslips),
        int(row.exceptions),
        int(row.gross),
        int(row.tax_allowance),
        int(row.deductions),
        int(row.net),
        int(row.employer_parts),
    )


def line_totals(session: Session, payroll_run_id: UUID) -> list[Line]:
    """Sums by component, side, creditor and budget line, in a fixed order."""
    columns = (
        PayslipLineRow.component,
        PayslipLineRow.side,
        PayslipLineRow.creditor,
        PayslipLineRow.budget_line_id,
    )
    rows = session.execute(
        select(*columns, func.sum(PayslipLineRow.amount_minor).label("amount"))
        .where(PayslipLineRow.payroll_run_id == payroll_run_id)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [Line(row.component, Side(row.side), int(row.amount), row.creditor, row.budget_line_id) for row in rows]


_CHARGES = text(
    """
    select l.component, l.side, l.creditor, l.budget_line_id, c.document_line_id, sum(l.amount_minor) as amount
    from payslip_line l
    left join commitment c on c.employee_id = l.employee_id and c.fiscal_year = :fiscal_year
                              and c.budget_line_id = l.budget_line_id
    where l.payroll_run_id = :run
    group by l.component, l.side, l.creditor, l.budget_line_id, c.document_line_id
    order by c.document_line_id nulls first, l.budget_line_id nulls first, l.component, l.side, l.creditor
    """
)


def charges(session: Session, run: Run) -> list[Line]:
    """The run's lines summed by document line of the employments' obligations, in a fixed order."""
    rows = session.execute(_CHARGES, {"run": run.payroll_run_id, "fiscal_year": run.fiscal_year})
    return [
        Line(row.component, Side(row.side), int(row.amount), row.creditor, row.budget_line_id, row.document_line_id)
        for row in rows
    ]


_USE = text(
    """
    update commitment c
    set open_minor = greatest(0, c.open_minor - used.amount), used_minor = c.used_minor + used.amount
    from (select l.employee_id, l.budget_line_id, sum(l.amount_minor)::bigint as amount
          from payslip_line l where l.payroll_run_id = :run and l.budget_line_id is not null
          group by l.employee_id, l.budget_line_id) as used
    where c.employee_id = used.employee_id and c.fiscal_year = :fiscal_year
          and c.budget_line_id = used.budget_line_id
    """
)


def use_commitments(session: Session, run: Run) -> None:
    """Move what the run charged from open to used; what exceeded the obligation came from available."""
    session.execute(_USE, {"run": run.payroll_run_id, "fiscal_year": run.fiscal_year})


_TOUCHED = text(
    """
    select l.employee_id, l.for_year, l.for_month, l.component, l.side, l.creditor, sum(l.amount_minor) as amount
    from payslip_line l
    join payslip p on p.payslip_id = l.payslip_id and p.kind = 'REGULAR' and not p.void
    where (l.employee_id, l.for_year, l.for_month) in (
        select s.employee_id, s.year, s.month
        from payslip s
        join payroll_run r on r.payroll_run_id = s.payroll_run_id
        join employee_fact f on f.employee_id = s.employee_id and f.known_from > r.known_at
                             and f.known_from <= :known_at
                             and f.valid_from < make_date(s.year, s.month, 1) + interval '1 month'
                             and (f.valid_to is null or f.valid_to > make_date(s.year, s.month, 1))
        where s.employee_id = any (:employees) and s.kind = 'REGULAR' and not s.void
              and r.state in ('APPROVED', 'PAID')
              and (s.year, s.month) < (:year, :month))
    group by l.employee_id, l.for_year, l.for_month, l.component, l.side, l.creditor
    order by l.employee_id, l.for_year, l.for_month, l.component, l.side, l.creditor
    """
)


def touched_months(session: Session, run: Run, employee_ids: Sequence[UUID]) -> list[PaidMonth]:
    """The paid months before the run's about which these employments' record says something new since."""
    rows = session.execute(
        _TOUCHED,
        {
            "known_at": run.known_at,
            "employees": list(employee_ids),
            "year": run.month.year,
            "month": run.month.month,
        },
    )
    found: dict[tuple[UUID, Month], list[Line]] = {}
    for row in rows:
        line = Line(row.component, Side(row.side), int(row.amount), row.creditor)
        found.setdefault((row.employee_id, Month(row.for_year, row.for_month)), []).append(line)
    return [PaidMonth(employee_id, month, tuple(lines)) for (employee_id, month), lines in found.items()]


def void_payslips(session: Session, payroll_run_id: UUID) -> None:
    """Mark a cancelled run's payslips, so that the month can be run anew."""
    session.execute(
        update(PayslipRow)
        .where(PayslipRow.payroll_run_id == payroll_run_id)
        .values(void=True)
        .execution_options(synchronize_session=False)
    )


def insert_payment(session: Session, run: Run, payment: Payment) -> bool:
    """Note what a payment order paid of the run; False when it was noted before."""
    added = session.execute(
        insert(PayrollPaymentRow)
        .values(
            payroll_run_id=run.payroll_run_id,
            payment_order_id=payment.payment_order_id,
            agency_id=run.agency_id,
            amount_minor=payment.amount,
            value_date=payment.value_date,
        )
        .on_conflict_do_nothing()
        .returning(PayrollPaymentRow.payroll_run_id)
    )
    return added.first() is not None


def exceptions_after(session: Session, payroll_run_id: UUID, after: UUID | None, count: int) -> list[Any]:
    """Rows of those left out, by employment."""
    query = (
        select(PayrollExceptionRow)
        .where(PayrollExceptionRow.payroll_run_id == payroll_run_id)
        .order_by(PayrollExceptionRow.employee_id)
        .limit(count)
    )
    if after is not None:
        query = query.where(PayrollExceptionRow.employee_id > after)
    return list(session.execute(query).scalars())


def payslip_by_id(session: Session, payslip_id: UUID) -> Any | None:
    """The payslip's row, if the transaction may see it and its run was not dropped."""
    query = select(PayslipRow).where(PayslipRow.payslip_id == payslip_id, PayslipRow.void.is_(False))
    return session.execute(query).scalar_one_or_none()


def lines_of(session: Session, payslip_id: UUID) -> list[Any]:
    """The payslip's line rows, in order."""
    query = select(PayslipLineRow).where(PayslipLineRow.payslip_id == payslip_id)
    return list(session.execute(query.order_by(PayslipLineRow.line_no)).scalars())


def payslips_after(
    session: Session,
    agency_id: UUID,
    after: UUID | None,
    count: int,
    *,
    payroll_run_id: UUID | None,
    employee_id: UUID | None,
    person_id: UUID | None,
) -> list[Any]:
    """Payslip rows of the agency by id, narrowed to a run, an employment, a person."""
    query = (
        select(PayslipRow)
        .where(PayslipRow.agency_id == agency_id, PayslipRow.void.is_(False))
        .order_by(PayslipRow.payslip_id)
        .limit(count)
    )
    narrowed = {"payroll_run_id": payroll_run_id, "employee_id": employee_id, "person_id": person_id}
    for name, value in narrowed.items():
        if value is not None:
            query = query.where(getattr(PayslipRow, name) == value)
    if after is not None:
        query = query.where(PayslipRow.payslip_id > after)
    return list(session.execute(query).scalars())
