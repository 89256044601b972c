"""Hire, change, separate: what HR records, and what it asks identity and finance."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc
import pytest

from chassis.testing import wait_until
from chassis.wire import to_date
from kelola.hr.v1 import employee_pb2, position_pb2
from tests.integration.hr.conftest import Building
from tests.integration.hr.office import Office, open_total, request_id, rupiah, units


def test_n16_a_hire_obligates_the_rest_of_the_year_by_line_and_month(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))

    (asked,) = office.desk.of("ObligateFundsRequest")
    assert employee.state == employee_pb2.EMPLOYEE_STATE_ACTIVE
    assert open_total(employee) == 34_912_861
    assert sum(units(item.amount) for item in asked.items) == 34_912_861
    assert asked.document.document_id == employee.employee_id
    for item in asked.items:
        assert sum(units(share.amount) for share in item.schedule) == units(item.amount)
    base = next(item for item in asked.items if item.budget_line_id == str(office.lines["BASE_PAY"]))
    assert [(share.month, units(share.amount)) for share in base.schedule] == [
        (month, 3_089_300 * (2 if month == 6 else 1)) for month in range(4, 13)
    ]


def test_a_hire_beyond_the_budget_is_refused_with_the_figures_and_the_seat_is_free_again(office: Office) -> None:
    position = office.position()
    office.desk.refuse_next("ObligateFundsRequest", budget_line_id="b1", short_by="1000000")

    employee = office.hire(position_id=position.position_id)

    assert employee.state == employee_pb2.EMPLOYEE_STATE_REFUSED
    assert employee.refusal.reason == "BUDGET_EXCEEDED"
    assert employee.refusal.figures["short_by"] == "1000000"
    again = office.ask(office.positions.GetPosition, position_pb2.GetPositionRequest(name=position.name))
    assert again.state == position_pb2.POSITION_STATE_VACANT
    assert office.hire(position_id=position.position_id).state == employee_pb2.EMPLOYEE_STATE_ACTIVE


def test_a_person_whom_identity_does_not_know_is_not_hired_and_binds_no_funds(office: Office) -> None:
    office.desk.refuse_next("GetPersonRequest", reason="NOT_FOUND")

    employee = office.hire()

    assert employee.state == employee_pb2.EMPLOYEE_STATE_REFUSED
    assert employee.refusal.reason == "NOT_FOUND"
    assert office.desk.of("ObligateFundsRequest") == []


def test_finance_is_asked_with_the_same_request_until_it_settles(office: Office) -> None:
    pending = office.an_employee()
    office.desk.away_next(2)

    request = employee_pb2.HireEmployeeRequest(employee=pending, request_id=request_id())
    name = office.ask(office.employees.HireEmployee, request).employee.name
    employee = office.settled(name, employee_pb2.EMPLOYEE_STATE_PENDING)

    assert employee.state == employee_pb2.EMPLOYEE_STATE_ACTIVE
    assert len({asked.request_id for asked in office.desk.of("ObligateFundsRequest")}) == 1


def test_one_person_has_one_employment_in_an_agency(office: Office) -> None:
    person_id = str(uuid4())
    office.hire(person_id=person_id)

    request = employee_pb2.HireEmployeeRequest(
        employee=office.an_employee(person_id=person_id), request_id=request_id()
    )
    refusal = office.refused(office.employees.HireEmployee, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PERSON_EMPLOYED")


def test_a_held_position_takes_nobody_else(office: Office) -> None:
    position_id = office.position().position_id
    office.hire(position_id=position_id)

    request = employee_pb2.HireEmployeeRequest(
        employee=office.an_employee(position_id=position_id), request_id=request_id()
    )
    refusal = office.refused(office.employees.HireEmployee, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POSITION_FILLED")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"grade": "II/b", "service_years": 1}, "NO_PAY_TABLE_CELL"), ({"tax_status": "K/9"}, "NO_TAX_STATUS")],
)
def test_pay_that_cannot_be_computed_cannot_be_funded(office: Office, facts: dict, reason: str) -> None:
    request = employee_pb2.HireEmployeeRequest(employee=office.an_employee(facts=facts), request_id=request_id())

    refusal = office.refused(office.employees.HireEmployee, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PAY_UNKNOWN")
    assert refusal.metadata["pay_reason"] == reason


def test_a_repeated_hire_returns_the_first_answer_and_hires_once(office: Office) -> None:
    request = employee_pb2.HireEmployeeRequest(employee=office.an_employee(), request_id=request_id())

    first = office.ask(office.employees.HireEmployee, request)
    again = office.ask(office.employees.HireEmployee, request)

    assert first == again
    listed = office.ask(
        office.employees.ListEmployees, employee_pb2.ListEmployeesRequest(agency_id=str(office.agency_id))
    )
    assert len(listed.employees) == 1


def test_staff_taken_over_are_paid_and_obligated_from_the_day_given(office: Office) -> None:
    taken = office.an_employee(hired_on=date(2011, 3, 1))
    taken.paid_from.CopyFrom(to_date(date(2026, 4, 1)))
    request = employee_pb2.HireEmployeeRequest(employee=taken, request_id=request_id())

    name = office.ask(office.employees.HireEmployee, request).employee.name
    employee = office.settled(name, employee_pb2.EMPLOYEE_STATE_PENDING)

    assert open_total(employee) == 34_912_861
    assert {item.fiscal_year for item in employee.commitment} == {2026}


def test_a_rise_obligates_the_difference_from_its_day(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))
    office.desk.asked.clear()

    office.change(employee.name, date(2026, 10, 1), ["service_years"], service_years=6)
    asked = wait_until(lambda: office.desk.of("AdjustObligationRequest"))

    rise = 3_186_600 - 3_089_300
    base = next(item for item in asked[0].items if item.budget_line_id == str(office.lines["BASE_PAY"]))
    assert units(base.amount) == 10 * 3_089_300 + 3 * rise
    assert wait_until(lambda: open_total(office.get(employee.name)) > 34_912_861)


def test_a_correction_leaves_what_was_known_before(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))
    before = office.get(employee.name, effective_on=to_date(date(2026, 5, 10))).facts

    office.change(employee.name, date(2026, 5, 1), ["grade"], until_day=date(2026, 6, 1), grade="III/a")

    now = {
        month: office.get(employee.name, effective_on=to_date(date(2026, month, 10))).facts.grade for month in (4, 5, 6)
    }
    assert now == {4: "III/b", 5: "III/a", 6: "III/b"}
    then = office.get(employee.name, effective_on=to_date(date(2026, 5, 10)), known_at=before.known_from).facts
    assert then.grade == "III/b"
    assert then.known_to == office.get(employee.name, effective_on=to_date(date(2026, 5, 10))).facts.known_from


def test_a_rise_that_finance_has_no_room_for_is_kept_with_its_figures(office: Office) -> None:
    employee = office.hire()
    office.desk.refuse_next("AdjustObligationRequest", short_by="291900")

    office.change(employee.name, date(2026, 10, 1), ["service_years"], service_years=6)
    changed = wait_until(lambda: found if (found := office.get(employee.name)).HasField("refusal") else None)

    assert changed.refusal.figures["short_by"] == "291900"
    assert office.get(employee.name, effective_on=to_date(date(2026, 10, 1))).facts.service_years == 6
    assert open_total(changed) == 34_912_861


def test_a_stale_etag_is_refused(office: Office) -> None:
    employee = office.hire()
    request = employee_pb2.SeparateEmployeeRequest(
        name=employee.name,
        separated_on=to_date(date(2026, 10, 1)),
        document_number="SK 9/2026",
        etag="v1",
        request_id=request_id(),
    )

    refusal = office.refused(office.employees.SeparateEmployee, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


def test_contract_staff_are_hired_on_agreed_pay(office: Office) -> None:
    position = office.position(staff_kind=position_pb2.STAFF_KIND_CONTRACT)
    facts = {"staff_kind": position_pb2.STAFF_KIND_CONTRACT, "grade": "", "service_years": 0}

    employee = office.hire(
        hired_on=date(2026, 12, 11),
        position_id=position.position_id,
        facts={**facts, "contract_pay": rupiah(3_100_000)},
    )

    base = next(item for item in employee.commitment if item.budget_line_id == str(office.lines["BASE_PAY"]))
    assert units(base.open) == 2_100_000  # 21 of 31 days


def test_facts_of_another_agency_are_not_there(office: Office, building: Building) -> None:
    employee = office.hire()
    other = building.office()

    request = employee_pb2.GetEmployeeRequest(name=employee.name)
    refusal = other.refused(other.employees.GetEmployee, request)

    assert refusal.code == grpc.StatusCode.NOT_FOUND
