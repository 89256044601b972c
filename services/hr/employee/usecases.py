"""What is done with employments: load, decide, save, emit. Finance's and identity's part is done by sagas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis import outbox, saga
from chassis.errors import NotFound
from services.hr.employee import domain, plan, store
from services.hr.employee.domain import CommitmentItem, Employee, PayFacts, Planned, Refusal, State
from services.hr.payroll import payee_store
from services.hr.payroll.pack import Pack
from services.hr.payroll.projection import calendar_years, project
from services.hr.position import domain as positions
from services.hr.position import store as position_store
from services.hr.position.usecases import get_position
from services.hr.versions import require_etag

# Finance may be away for a while (a deployment, a closed network); the employment waits as PENDING.
_DEADLINE = timedelta(hours=6)
# How soon an asking looks again whether its turn has come.
TURN = timedelta(milliseconds=300)


def hire(session: Session, employee: Employee, facts: PayFacts, *, pack: Pack, document_number: str = "") -> Employee:
    """Put a person into a vacant position, PENDING until finance has obligated the rest of the fiscal year (N16)."""
    domain.check_hire(employee)
    domain.check_facts(facts, unit_minor=pack.unit_minor)
    store.lock_facts(session, employee.agency_id)
    position = get_position(session, employee.position_id, lock=True)
    if position.agency_id != employee.agency_id:
        raise NotFound.resource("position", employee.position_id)
    position_store.update_position(session, positions.fill(position, facts.staff_kind))
    store.insert_employee(session, employee)
    store.insert_facts(
        session,
        employee,
        facts,
        valid_from=employee.hired_on,
        valid_to=None,
        known_from=store.knowledge_instant(session),
        document_number=document_number,
    )
    planned = _planned(session, employee, pack.calendar.year_of(employee.paid_from), pack)
    saga.start(
        session,
        kind="employee.verify",
        document_id=employee.employee_id,
        agency_id=employee.agency_id,
        person_id=employee.hired_by,
        state=plan.hire_state(employee, planned),
        deadline=_DEADLINE,
    )
    return employee


def record_hire(
    session: Session,
    employee_id: UUID,
    planned: Sequence[Planned],
    refusal: Refusal | None,
    *,
    currency: str,
) -> Employee:
    """What identity and finance said: the employment is ACTIVE, or REFUSED and its position vacant."""
    employee = get_employee(session, employee_id, lock=True)
    if refusal is not None:
        employee = domain.refuse(employee, refusal)
        _vacate(session, employee)
        store.update_employee(session, employee)
        outbox.emit(session, domain.EmployeeHireRefused(employee))
        return employee
    employee = domain.activate(employee)
    store.update_employee(session, employee)
    store.set_open(session, employee.agency_id, [(employee_id, plan.item_of(one)) for one in planned])
    facts = domain.held_on(store.versions_of(session, [employee_id])[employee_id], employee.hired_on)
    assert facts is not None, "a hire records facts from the first day of service on"
    total = sum(one.amount for one in planned)
    outbox.emit(session, domain.EmployeeHired(employee, facts.facts.staff_kind, total, currency))
    return employee


def change(
    session: Session,
    employee_id: UUID,
    changes: Mapping[str, object],
    *,
    effective_on: date,
    effective_until: date | None,
    document_number: str,
    etag: str,
    by: UUID,
    pack: Pack,
) -> Employee:
    """Change or correct facts; finance is asked to obligate the newly projected rest of the year."""
    employee, known_from = _for_change(session, employee_id, etag)
    domain.check_span(employee, effective_on, effective_until)
    versions = store.versions_of(session, [employee_id])[employee_id]
    amendment = domain.amend(versions, changes, effective_on, effective_until)
    if not amendment.closed:
        return employee
    position = get_position(session, employee.position_id)
    for added in amendment.added:
        domain.check_facts(added.facts, unit_minor=pack.unit_minor)
        if not position.takes(added.facts.staff_kind):
            raise domain.PayUnknown(
                f"position {position.code} is for {position.staff_kind.value}, not {added.facts.staff_kind.value}",
                metadata={"position_id": str(position.position_id)},
            )
    store.record_amendment(session, employee, amendment, known_from=known_from, document_number=document_number)
    employee = employee.next(State.ACTIVE)
    store.update_employee(session, employee)
    _start_adjustment(session, employee, by=by, effective_on=effective_on, pack=pack)
    outbox.emit(session, domain.EmployeeChanged(employee, effective_on))
    return employee


def separate(session: Session, employee_id: UUID, separated_on: date, *, etag: str, by: UUID, pack: Pack) -> Employee:
    """End an employment; finance is asked to release what no payroll run will use of its commitment (N16)."""
    employee, _ = _for_change(session, employee_id, etag)
    employee = domain.separate(employee, separated_on)
    store.update_employee(session, employee)
    _start_adjustment(session, employee, by=by, effective_on=separated_on, pack=pack, separating=True)
    return employee


def record_adjustment(
    session: Session, employee_id: UUID, done: Sequence[Planned], refusal: Refusal | None, *, separating: bool
) -> Employee:
    """What finance obligated or released. A refusal is kept on the employment with its figures; facts stand."""
    employee = get_employee(session, employee_id, lock=True)
    store.set_open(session, employee.agency_id, [(employee_id, plan.item_of(one)) for one in done])
    if separating:
        employee = domain.separated(employee)
        _vacate(session, employee)
        store.update_employee(session, employee)
        outbox.emit(session, domain.EmployeeSeparated(employee))
    else:
        employee = employee.next(employee.state, refusal=refusal)
        store.update_employee(session, employee)
    return employee


def get_employee(session: Session, employee_id: UUID, *, lock: bool = False) -> Employee:
    """The employment; NOT_FOUND when there is none that the transaction may see."""
    employee = store.employee_by_id(session, employee_id, lock=lock)
    if employee is None:
        raise NotFound.resource("employee", employee_id)
    return employee


def shown(
    session: Session, employees: Sequence[Employee], day: date, known_at: datetime | None = None
) -> list[tuple[Employee, domain.Version | None, list[domain.CommitmentItem]]]:
    """The employments with the facts of `day` (the first day of service, if that is later) and commitments."""
    ids = [employee.employee_id for employee in employees]
    versions, commitments = store.versions_of(session, ids), store.commitments_of(session, ids)
    return [
        (
            employee,
            domain.held_on(versions[employee.employee_id], max(day, employee.hired_on), known_at),
            commitments[employee.employee_id],
        )
        for employee in employees
    ]


def _for_change(session: Session, employee_id: UUID, etag: str) -> tuple[Employee, datetime]:
    """The employment, locked, and the instant of knowledge."""
    found = get_employee(session, employee_id)
    store.lock_facts(session, found.agency_id)
    employee = get_employee(session, employee_id, lock=True)
    require_etag(etag, "employment", employee_id, employee.version)
    return employee, store.knowledge_instant(session)


def _vacate(session: Session, employee: Employee) -> None:
    position = get_position(session, employee.position_id, lock=True)
    position_store.update_position(session, positions.vacate(position))


def _planned(session: Session, employee: Employee, fiscal_year: int, pack: Pack) -> list[Planned]:
    """The projected rest of the year, by document line."""
    (payee,) = payee_store.payees(session, [employee], calendar_years(pack, fiscal_year), pack)
    (projection,) = project(pack, [payee], fiscal_year)
    if projection.reason:
        raise domain.PayUnknown(projection.detail, metadata={"pay_reason": projection.reason})
    return [
        Planned(fiscal_year, line, store.document_line_id(employee.employee_id, fiscal_year, line), schedule)
        for line, schedule in projection.by_line().items()
    ]


def _start_adjustment(
    session: Session, employee: Employee, *, by: UUID, effective_on: date, pack: Pack, separating: bool = False
) -> None:
    # Pay that cannot be computed is refused here, to the caller; the plan itself is made when its turn comes.
    _adjustment(session, employee, pack)
    saga.start(
        session,
        kind="employee.project",
        document_id=employee.employee_id,
        agency_id=employee.agency_id,
        person_id=by,
        state={"effective_on": effective_on.isoformat(), "separating": separating},
        deadline=_DEADLINE,
    )


def _adjustment(session: Session, employee: Employee, pack: Pack) -> tuple[list[CommitmentItem], list[Planned]]:
    """What is obligated, and the projected rest of each of its years (the first one, when nothing is yet)."""
    held = store.commitments_of(session, [employee.employee_id], lock=True)[employee.employee_id]
    years = sorted({item.fiscal_year for item in held} or {pack.calendar.year_of(employee.paid_from)})
    return held, [one for year in years for one in _planned(session, employee, year, pack)]


def plan_adjustment(
    session: Session, employee_id: UUID, state: Mapping[str, Any], *, saga_id: UUID, pack: Pack
) -> dict[str, Any] | None:
    """What to ask finance for, worked out now; None while another asking is under way.

    Askings about one obligation go one after another, so that none overtakes another with older figures.
    """
    employee = get_employee(session, employee_id)
    store.lock_facts(session, employee.agency_id, alone=True)
    if store.others_asking(session, employee.agency_id, employee_id=employee_id, saga_id=saga_id):
        return None
    held, planned = _adjustment(session, employee, pack)
    return plan.adjustment_state(employee, held, planned, state)


def true_up_plan(
    session: Session, employees: Sequence[Employee], fiscal_year: int, pack: Pack
) -> tuple[list[tuple[UUID, Planned]], list[tuple[UUID, Planned]]]:
    """After a run: (lines to adjust, lines to obligate for the first time), by employment.

    Someone whose pay cannot be projected keeps what is obligated: the next run lists him as an exception.
    """
    payees = payee_store.payees(session, employees, calendar_years(pack, fiscal_year), pack)
    projections = project(pack, payees, fiscal_year)
    held = store.commitments_of(session, [employee.employee_id for employee in employees], lock=True)
    adjust: list[tuple[UUID, Planned]] = []
    obligate: list[tuple[UUID, Planned]] = []
    for employee, projection in zip(employees, projections, strict=True):
        if projection.reason:
            continue
        key = employee.employee_id
        items = {item.budget_line_id: item for item in held[key] if item.fiscal_year == fiscal_year}
        lines = projection.by_line()
        for line in sorted({*items, *lines}, key=lambda one: one.int):
            wanted = Planned(fiscal_year, line, store.document_line_id(key, fiscal_year, line), lines.get(line, {}))
            if line not in items:
                obligate.append((key, wanted))
            elif items[line].open != wanted.amount:
                adjust.append((key, wanted))
    return adjust, obligate
