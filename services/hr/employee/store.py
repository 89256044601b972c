"""The rows of employments, their facts and commitments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import null, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from chassis.ids import derived_id, new_id
from services.hr.employee.domain import (
    Amendment,
    CommitmentItem,
    Employee,
    EmployeeNumberTaken,
    PayFacts,
    PersonEmployed,
    Refusal,
    State,
    Version,
)
from services.hr.employee.tables import CommitmentRow, EmployeeFactRow, EmployeeRow
from services.hr.position.domain import PositionFilled, StaffKind


def document_line_id(employee_id: UUID, fiscal_year: int, budget_line_id: UUID) -> UUID:
    """The id under which finance keeps this employment's obligation on this line: the same at every asking."""
    return derived_id("hr.commitment", employee_id, fiscal_year, budget_line_id)


def lock_facts(session: Session, agency_id: UUID, *, alone: bool = False) -> None:
    """Take the agency's fact lock until the commit.

    Writers of facts share it and then date their knowledge (`knowledge_instant`); a payroll run takes it alone and
    freezes its own. So whatever was known at a run's instant is committed before, and what is recorded later is
    dated later: a run reads the same facts however often it reads.
    """
    function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    session.execute(text(f"select {function}(hashtextextended(:key, 0))"), {"key": f"hr.facts {agency_id}"})


def knowledge_instant(session: Session) -> datetime:
    """The database's clock, read under the locks of what is to be recorded, so that knowledge never runs backwards.

    (The transaction's start would: it may lie before the commit of the change that it waited for.)
    """
    instant: datetime = session.execute(text("select clock_timestamp()")).scalar_one()
    return instant


# Acts that ask finance for figures which were worked out before.
_ASKING = "'payroll.accept', 'payroll.true_up', 'payroll.adjust'"


def others_asking(session: Session, agency_id: UUID, *, employee_id: UUID | None, saga_id: UUID) -> bool:
    """Whether another act is asking finance about obligations: the agency's payroll, or (of `employee_id`, or of
    anybody when None) an adjustment. To be asked under `lock_facts(alone=True)`."""
    adjusting = "kind = 'employee.adjust'" + (" and document_id = :employee_id" if employee_id else "")
    found = session.execute(
        text(
            "select 1 from saga where agency_id = :agency_id and saga_id <> :saga_id"  # noqa: S608
            " and status in ('RUNNING', 'COMPENSATING', 'STUCK')"
            f" and (kind in ({_ASKING}) or ({adjusting})) limit 1"
        ),
        {"agency_id": agency_id, "employee_id": employee_id, "saga_id": saga_id},
    )
    return found.first() is not None


def employee_of(row: Any) -> Employee:
    return Employee(
        employee_id=row.employee_id,
        agency_id=row.agency_id,
        person_id=row.person_id,
        position_id=row.position_id,
        employee_number=row.employee_number,
        hired_on=row.hired_on,
        paid_from=row.paid_from,
        hired_by=row.hired_by_person_id,
        separated_on=row.separated_on,
        state=State(row.state),
        refusal=None if row.refusal is None else Refusal(**row.refusal),
        version=row.version,
    )


def employee_by_id(session: Session, employee_id: UUID, *, lock: bool = False) -> Employee | None:
    """The employment, if the transaction may see it."""
    query = select(EmployeeRow).where(EmployeeRow.employee_id == employee_id)
    row = session.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return None if row is None else employee_of(row)


def insert_employee(session: Session, employee: Employee) -> None:
    """Add the employment. Raises PERSON_EMPLOYED, EMPLOYEE_NUMBER_TAKEN, POSITION_FILLED."""
    try:
        with session.begin_nested():
            session.execute(
                insert(EmployeeRow).values(
                    employee_id=employee.employee_id,
                    agency_id=employee.agency_id,
                    person_id=employee.person_id,
                    position_id=employee.position_id,
                    employee_number=employee.employee_number,
                    hired_on=employee.hired_on,
                    paid_from=employee.paid_from,
                    state=employee.state.value,
                    hired_by_person_id=employee.hired_by,
                    version=employee.version,
                )
            )
    except IntegrityError as taken:
        constraint = getattr(getattr(taken.orig, "diag", None), "constraint_name", None)
        if constraint == "uq_employee_person":
            raise PersonEmployed(
                f"person {employee.person_id} has an employment in this agency; separate it first",
                metadata={"person_id": str(employee.person_id)},
            ) from None
        if constraint == "uq_employee_number":
            raise EmployeeNumberTaken(
                f"the staff register has a number {employee.employee_number!r}",
                metadata={"employee_number": employee.employee_number},
            ) from None
        if constraint == "uq_employee_position":
            raise PositionFilled(
                f"position {employee.position_id} is held", metadata={"position_id": str(employee.position_id)}
            ) from None
        raise


def update_employee(session: Session, employee: Employee) -> None:
    """Save a changed employment."""
    session.execute(
        update(EmployeeRow)
        .where(EmployeeRow.employee_id == employee.employee_id)
        .values(
            state=employee.state.value,
            separated_on=employee.separated_on,
            refusal=null() if employee.refusal is None else asdict(employee.refusal),
            version=employee.version,
        )
        .execution_options(synchronize_session=False)
    )


def employees_after(
    session: Session, agency_id: UUID, after: Sequence[Any] | None, count: int, *, state: State | None
) -> list[Employee]:
    """Employments of the agency by number, those after `after` (number, id)."""
    query = (
        select(EmployeeRow)
        .where(EmployeeRow.agency_id == agency_id)
        .order_by(EmployeeRow.employee_number, EmployeeRow.employee_id)
        .limit(count)
    )
    if state is not None:
        query = query.where(EmployeeRow.state == state.value)
    if after is not None:
        number, key = after
        query = query.where(
            (EmployeeRow.employee_number > number)
            | ((EmployeeRow.employee_number == number) & (EmployeeRow.employee_id > key))
        )
    return [employee_of(row) for row in session.execute(query).scalars()]


def _version(row: Any) -> Version:
    facts = PayFacts(
        staff_kind=StaffKind(row.staff_kind),
        grade=row.grade,
        service_years=row.service_years,
        spouse_allowance=row.spouse_allowance,
        children_with_allowance=row.children_with_allowance,
        tax_status=row.tax_status,
        contract_pay_minor=row.contract_pay_minor,
        bank_code=row.bank_code,
        bank_account_masked=row.bank_account_masked,
    )
    return Version(
        row.employee_fact_id,
        row.valid_from,
        row.valid_to,
        row.known_from,
        row.known_to,
        facts,
        row.document_number,
    )


def versions_of(session: Session, employee_ids: Iterable[UUID]) -> dict[UUID, list[Version]]:
    """Everything ever recorded about these employments, by employment."""
    wanted = list(employee_ids)
    found: dict[UUID, list[Version]] = {employee_id: [] for employee_id in wanted}
    rows = session.execute(
        select(EmployeeFactRow)
        .where(EmployeeFactRow.employee_id.in_(wanted))
        .order_by(EmployeeFactRow.known_from, EmployeeFactRow.valid_from)
    ).scalars()
    for row in rows:
        found[row.employee_id].append(_version(row))
    return found


def insert_facts(
    session: Session,
    employee: Employee,
    facts: PayFacts,
    *,
    valid_from: date,
    valid_to: date | None,
    known_from: datetime,
    document_number: str,
) -> None:
    """Add facts, believed from `known_from` on."""
    session.execute(
        insert(EmployeeFactRow).values(
            employee_fact_id=new_id(),
            employee_id=employee.employee_id,
            agency_id=employee.agency_id,
            valid_from=valid_from,
            valid_to=valid_to,
            known_from=known_from,
            document_number=document_number,
            **{**asdict(facts), "staff_kind": facts.staff_kind.value},
        )
    )


def record_amendment(
    session: Session, employee: Employee, amendment: Amendment, *, known_from: datetime, document_number: str
) -> None:
    """Close what is no longer believed and add what is."""
    if amendment.closed:
        session.execute(
            update(EmployeeFactRow)
            .where(EmployeeFactRow.employee_fact_id.in_(amendment.closed))
            .values(known_to=known_from)
            .execution_options(synchronize_session=False)
        )
    for added in amendment.added:
        insert_facts(
            session,
            employee,
            added.facts,
            valid_from=added.valid_from,
            valid_to=added.valid_to,
            known_from=known_from,
            document_number=document_number,
        )


def commitments_of(
    session: Session, employee_ids: Iterable[UUID], *, lock: bool = False
) -> dict[UUID, list[CommitmentItem]]:
    """What these employments have obligated, by employment; lines in a fixed order."""
    wanted = list(employee_ids)
    query = (
        select(CommitmentRow)
        .where(CommitmentRow.employee_id.in_(wanted))
        .order_by(CommitmentRow.employee_id, CommitmentRow.fiscal_year, CommitmentRow.budget_line_id)
    )
    found: dict[UUID, list[CommitmentItem]] = {employee_id: [] for employee_id in wanted}
    for row in session.execute(query.with_for_update() if lock else query).scalars():
        found[row.employee_id].append(
            CommitmentItem(row.fiscal_year, row.budget_line_id, row.document_line_id, row.open_minor, row.used_minor)
        )
    return found


def set_open(session: Session, agency_id: UUID, items: Iterable[tuple[UUID, CommitmentItem]]) -> None:
    """Record what is now obligated on these document lines (employment, item); new lines are added."""
    rows = [
        {
            "employee_id": employee_id,
            "fiscal_year": item.fiscal_year,
            "budget_line_id": item.budget_line_id,
            "agency_id": agency_id,
            "document_line_id": item.document_line_id,
            "open_minor": item.open,
            "used_minor": 0,
        }
        for employee_id, item in items
    ]
    if rows:
        statement = insert(CommitmentRow)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["employee_id", "fiscal_year", "budget_line_id"],
                set_={"open_minor": statement.excluded.open_minor},
            ),
            rows,
        )
