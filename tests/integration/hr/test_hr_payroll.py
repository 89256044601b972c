"""Runs from computation to payment, and separation after runs."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

import grpc
import pytest

from chassis.database import connect
from chassis.testing import wait_until
from chassis.verify import verify
from chassis.wire import to_date
from kelola.hr.v1 import employee_pb2, payroll_pb2, position_pb2
from services.hr.payroll import usecases
from services.hr.payroll.domain import Payment
from services.hr.verify import problems
from tests.integration.hr.conftest import Building
from tests.integration.hr.office import APPROVER, MAKER, Office, open_total, request_id, rupiah, units

APPROVED = payroll_pb2.PAYROLL_RUN_STATE_APPROVED
PX01_NET, PX01_COST = 3_066_833, 3_507_349


def settled_open(office: Office, name: str, expected: int) -> employee_pb2.Employee:
    """The employment once its commitment has been trued up."""
    return wait_until(
        lambda: found if open_total(found := office.get(name)) == expected else None, what=f"O {expected}"
    )


def separate(office: Office, name: str, day: date) -> employee_pb2.Employee:
    request = employee_pb2.SeparateEmployeeRequest(
        name=name, separated_on=to_date(day), document_number="SK 9/2026", request_id=request_id()
    )
    wait_until(
        lambda: office.ask(office.employees.SeparateEmployee, request), what="no act on its obligation under way"
    )
    return office.settled(name, employee_pb2.EMPLOYEE_STATE_SEPARATING)


def test_n16_n17_a_month_is_computed_approved_accepted_and_trued_up(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))
    office.desk.asked.clear()

    run = office.run(4)
    approved = office.approve(run)

    assert (run.payslip_count, run.exception_count, units(run.net)) == (1, 0, PX01_NET)
    assert approved.state == APPROVED
    (asked,) = office.desk.of("AcceptPayrollRequest")
    assert units(asked.net) == PX01_NET
    assert sum(units(charge.amount) for charge in asked.charges) == PX01_COST
    withheld = {one.withholding_code: units(one.amount) for one in asked.withholdings}
    assert withheld == {"TASPEN": 146_742 + 100_402, "BPJS_HEALTH": 32_743}
    employer = {one.employer_creditor_code: 0 for one in asked.charges}
    for charge in asked.charges:
        employer[charge.employer_creditor_code] += units(charge.amount)
    assert employer == {"": 3_346_720, "BPJS_HEALTH": 130_972, "TASPEN": 7_414 + 22_243}
    assert units(asked.net) + sum(withheld.values()) == employer[""]
    assert all(charge.position_document_line_id for charge in asked.charges)
    settled = settled_open(office, employee.name, 31_405_512)
    assert sum(units(item.used) for item in settled.commitment) == PX01_COST


def test_n16_separated_in_october_after_six_runs_and_the_13th_the_rest_is_released(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 4, 1))
    for month in range(4, 10):
        assert office.approve(office.run(month)).state == APPROVED
        if month == 6:
            thirteenth = office.run(6, payroll_pb2.PAYROLL_KIND_THIRTEENTH)
            assert units(thirteenth.gross) == 3_346_720
            assert office.approve(thirteenth).state == APPROVED
    settled_open(office, employee.name, 10_522_047)
    office.calm()
    office.desk.asked.clear()

    gone = separate(office, employee.name, date(2026, 10, 1))

    assert gone.state == employee_pb2.EMPLOYEE_STATE_SEPARATED
    assert open_total(gone) == 0
    (released,) = office.desk.of("ReleaseFundsRequest")
    assert all(item.final for item in released.items)
    assert office.run(10).payslip_count == 0


def test_a_payslip_shows_its_lines_in_the_order_of_computation(office: Office) -> None:
    office.hire()

    (payslip,) = office.payslips(office.run(4))

    lines = [(line.component, units(line.amount)) for line in payslip.lines]
    assert lines == [
        ("BASE_PAY", 3_089_300),
        ("GENERAL_ALLOWANCE", 185_000),
        ("RICE_ALLOWANCE", 72_420),
        ("PENSION", 146_742),
        ("OLD_AGE", 100_402),
        ("HEALTH", 32_743),
        ("HEALTH_EMPLOYER", 130_972),
        ("ACCIDENT_EMPLOYER", 7_414),
        ("DEATH_EMPLOYER", 22_243),
    ]
    assert units(payslip.net) == units(payslip.gross) + units(payslip.tax_allowance) - units(payslip.deductions)


def test_who_has_an_exception_is_left_out_whole_and_listed_and_paid_by_a_later_run(office: Office) -> None:
    good = office.hire()
    wrong = office.hire()
    position = office.ask(
        office.positions.GetPosition, position_pb2.GetPositionRequest(name=f"positions/{wrong.position_id}")
    )
    drop_funding(office, position.position_id, "RICE_ALLOWANCE")

    run = office.run(4)

    assert (run.payslip_count, run.exception_count) == (1, 1)
    assert [payslip.employee_id for payslip in office.payslips(run)] == [good.employee_id]
    request = payroll_pb2.ListPayrollExceptionsRequest(payroll_run_id=run.payroll_run_id)
    (left_out,) = office.ask(office.payroll.ListPayrollExceptions, request, MAKER).payroll_exceptions
    assert (left_out.employee_id, left_out.reason) == (wrong.employee_id, "NO_BUDGET_LINE")
    assert office.approve(run).state == APPROVED
    add_funding(office, wrong.position_id, "RICE_ALLOWANCE")
    second = office.run(4)
    assert [payslip.employee_id for payslip in office.payslips(second)] == [wrong.employee_id]


def drop_funding(office: Office, position_id: str, component: str) -> None:
    """A damaged funding, as only a mistake past the service could leave it."""
    office.tamper(
        "delete from position_funding where position_id = :position and component = :component",
        position=UUID(position_id),
        component=component,
    )


def add_funding(office: Office, position_id: str, component: str) -> None:
    """The funding put right through the service: a held position takes lines that it does not have."""
    name = f"positions/{position_id}"
    position = office.ask(office.positions.GetPosition, position_pb2.GetPositionRequest(name=name))
    position.funding.add(
        fiscal_year=office.fiscal_year, component=component, budget_line_id=str(office.lines[component])
    )
    request = position_pb2.UpdatePositionRequest(position=position, request_id=request_id())
    request.update_mask.paths.append("funding")
    office.ask(office.positions.UpdatePosition, request)


def test_a_run_short_of_funds_stops_at_approval_and_can_be_approved_again(office: Office) -> None:
    office.hire()
    run = office.run(4)
    office.desk.refuse_next("AcceptPayrollRequest", budget_line_id="b1", short_by="12")

    refused = office.approve(run)
    again = office.approve(refused)

    assert refused.state == payroll_pb2.PAYROLL_RUN_STATE_REFUSED_FUNDS
    assert refused.refusal.figures["short_by"] == "12"
    assert again.state == APPROVED


def test_i9_the_maker_of_a_run_never_approves_it(office: Office) -> None:
    office.hire()
    run = office.run(4)

    request = payroll_pb2.ApprovePayrollRunRequest(name=run.name, request_id=request_id())
    refusal = office.refused(office.payroll.ApprovePayrollRun, request, APPROVER, person_id=office.people[MAKER])

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MAKER_MAY_NOT_APPROVE")


def test_one_run_of_an_agency_is_open_at_a_time_and_a_cancelled_one_is_run_anew(office: Office) -> None:
    office.hire()
    run = office.run(4)
    body = payroll_pb2.PayrollRun(
        agency_id=str(office.agency_id), kind=payroll_pb2.PAYROLL_KIND_REGULAR, year=2026, month=4
    )
    create = payroll_pb2.CreatePayrollRunRequest(payroll_run=body, request_id=request_id())
    refusal = office.refused(office.payroll.CreatePayrollRun, create, MAKER)

    cancel = payroll_pb2.CancelPayrollRunRequest(name=run.name, request_id=request_id())
    office.ask(office.payroll.CancelPayrollRun, cancel, MAKER)
    again = office.run(4)

    assert refusal.reason == "PAYROLL_RUN_OPEN"
    assert (again.payslip_count, units(again.net)) == (1, PX01_NET)


def test_nobody_is_paid_twice_for_a_month(office: Office) -> None:
    office.hire()
    office.approve(office.run(4))

    again = office.run(4)

    assert (again.payslip_count, again.exception_count) == (0, 0)
    request = payroll_pb2.ApprovePayrollRunRequest(name=again.name, request_id=request_id())
    assert office.refused(office.payroll.ApprovePayrollRun, request, APPROVER).reason == "PAYROLL_RUN_EMPTY"


def test_a_run_pays_what_was_known_when_it_began(office: Office) -> None:
    employee = office.hire()
    run = office.run(4)

    office.change(employee.name, date(2026, 4, 1), ["service_years"], service_years=6)

    (payslip,) = office.payslips(run)
    assert units(payslip.net) == PX01_NET
    known = office.get(employee.name, effective_on=to_date(date(2026, 4, 1)), known_at=run.known_at)
    assert known.facts.service_years == 4


def test_extra_pay_needs_its_regulation(office: Office) -> None:
    body = payroll_pb2.PayrollRun(
        agency_id=str(office.agency_id), kind=payroll_pb2.PAYROLL_KIND_THIRTEENTH, year=2026, month=4
    )
    create = payroll_pb2.CreatePayrollRunRequest(payroll_run=body, request_id=request_id())

    refusal = office.refused(office.payroll.CreatePayrollRun, create, MAKER)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "NO_EXTRA_PAY")


def test_a_run_is_paid_when_the_bank_has_debited_all_of_it(office: Office, building: Building) -> None:
    office.hire()
    run = office.approve(office.run(4))
    transactions = connect(building.service.container.settings)

    def pay(order: UUID, rupiah: int) -> None:
        payment = Payment(UUID(run.payroll_run_id), order, rupiah * 100, date(2026, 4, 2))
        with transactions.work([office.agency_id], subject="finance") as session:
            usecases.record_payment(session, payment)

    first, second = uuid4(), uuid4()
    pay(first, 3_346_720)
    pay(first, 3_346_720)
    half = office.get_run(run.name)
    pay(second, PX01_COST - 3_346_720)

    assert (half.state, units(half.paid)) == (APPROVED, 3_346_720)
    assert office.get_run(run.name).state == payroll_pb2.PAYROLL_RUN_STATE_PAID
    transactions.engine.dispose()


def test_one_reads_ones_own_payslip_and_nobody_elses(office: Office, building: Building) -> None:
    mine = office.hire()
    office.hire()
    run = office.run(4)
    other = next(slip for slip in office.payslips(run) if slip.employee_id != mine.employee_id)

    listed = office.ask(
        office.payroll.ListPayslips,
        payroll_pb2.ListPayslipsRequest(agency_id=str(office.agency_id)),
        "hr.employee",
        person_id=UUID(mine.person_id),
    )
    request = payroll_pb2.GetPayslipRequest(name=other.name)
    refusal = office.refused(office.payroll.GetPayslip, request, "hr.employee", person_id=UUID(mine.person_id))

    assert [payslip.employee_id for payslip in listed.payslips] == [mine.employee_id]
    assert refusal.code == grpc.StatusCode.NOT_FOUND


def test_reading_somebody_elses_payslip_is_recorded(office: Office, building: Building) -> None:
    employee = office.hire()
    run = office.run(4)

    office.payslips(run)

    rows = office.look(
        "select subject from audit where resource = :person and agency_id = :agency",
        person=f"persons/{employee.person_id}",
        agency=office.agency_id,
    )
    assert {row.subject for row in rows} == {str(office.people[MAKER])}


def test_i8_i9_verify_finds_nothing_wrong_with_what_these_tests_left(office: Office, building: Building) -> None:
    office.hire()
    office.approve(office.run(4))
    office.calm()

    report = verify("hr", building.database.reader_url, own=problems)

    assert report.problems == []


def test_i8_verify_names_a_payslip_that_was_tampered_with(office: Office, building: Building) -> None:
    office.hire()
    run = office.run(4)
    (payslip,) = office.payslips(run)
    touch = "update payslip_line set amount_minor = amount_minor + :by where payslip_id = :key and line_no = 1"
    office.tamper(touch, by=100, key=UUID(payslip.payslip_id))

    report = verify("hr", building.database.reader_url, own=problems)

    office.tamper(touch, by=-100, key=UUID(payslip.payslip_id))
    assert any(found.invariant == "I8" and payslip.payslip_id in found.what for found in report.problems)


def test_many_are_computed_in_chunks_and_the_run_is_their_sum(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usecases, "CHUNK", 7)
    unit_id = office.unit().unit_id
    for _ in range(20):
        office.hire(position_id=office.position(unit_id=unit_id).position_id)

    run = office.run(4)

    assert (run.payslip_count, units(run.net)) == (20, 20 * PX01_NET)
    assert len({payslip.employee_id for payslip in office.payslips(run)}) == 20
    assert office.approve(run).state == APPROVED


def test_everything_that_happened_is_told_once_and_in_order(office: Office) -> None:
    employee = office.hire()
    run = office.approve(office.run(4))
    office.calm()

    rows = office.look(
        "select type, key, sequence from outbox where agency_id = :agency and topic <> :units order by id",
        agency=office.agency_id,
        units="kelola.hr.organization.v1",
    )

    told = [(row.type.removeprefix("kelola.hr.v1."), row.key) for row in rows]
    assert told == [
        ("EmployeeHired", employee.employee_id),
        ("PayrollRunComputed", run.payroll_run_id),
        ("PayrollRunApproved", run.payroll_run_id),
    ]


def retro_lines(payslip: payroll_pb2.Payslip) -> dict[int, dict[str, int]]:
    """Month -> component -> rupiah, of the lines for earlier months."""
    found: dict[int, dict[str, int]] = {}
    for line in payslip.lines:
        if line.for_month != payslip.month:
            found.setdefault(line.for_month, {})[line.component] = units(line.amount)
    return found


def test_n15_a_rise_known_late_is_paid_with_the_next_month_and_only_once(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 1, 1), facts={"service_years": 2})
    for month in (1, 2, 3):
        office.approve(office.run(month))
    office.calm()
    office.change(employee.name, date(2026, 1, 1), ["service_years"], service_years=4)
    office.calm()

    april = office.run(4)
    (payslip,) = office.payslips(april)
    office.approve(april)
    office.calm()
    (may,) = office.payslips(office.run(5))

    each = {
        "BASE_PAY": 94_300,
        "PENSION": 4_479,
        "OLD_AGE": 3_064,
        "HEALTH": 943,
        "HEALTH_EMPLOYER": 3_772,
        "ACCIDENT_EMPLOYER": 226,
        "DEATH_EMPLOYER": 679,
    }
    assert retro_lines(payslip) == {1: each, 2: each, 3: each}
    assert units(payslip.net) == PX01_NET + 257_442
    assert units(april.net) == units(payslip.net)
    assert retro_lines(may) == {}
    assert units(may.net) == PX01_NET
    accepted = office.desk.of("AcceptPayrollRequest")[-1]
    assert units(accepted.net) == PX01_NET + 257_442


def test_what_was_paid_too_much_is_listed_as_a_claim_and_this_months_pay_stands(office: Office) -> None:
    employee = office.hire(hired_on=date(2026, 1, 1))
    office.approve(office.run(1))
    office.calm()
    office.change(employee.name, date(2026, 1, 1), ["service_years"], service_years=2, until_day=date(2026, 2, 1))
    office.calm()

    run = office.run(2)

    request = payroll_pb2.ListPayrollExceptionsRequest(payroll_run_id=run.payroll_run_id)
    (claim,) = office.ask(office.payroll.ListPayrollExceptions, request, MAKER).payroll_exceptions
    assert (claim.employee_id, claim.reason, claim.left_out) == (employee.employee_id, "RETRO_CLAIM", False)
    assert units(claim.claim) == 85_814
    assert (run.payslip_count, run.exception_count, units(run.net)) == (1, 0, PX01_NET)


def test_the_tax_of_a_correction_falls_in_the_month_of_payment(office: Office) -> None:
    # PPPK X/4 with a functional allowance: the correction lifts the month's gross from the 1.5 % to the 1.75 % rate.
    position = office.position(
        staff_kind=position_pb2.STAFF_KIND_WORK_AGREEMENT,
        position_kind=position_pb2.POSITION_KIND_FUNCTIONAL,
        functional_allowance=rupiah(4_100_000),
    )
    facts = {"staff_kind": position_pb2.STAFF_KIND_WORK_AGREEMENT, "grade": "X", "tax_status": "K/0"}
    employee = office.hire(hired_on=date(2026, 1, 1), position_id=position.position_id, facts=facts)
    office.approve(office.run(1))
    office.calm()
    office.change(employee.name, date(2026, 1, 1), ["spouse_allowance"], spouse_allowance=True)
    office.calm()

    (payslip,) = office.payslips(office.run(2))

    retro = retro_lines(payslip)[1]
    assert (retro["SPOUSE_ALLOWANCE"], retro["RICE_ALLOWANCE"]) == (355_270, 72_420)
    tax = next(units(line.amount) for line in payslip.lines if line.component == "INCOME_TAX")
    gross = 8_152_810 + 355_270 + 72_420
    assert units(payslip.gross) == gross
    assert tax == gross * 175 // 10_000
