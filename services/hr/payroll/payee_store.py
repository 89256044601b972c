"""Loads people as payroll sees them: facts as known at an instant, funding, and their years' payslips."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlmodel import Session

from chassis.dates import Month
from services.hr.employee import store as employees
from services.hr.employee.domain import Employee, PayFacts, as_known
from services.hr.payroll.pack import Pack
from services.hr.payroll.payees import FactSpan, PaidSlip, Payee
from services.hr.payroll.rules import PayKind
from services.hr.payroll.tables import PayslipRow
from services.hr.position import store as positions
from services.hr.position.domain import Position


def payees(
    session: Session,
    people: Sequence[Employee],
    years: Collection[int],
    pack: Pack,
    *,
    known_at: datetime | None = None,
) -> list[Payee]:
    """These employments, in their order, with facts as known at `known_at` (None: now) and these years' payslips.

    Calendar years: tax and extra pay go by them, whatever the fiscal year.
    """
    ids = [employee.employee_id for employee in people]
    versions = employees.versions_of(session, ids)
    seats = positions.positions_by_id(session, (employee.position_id for employee in people))
    paid = _paid(session, ids, years, pack.unit_minor)
    return [
        Payee(
            employee_id=employee.employee_id,
            person_id=employee.person_id,
            position_id=employee.position_id,
            paid_from=employee.paid_from,
            separated_on=employee.separated_on,
            spans=tuple(
                FactSpan(
                    version.valid_from,
                    version.valid_to,
                    inputs_of(version.facts, seats[employee.position_id], pack.unit_minor),
                )
                for version in as_known(versions[employee.employee_id], known_at)
            ),
            funding=seats[employee.position_id].funding,
            paid=tuple(paid.get(employee.employee_id, ())),
        )
        for employee in people
    ]


def inputs_of(facts: PayFacts, position: Position, unit_minor: int) -> dict[str, str | int]:
    """The engine's inputs of these facts in this position; amounts in whole units."""
    return {
        "staff_kind": facts.staff_kind.value,
        "grade": facts.grade,
        "service_years": facts.service_years,
        "spouse_allowance": int(facts.spouse_allowance),
        "children_with_allowance": facts.children_with_allowance,
        "tax_status": facts.tax_status,
        "contract_pay": facts.contract_pay_minor // unit_minor,
        "position_kind": position.position_kind.value,
        "echelon": position.echelon,
        "functional_allowance": position.functional_allowance_minor // unit_minor,
    }


def _paid(session: Session, ids: Sequence[UUID], years: Collection[int], unit_minor: int) -> dict[UUID, list[PaidSlip]]:
    rows = session.execute(
        select(
            PayslipRow.employee_id,
            PayslipRow.kind,
            PayslipRow.year,
            PayslipRow.month,
            PayslipRow.taxable_minor,
            PayslipRow.tax_minor,
            PayslipRow.deductible_minor,
        )
        .where(PayslipRow.employee_id.in_(ids), PayslipRow.year.in_(sorted(years)), PayslipRow.void.is_(False))  # type: ignore[attr-defined]  # a column
        .order_by(PayslipRow.year, PayslipRow.month, PayslipRow.kind)
    )
    found: dict[UUID, list[PaidSlip]] = {}
    for row in rows:
        slip = PaidSlip(
            PayKind(row.kind),
            Month(row.year, row.month),
            row.taxable_minor // unit_minor,
            row.tax_minor // unit_minor,
            row.deductible_minor // unit_minor,
        )
        found.setdefault(row.employee_id, []).append(slip)
    return found
