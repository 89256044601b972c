"""Act three: two hundred posts are filled, their year is obligated, and the month's pay is computed and approved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from chassis.settings import ROOT
from chassis.wire import to_date
from cli.demo import cast
from cli.demo.acting import DemoStopped, Government, each
from cli.demo.foundation import Foundation
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc
from kelola.hr.v1 import (
    employee_pb2,
    employee_pb2_grpc,
    payroll_pb2,
    payroll_pb2_grpc,
    position_pb2,
    position_pb2_grpc,
    unit_pb2,
    unit_pb2_grpc,
)

_HIRED_ON = date(cast.FISCAL_YEAR, 1, 1)
_PAYROLL_MONTH = 1
_GRADES = ["II/c", "III/a", "III/a", "III/b", "III/b", "III/c", "III/d", "IV/a"]
_RULES = ROOT / "data" / "id" / "payroll_rules.json"
# The leaf of a civil servant's line below each account of the pay rules (…0001 PNS, …0002 PPPK).
_CIVIL_SERVANT_LEAF = ".0001"


@dataclass(frozen=True)
class Employment:
    """What later acts refer to."""

    employees: Mapping[str, list[str]]  # agency label -> employee ids
    payroll_runs: Mapping[str, str] = field(default_factory=dict)  # agency label -> payroll run id


def accounts_by_component() -> dict[str, str]:
    """The expenditure account of each component that a civil servant's post costs."""
    rules = json.loads(_RULES.read_text(encoding="utf-8"))
    accounts = {
        rule["component"]: rule["account"] + _CIVIL_SERVANT_LEAF
        for rule in rules["components"]
        if "account" in rule and rule["account"].startswith("5.1.01")
    }
    accounts[rules["tax"]["allowance_component"]] = rules["tax"]["allowance_account"] + _CIVIL_SERVANT_LEAF
    return accounts


def hire(government: Government, foundation: Foundation, scale: cast.Scale) -> Employment:
    """Create units and positions, hire the officials, and wait until every post's year is obligated."""
    labels = [unit.label for unit in cast.units()]
    shares = {label: cast.officials(scale.officials)[index :: len(labels)] for index, label in enumerate(labels)}
    employees: dict[str, list[str]] = {}
    for label, people in shares.items():
        agency_id = foundation.agencies[label]
        unit_id = _unit(government, label, agency_id)
        funding = _funding(government, agency_id)

        def employ(
            numbered: tuple[int, cast.Person],
            *,
            agency_id: str = agency_id,
            unit_id: str = unit_id,
            funding: Any = funding,
        ) -> str:
            return _employ(government, foundation, agency_id, unit_id, funding, *numbered)

        employees[label] = each(list(enumerate(people)), employ)
    for label, ids in employees.items():
        _until_active(government, foundation.agencies[label], label, len(ids))
    return Employment(employees)


def _unit(government: Government, label: str, agency_id: str) -> str:
    reply = government.do(
        unit_pb2_grpc.UnitServiceStub,
        "CreateUnit",
        unit_pb2.CreateUnitRequest(unit=unit_pb2.Unit(agency_id=agency_id, code="SET", title="Sekretariat")),
        by="hr_officer",
        step=f"unit/{label}",
    )
    return str(reply.unit_id)


def _funding(government: Government, agency_id: str) -> list[Any]:
    """For each component the agency's line with most authority on its account."""
    lines = government.pages(
        budget_pb2_grpc.BudgetServiceStub,
        "ListBudgetLines",
        budget_pb2.ListBudgetLinesRequest(
            agency_id=agency_id, fiscal_year=cast.FISCAL_YEAR, account_prefix="5.1.01", page_size=500
        ),
        by="auditor",
        rows="budget_lines",
    )
    best: dict[str, Any] = {}
    for line in sorted(lines, key=lambda line: (line.figures.original.units, -line.line_no)):
        best[line.account_code] = line
    funding = [
        position_pb2.ComponentFunding(
            fiscal_year=cast.FISCAL_YEAR, component=component, budget_line_id=best[account].budget_line_id
        )
        for component, account in accounts_by_component().items()
        if account in best
    ]
    if not funding:
        raise DemoStopped(f"agency {agency_id} has no budget line for pay (5.1.01)")
    return funding


def _employ(
    government: Government,
    foundation: Foundation,
    agency_id: str,
    unit_id: str,
    funding: list[Any],
    number: int,
    person: cast.Person,
) -> str:
    position = government.do(
        position_pb2_grpc.PositionServiceStub,
        "CreatePosition",
        position_pb2.CreatePositionRequest(
            position=position_pb2.Position(
                agency_id=agency_id,
                unit_id=unit_id,
                code=f"POST-{number:03d}",
                title="Pengadministrasi Umum",
                staff_kind=position_pb2.STAFF_KIND_CIVIL_SERVANT,
                position_kind=position_pb2.POSITION_KIND_GENERAL,
                funding=funding,
            )
        ),
        by="hr_officer",
        step=f"position/{person.label}",
    )
    married, children = number % 3 != 0, number % 3
    reply = government.do(
        employee_pb2_grpc.EmployeeServiceStub,
        "HireEmployee",
        employee_pb2.HireEmployeeRequest(
            employee=employee_pb2.Employee(
                agency_id=agency_id,
                person_id=foundation.persons[person.label],
                position_id=position.position_id,
                employee_number=f"{person.birth_date:%Y%m%d}202001{2 if person.female else 1}{number + 1:03d}",
                hired_on=to_date(_HIRED_ON),
                facts=employee_pb2.EmployeeFacts(
                    staff_kind=position_pb2.STAFF_KIND_CIVIL_SERVANT,
                    grade=_GRADES[number % len(_GRADES)],
                    service_years=4 + number % 12,
                    spouse_allowance=married,
                    children_with_allowance=children if married else 0,
                    tax_status=f"K/{children}" if married else "TK/0",
                    bank_account=employee_pb2.BankAccount(bank_code="116", masked_number=f"******{number:04d}"),
                ),
            )
        ),
        by="hr_officer",
        step=f"hire/{person.label}",
    )
    return str(reply.employee.employee_id)


def _until_active(government: Government, agency_id: str, label: str, count: int) -> None:
    def look() -> list[Any]:
        request = employee_pb2.ListEmployeesRequest(agency_id=agency_id, page_size=500)
        return list(
            government.pages(
                employee_pb2_grpc.EmployeeServiceStub, "ListEmployees", request, by="hr_officer", rows="employees"
            )
        )

    def settled(employees: list[Any]) -> bool:
        return len(employees) == count and not any(
            employee.state == employee_pb2.EMPLOYEE_STATE_PENDING for employee in employees
        )

    for employee in government.wait(look, until=settled, what=f"the hires of {label}"):
        if employee.state == employee_pb2.EMPLOYEE_STATE_REFUSED:
            raise DemoStopped(f"{label}: a hire was refused: {employee.refusal.message}")


def run_payroll(government: Government, foundation: Foundation, employment: Employment) -> Employment:
    """Compute the month's payroll of every agency, have another person approve it, wait until finance has it."""
    runs = dict(
        zip(
            employment.employees,
            each(list(employment.employees), lambda label: _payroll(government, foundation.agencies[label], label)),
            strict=True,
        )
    )
    return Employment(employment.employees, runs)


def _payroll(government: Government, agency_id: str, label: str) -> str:
    operation = government.do(
        payroll_pb2_grpc.PayrollServiceStub,
        "CreatePayrollRun",
        payroll_pb2.CreatePayrollRunRequest(
            payroll_run=payroll_pb2.PayrollRun(
                agency_id=agency_id,
                kind=payroll_pb2.PAYROLL_KIND_REGULAR,
                year=cast.FISCAL_YEAR,
                month=_PAYROLL_MONTH,
            )
        ),
        by="payroll_officer",
        step=f"payroll/{label}",
    )
    progress = payroll_pb2.PayrollRunProgress()
    operation.metadata.Unpack(progress)
    name = f"payrollRuns/{progress.payroll_run_id}"
    _until(government, name, label, payroll_pb2.PAYROLL_RUN_STATE_COMPUTED)
    government.do(
        payroll_pb2_grpc.PayrollServiceStub,
        "ApprovePayrollRun",
        payroll_pb2.ApprovePayrollRunRequest(name=name),
        by="payroll_approver",
        step=f"approve-payroll/{label}",
    )
    _until(government, name, label, payroll_pb2.PAYROLL_RUN_STATE_APPROVED)
    return progress.payroll_run_id


def _until(government: Government, name: str, label: str, state: int) -> None:
    """Wait until the run has reached `state` or gone beyond it."""
    beyond = {payroll_pb2.PAYROLL_RUN_STATE_APPROVED, payroll_pb2.PAYROLL_RUN_STATE_PAID}

    def look() -> Any:
        return government.read(
            payroll_pb2_grpc.PayrollServiceStub,
            "GetPayrollRun",
            payroll_pb2.GetPayrollRunRequest(name=name),
            by="payroll_officer",
        )

    ended = {state, *beyond, payroll_pb2.PAYROLL_RUN_STATE_REFUSED_FUNDS}
    run = government.wait(look, until=lambda run: run.state in ended, what=f"the payroll of {label}")
    if run.state == payroll_pb2.PAYROLL_RUN_STATE_REFUSED_FUNDS:
        raise DemoStopped(f"the payroll of {label} was refused: {run.refusal.message}")
