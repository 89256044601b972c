"""Many at once: one seat, one person, one decision."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf import field_mask_pb2

from chassis.testing import refusal
from chassis.wire import to_date
from kelola.hr.v1 import employee_pb2, payroll_pb2, unit_pb2
from tests.integration.hr.office import APPROVER, Office, request_id, units

WRITERS = 8


def outcomes(calls: list[Callable[[], Any]]) -> tuple[list[Any], list[str]]:
    """What succeeded, and the reasons of what was refused, when all are called at once."""

    def one(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except grpc.RpcError as failure:
            return refusal(failure).reason

    with ThreadPoolExecutor(len(calls)) as pool:
        found = list(pool.map(one, calls))
    return [one for one in found if not isinstance(one, str)], [one for one in found if isinstance(one, str)]


def hire(office: Office, **fields: Any) -> Callable[[], Any]:
    request = employee_pb2.HireEmployeeRequest(employee=office.an_employee(**fields), request_id=request_id())
    return lambda: office.ask(office.employees.HireEmployee, request)


def test_one_seat_takes_one_of_many(office: Office) -> None:
    position_id = office.position().position_id

    hired, reasons = outcomes([hire(office, position_id=position_id) for _ in range(WRITERS)])

    assert len(hired) == 1
    assert reasons == ["POSITION_FILLED"] * (WRITERS - 1)


def test_one_person_takes_one_of_many_seats(office: Office) -> None:
    person_id = str(uuid4())

    hired, reasons = outcomes([hire(office, person_id=person_id) for _ in range(WRITERS)])

    assert len(hired) == 1
    assert reasons == ["PERSON_EMPLOYED"] * (WRITERS - 1)


def test_one_of_many_approvals_with_one_etag_wins(office: Office) -> None:
    office.hire()
    run = office.run(4)

    def approve() -> Any:
        request = payroll_pb2.ApprovePayrollRunRequest(name=run.name, etag=run.etag, request_id=request_id())
        return office.ask(office.payroll.ApprovePayrollRun, request, APPROVER, person_id=uuid4())

    approved, reasons = outcomes([approve] * WRITERS)

    assert len(approved) == 1
    assert reasons == ["ETAG_MISMATCH"] * (WRITERS - 1)
    office.calm()
    assert len(office.desk.of("AcceptPayrollRequest")) == 1


def test_one_of_many_runs_begins(office: Office) -> None:
    office.hire()

    begun, reasons = outcomes([lambda: office.create_run(4)] * WRITERS)

    assert len(begun) == 1
    assert reasons == ["PAYROLL_RUN_OPEN"] * (WRITERS - 1)


def test_rises_at_once_end_in_the_obligation_of_what_holds_last(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))

    changed, reasons = outcomes(
        [
            lambda years=years: office.change(employee.name, date(2026, 10, 1), ["service_years"], service_years=years)
            for years in (6, 8, 10, 12)
        ]
    )
    office.calm()

    assert (len(changed), reasons) == (4, [])
    facts = office.get(employee.name, effective_on=to_date(date(2026, 10, 1))).facts
    base = {6: 3_186_600, 8: 3_287_000, 10: 3_390_500, 12: 3_497_300}[facts.service_years]
    held = {item.budget_line_id: units(item.open) for item in office.get(employee.name).commitment}
    assert held[str(office.lines["BASE_PAY"])] == 7 * 3_089_300 + 3 * base
    asked = office.desk.of("AdjustObligationRequest")[-1]
    last = next(item for item in asked.items if item.budget_line_id == str(office.lines["BASE_PAY"]))
    assert units(last.amount) == held[last.budget_line_id]


def test_a_run_waits_for_the_adjustments_before_it(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))
    run = office.run(4)
    office.desk.away_next(2)

    office.change(employee.name, date(2026, 10, 1), ["service_years"], service_years=6)
    approved = office.approve(run)

    assert approved.state == payroll_pb2.PAYROLL_RUN_STATE_APPROVED
    names = [type(asked).__name__ for asked in office.desk.asked]
    first_acceptance = names.index("AcceptPayrollRequest")
    # Twice away and then settled, all of it before the run is accepted.
    assert names[:first_acceptance].count("AdjustObligationRequest") == 3
    held = {item.budget_line_id: units(item.open) for item in office.get(employee.name).commitment}
    assert held[str(office.lines["BASE_PAY"])] == 6 * 3_089_300 + 3 * 3_186_600


def test_every_change_of_a_unit_is_a_version_of_its_own(office: Office) -> None:
    unit = office.unit()
    parent = office.unit()

    def change(number: int) -> Callable[[], Any]:
        changed = unit_pb2.Unit()
        changed.CopyFrom(unit)
        changed.title, changed.etag = f"Bagian {number}", ""
        paths = ["title"]
        if number % 3 == 0:
            paths, changed.parent_unit_id = [*paths, "parent_unit_id"], parent.unit_id
        request = unit_pb2.UpdateUnitRequest(
            unit=changed, update_mask=field_mask_pb2.FieldMask(paths=paths), request_id=request_id()
        )
        return lambda: office.ask(office.units.UpdateUnit, request)

    changed, reasons = outcomes([change(number) for number in range(40)])

    assert reasons == []
    assert sorted(int(one.etag.removeprefix("v")) for one in changed) == list(range(2, 42))
