"""The second government's office: a unit, posts, hires, a change, a separation, payroll runs."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

from google.longrunning import operations_pb2

from chassis.wire import to_date
from cli.demo.employment import accounts_by_component
from kelola.finance.v1 import payables_pb2
from kelola.hr.v1 import employee_pb2, payroll_pb2, position_pb2, unit_pb2
from tests.system.rehearsal import JANUARY_FIRST, TODAY, YEAR, Company, mask, rupiah
from tests.system.rehearsal_finance import Budget

# A run that finance accepts by itself, so that hr does not know it.
FOREIGN_PAYROLL = "PAY-UJI"
_PENDING = (employee_pb2.EMPLOYEE_STATE_PENDING, employee_pb2.EMPLOYEE_STATE_SEPARATING)


def employ(company: Company, budget: Budget) -> None:
    """Everything that hr offers, once."""
    unit_id = _unit(company)
    stays = hire(company, budget, unit_id, "official", 1)
    leaves = hire(company, budget, unit_id, "second_official", 2)
    _change(company, stays)
    _separate(company, leaves)
    _payroll(company)
    _foreign_payroll(company, budget)


def _unit(company: Company) -> str:
    agency_id, by = company.agencies["unit"], "hr_officer"
    unit = company.act(
        unit_pb2.CreateUnitRequest(unit=unit_pb2.Unit(agency_id=agency_id, code="UJI", title="Sekretariat")), by=by
    )
    unit.title = "Sekretariat Uji"
    company.act(unit_pb2.UpdateUnitRequest(unit=unit, update_mask=mask("title")), by=by)
    company.read(unit_pb2.GetUnitRequest(name=unit.name), by=by)
    company.read(unit_pb2.ListUnitsRequest(agency_id=agency_id), by=by)
    return str(unit.unit_id)


def hire(company: Company, budget: Budget, unit_id: str, label: str, number: int) -> Any:
    """A new post, and the person with this label in it; waits for what identity and finance say."""
    agency_id, by = company.agencies["unit"], "hr_officer"
    position = company.act(
        position_pb2.CreatePositionRequest(
            position=position_pb2.Position(
                agency_id=agency_id,
                unit_id=unit_id,
                code=f"UJI-{number}",
                title="Pengadministrasi",
                staff_kind=position_pb2.STAFF_KIND_CIVIL_SERVANT,
                position_kind=position_pb2.POSITION_KIND_GENERAL,
                funding=[
                    position_pb2.ComponentFunding(
                        fiscal_year=YEAR, component=component, budget_line_id=budget.lines[account]
                    )
                    for component, account in accounts_by_component().items()
                    if account in budget.lines
                ],
            )
        ),
        by=by,
    )
    if number == 1:
        position.title = "Pengadministrasi Umum"
        company.act(position_pb2.UpdatePositionRequest(position=position, update_mask=mask("title")), by=by)
        company.read(position_pb2.GetPositionRequest(name=position.name), by=by)
        company.read(position_pb2.ListPositionsRequest(agency_id=agency_id), by=by)
    hired = company.act(
        employee_pb2.HireEmployeeRequest(
            employee=employee_pb2.Employee(
                agency_id=agency_id,
                person_id=company.persons[label],
                position_id=position.position_id,
                employee_number=f"19900101202001{number}00{number}",
                hired_on=JANUARY_FIRST,
                facts=employee_pb2.EmployeeFacts(
                    staff_kind=position_pb2.STAFF_KIND_CIVIL_SERVANT,
                    grade="III/a",
                    service_years=4,
                    tax_status="TK/0",
                    bank_account=employee_pb2.BankAccount(bank_code="116", masked_number=f"******000{number}"),
                ),
            )
        ),
        by=by,
    ).employee
    return _settled(company, hired.name)


def _settled(company: Company, name: str) -> Any:
    employee = company.until(
        lambda: company.read(employee_pb2.GetEmployeeRequest(name=name), by="hr_officer"),
        lambda seen: seen.state not in _PENDING,
        f"the answer about {name}",
    )
    assert employee.state != employee_pb2.EMPLOYEE_STATE_REFUSED, employee.refusal
    return employee


def _change(company: Company, employee: Any) -> None:
    company.act(
        employee_pb2.ChangeEmployeeRequest(
            name=employee.name,
            effective_on=JANUARY_FIRST,
            facts=employee_pb2.EmployeeFacts(
                staff_kind=position_pb2.STAFF_KIND_CIVIL_SERVANT, grade="III/b", tax_status="TK/0"
            ),
            update_mask=mask("grade"),
            document_number="SK-UJI-1",
        ),
        by="hr_officer",
    )
    company.read(employee_pb2.ListEmployeesRequest(agency_id=company.agencies["unit"]), by="hr_officer")


def _separate(company: Company, employee: Any) -> None:
    name = employee.name
    company.act(
        employee_pb2.SeparateEmployeeRequest(
            name=name, separated_on=to_date(date(YEAR, 7, 1)), document_number="SK-UJI-2"
        ),
        by="hr_officer",
    )
    assert _settled(company, name).state == employee_pb2.EMPLOYEE_STATE_SEPARATED


def _payroll(company: Company) -> None:
    """A run that is cancelled, then one that another person approves."""
    agency_id = company.agencies["unit"]
    cancelled = _run(company)
    company.act(payroll_pb2.CancelPayrollRunRequest(name=cancelled.name), by="payroll_officer")
    run = _run(company)
    company.refused_to_its_maker(
        payroll_pb2.ApprovePayrollRunRequest(name=run.name), maker="payroll_officer", checker="payroll_approver"
    )
    company.act(payroll_pb2.ApprovePayrollRunRequest(name=run.name), by="payroll_approver")
    approved = company.until(
        lambda: company.read(payroll_pb2.GetPayrollRunRequest(name=run.name), by="payroll_officer"),
        lambda seen: seen.state == payroll_pb2.PAYROLL_RUN_STATE_APPROVED and seen.payslip_count > 0,
        "finance's acceptance of the payroll",
    )
    company.read(payroll_pb2.ListPayrollRunsRequest(agency_id=agency_id), by="payroll_officer")
    company.read(payroll_pb2.ListPayrollExceptionsRequest(payroll_run_id=approved.payroll_run_id), by="payroll_officer")
    slips = company.read(
        payroll_pb2.ListPayslipsRequest(agency_id=agency_id, payroll_run_id=approved.payroll_run_id),
        by="payroll_officer",
    )
    company.read(payroll_pb2.GetPayslipRequest(name=slips.payslips[0].name), by="payroll_officer")


def _run(company: Company) -> Any:
    operation: operations_pb2.Operation = company.act(
        payroll_pb2.CreatePayrollRunRequest(
            payroll_run=payroll_pb2.PayrollRun(
                agency_id=company.agencies["unit"], kind=payroll_pb2.PAYROLL_KIND_REGULAR, year=YEAR, month=1
            )
        ),
        by="payroll_officer",
    )
    progress = payroll_pb2.PayrollRunProgress()
    operation.metadata.Unpack(progress)
    return company.until(
        lambda: company.read(
            payroll_pb2.GetPayrollRunRequest(name=f"payrollRuns/{progress.payroll_run_id}"), by="payroll_officer"
        ),
        lambda seen: seen.state == payroll_pb2.PAYROLL_RUN_STATE_COMPUTED,
        "the computation of the payroll",
    )


def _foreign_payroll(company: Company, budget: Budget) -> None:
    """What hr's saga asks finance, asked directly with hr's own key: a run of one amount, from available."""
    company.act(
        payables_pb2.AcceptPayrollRequest(
            agency_id=company.agencies["unit"],
            payroll_run_id=str(uuid4()),
            payroll_run_number=FOREIGN_PAYROLL,
            charges=[
                payables_pb2.PayrollCharge(
                    budget_line_id=budget.lines[accounts_by_component()["BASE_PAY"]],
                    amount=rupiah(1_000_000),
                    component_code="BASE_PAY",
                )
            ],
            net=rupiah(1_000_000),
            effective_on=TODAY,
            due_on=TODAY,
        ),
        by="service:hr",
    )
