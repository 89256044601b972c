"""A running HR service and what tests ask of it. Each test uses an agency of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import field_mask_pb2
from google.type import money_pb2
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.database import sqlalchemy_url
from chassis.settings import ROOT
from chassis.testing import Refusal, RunningService, TestKeys, call_as, refused, wait_until
from chassis.wire import to_date
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
from services.hr.payroll import pack
from tests.integration.hr.peer_desk import PeerDesk

PACK = pack.load(ROOT / "data" / "id")
OFFICER, MAKER, APPROVER = "hr.officer", "hr.payroll_officer", "hr.payroll_approver"
_numbers = count(1)


def rupiah(amount: int) -> money_pb2.Money:
    """Whole rupiah."""
    return money_pb2.Money(currency_code="IDR", units=amount)


def request_id() -> str:
    """A fresh request id."""
    return str(uuid4())


@dataclass
class Office:
    """The service, its peers, and one agency with an officer, a maker and an approver."""

    service: RunningService
    desk: PeerDesk
    keys: TestKeys
    reader_url: str
    superuser_url: str
    agency_id: UUID = field(default_factory=uuid4)
    fiscal_year: int = 2026
    lines: dict[str, UUID] = field(default_factory=lambda: {name: uuid4() for name in sorted(PACK.cost_components)})
    people: dict[str, UUID] = field(default_factory=lambda: {role: uuid4() for role in (OFFICER, MAKER, APPROVER)})

    def __post_init__(self) -> None:
        channel = self.service.channel
        self.units = unit_pb2_grpc.UnitServiceStub(channel)
        self.positions = position_pb2_grpc.PositionServiceStub(channel)
        self.employees = employee_pb2_grpc.EmployeeServiceStub(channel)
        self.payroll = payroll_pb2_grpc.PayrollServiceStub(channel)
        self.operations = operations_pb2_grpc.OperationsStub(channel)

    def token(self, role: str, *, person_id: UUID | None = None, agencies: list[UUID] | None = None) -> str:
        """A token of the agency's holder of `role`, or of another person."""
        who = person_id or self.people.get(role) or uuid4()
        return self.keys.token(who, grants=[(role, agencies if agencies is not None else [self.agency_id])])

    def ask(self, method: Any, request: Any, role: str = OFFICER, **token: Any) -> Any:
        """Call as the holder of `role`."""
        return call_as(method, request, self.token(role, **token))

    def refused(self, method: Any, request: Any, role: str = OFFICER, **token: Any) -> Refusal:
        """Call as the holder of `role` and expect a refusal."""
        return refused(method, request, self.token(role, **token))

    def unit(self, **fields: Any) -> unit_pb2.Unit:
        """A new unit."""
        unit = unit_pb2.Unit(
            **{"agency_id": str(self.agency_id), "code": f"U{next(_numbers)}", "title": "Sekretariat", **fields}
        )
        return self.ask(self.units.CreateUnit, unit_pb2.CreateUnitRequest(unit=unit, request_id=request_id()))

    def position(self, **fields: Any) -> position_pb2.Position:
        """A new vacant position of a civil servant in general duties."""
        unit_id = fields.pop("unit_id", None) or self.unit().unit_id
        funding = [
            position_pb2.ComponentFunding(fiscal_year=self.fiscal_year, component=name, budget_line_id=str(line))
            for name, line in self.lines.items()
        ]
        known = {
            "agency_id": str(self.agency_id),
            "unit_id": unit_id,
            "code": f"P{next(_numbers)}",
            "title": "Analis",
            "staff_kind": position_pb2.STAFF_KIND_CIVIL_SERVANT,
            "position_kind": position_pb2.POSITION_KIND_GENERAL,
            "funding": funding,
        }
        position = position_pb2.Position(**{**known, **fields})
        request = position_pb2.CreatePositionRequest(position=position, request_id=request_id())
        return self.ask(self.positions.CreatePosition, request)

    def an_employee(self, *, hired_on: date = date(2026, 4, 1), **fields: Any) -> employee_pb2.Employee:
        """PX01 of the payslip examples: III/b, four years, single, general duties."""
        position_id = fields.pop("position_id", None) or self.position().position_id
        facts = {
            "staff_kind": position_pb2.STAFF_KIND_CIVIL_SERVANT,
            "grade": "III/b",
            "service_years": 4,
            "tax_status": "TK/0",
            "bank_account": employee_pb2.BankAccount(bank_code="116", masked_number="******4321"),
            **fields.pop("facts", {}),
        }
        known = {
            "agency_id": str(self.agency_id),
            "person_id": str(uuid4()),
            "position_id": position_id,
            "employee_number": f"1990{next(_numbers):014d}",
            "facts": employee_pb2.EmployeeFacts(**facts),
        }
        employee = employee_pb2.Employee(**{**known, **fields})
        employee.hired_on.CopyFrom(to_date(hired_on))
        return employee

    def hire(self, **fields: Any) -> employee_pb2.Employee:
        """Hire and wait for what identity and finance say."""
        request = employee_pb2.HireEmployeeRequest(employee=self.an_employee(**fields), request_id=request_id())
        pending = self.ask(self.employees.HireEmployee, request).employee
        assert pending.state == employee_pb2.EMPLOYEE_STATE_PENDING
        return self.settled(pending.name, employee_pb2.EMPLOYEE_STATE_PENDING)

    def settled(self, name: str, *unsettled: int) -> employee_pb2.Employee:
        """The employment once it has left these states."""
        return wait_until(lambda: found if (found := self.get(name)).state not in unsettled else None)

    def get(self, name: str, **query: Any) -> employee_pb2.Employee:
        """The employment as it stands."""
        return self.ask(self.employees.GetEmployee, employee_pb2.GetEmployeeRequest(name=name, **query))

    def change(
        self, name: str, effective_on: date, paths: list[str], *, until_day: date | None = None, **facts: Any
    ) -> employee_pb2.Employee:
        """Change facts."""
        request = employee_pb2.ChangeEmployeeRequest(
            name=name,
            effective_on=to_date(effective_on),
            facts=employee_pb2.EmployeeFacts(**facts),
            update_mask=field_mask_pb2.FieldMask(paths=paths),
            document_number="SK 1/2026",
            request_id=request_id(),
        )
        if until_day is not None:
            request.effective_until.CopyFrom(to_date(until_day))
        return self.ask(self.employees.ChangeEmployee, request).employee

    def create_run(self, month: int, kind: int = payroll_pb2.PAYROLL_KIND_REGULAR, **token: Any) -> Any:
        """Start a run; its operation."""
        run = payroll_pb2.PayrollRun(agency_id=str(self.agency_id), kind=kind, year=self.fiscal_year, month=month)
        request = payroll_pb2.CreatePayrollRunRequest(payroll_run=run, request_id=request_id())
        return self.ask(self.payroll.CreatePayrollRun, request, MAKER, **token)

    def run(self, month: int, kind: int = payroll_pb2.PAYROLL_KIND_REGULAR) -> payroll_pb2.PayrollRun:
        """A computed run, read after its operation ended."""
        operation = self.create_run(month, kind)
        get = operations_pb2.GetOperationRequest(name=operation.name)
        done = wait_until(lambda: found if (found := self.ask(self.operations.GetOperation, get, MAKER)).done else None)
        computed = payroll_pb2.PayrollRun()
        assert done.response.Unpack(computed), done
        return self.get_run(computed.name)

    def get_run(self, name: str) -> payroll_pb2.PayrollRun:
        """The run as it stands."""
        return self.ask(self.payroll.GetPayrollRun, payroll_pb2.GetPayrollRunRequest(name=name), MAKER)

    def approve(self, run: payroll_pb2.PayrollRun, **token: Any) -> payroll_pb2.PayrollRun:
        """Approve and wait for what finance says, and for the true-up."""
        request = payroll_pb2.ApprovePayrollRunRequest(
            name=run.name, etag=run.etag, effective_on=to_date(date(run.year, run.month, 1)), request_id=request_id()
        )
        self.ask(self.payroll.ApprovePayrollRun, request, APPROVER, **token)
        self.calm()
        return self.get_run(run.name)

    def payslips(self, run: payroll_pb2.PayrollRun) -> list[payroll_pb2.Payslip]:
        """The run's payslips, in full."""
        request = payroll_pb2.ListPayslipsRequest(
            agency_id=str(self.agency_id), payroll_run_id=run.payroll_run_id, page_size=500
        )
        listed = self.ask(self.payroll.ListPayslips, request, MAKER).payslips
        return [
            self.ask(self.payroll.GetPayslip, payroll_pb2.GetPayslipRequest(name=payslip.name), MAKER)
            for payslip in listed
        ]

    def look(self, query: str, **values: Any) -> list[Any]:
        """Rows as the reader sees them."""
        return self._execute(self.reader_url, query, values)

    def tamper(self, statement: str, **values: Any) -> None:
        """Change rows past the service, as only the database's superuser could."""
        self._execute(self.superuser_url, f"{statement} returning 1", values)

    @staticmethod
    def _execute(url: str, statement: str, values: dict[str, Any]) -> list[Any]:
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with engine.begin() as connection:
            return list(connection.execute(text(statement), values))

    def calm(self) -> None:
        """Wait until no act of the agency is under way: finance has answered everything."""
        query = "select count(*) from saga where agency_id = :agency and status = 'RUNNING'"
        wait_until(lambda: self.look(query, agency=self.agency_id)[0][0] == 0, what="calm")


def units(amount: money_pb2.Money) -> int:
    """Whole rupiah of an amount that must have no sen."""
    assert amount.nanos == 0
    return amount.units


def open_total(employee: employee_pb2.Employee) -> int:
    """What is obligated for an employment and not used yet."""
    return sum(units(item.open) for item in employee.commitment)
