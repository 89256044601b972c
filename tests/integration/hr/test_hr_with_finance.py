"""Hire to pay with the real identity and finance beside HR: every figure of the funds ledger, to the rupiah."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.type import decimal_pb2

from chassis.local.broker import Broker
from chassis.local.databases import prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.testing import TestKeys, call_as, running, wait_until
from chassis.verify import verify
from chassis.wire import to_date
from cli.load.chart import regional
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc, payables_pb2, payables_pb2_grpc
from kelola.hr.v1 import employee_pb2, payroll_pb2
from kelola.identity.v1 import person_pb2, person_pb2_grpc
from services.finance.service import FinanceService
from services.hr.service import HrService
from services.hr.verify import problems
from services.identity.service import IdentityService
from services.identity.settings import IdentitySettings
from tests.integration.finance.books import FUND, Agency, Books, rid
from tests.integration.hr.office import PACK, Office, open_total, rupiah, units
from tests.integration.hr.peer_desk import PeerDesk
from tests.integration.identity.identity_service import a_person

YEAR, UNIT = 2025, "1.02.01"
PX01_NET, PX01_COST = 3_066_833, 3_507_349


def accounts() -> dict[str, str]:
    """Component -> expenditure account, from the pack's own rules."""
    rules = json.loads((PACK.folder / "payroll_rules.json").read_text(encoding="utf-8"))
    found = {
        rule["component"]: rule["account"]
        for rule in rules["components"]
        if rule.get("account", "").startswith("5.1.01")
    }
    found[rules["tax"]["allowance_component"]] = rules["tax"]["allowance_account"]
    return found


@dataclass
class Town:
    """Three real services, one agency with a budget for pay, and people who hold roles in it."""

    office: Office
    books: Books
    agency: Agency
    persons: Any
    hr_reader_url: str

    def person(self) -> str:
        """A registered person."""
        request = person_pb2.RegisterPersonRequest(person=a_person(), request_id=rid())
        reply = self.office.ask(self.persons.RegisterPerson, request)
        return str(reply.person.person_id)

    def figures(self) -> dict[str, dict[str, int]]:
        """Component -> bucket -> rupiah, of the line that bears it."""
        stub = budget_pb2_grpc.BudgetServiceStub(self.books.service.channel)
        request = budget_pb2.ListBudgetLinesRequest(agency_id=str(self.agency.agency_id), page_size=500)
        lines = call_as(
            stub.ListBudgetLines, request, self.books.token([self.agency.agency_id], "auditor")
        ).budget_lines
        by_id = {line.budget_line_id: line.figures for line in lines}
        return {
            component: {
                bucket: units(getattr(by_id[str(line)], bucket))
                for bucket in ("obligated", "expended", "ordered", "paid", "available")
            }
            for component, line in self.office.lines.items()
            if str(line) in by_id
        }

    def total(self, bucket: str) -> int:
        """Σ of a bucket over the lines of pay."""
        seen: dict[UUID, int] = {}
        for component, figures in self.figures().items():
            seen[self.office.lines[component]] = figures[bucket]
        return sum(seen.values())


@pytest.fixture(scope="module")
def servers(
    postgres: PostgresServer, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Identity, finance and HR, each on a database of its own, with a broker between them."""
    keys = TestKeys(tmp_path_factory.mktemp("keys"))

    def settings(kind: type, service: str, **more: Any) -> Any:
        database = prepare(postgres, service, name=f"{service}_town")
        upgrade(database.settings())
        return kind(
            **{
                **keys.settings_values(service),
                "database_app_url": database.app_url,
                "database_owner_url": database.owner_url,
                "database_reader_url": database.reader_url,
                "broker_servers": broker.bootstrap,
                **more,
            }
        ), database

    with ExitStack() as stack:
        identity_settings, _ = settings(IdentitySettings, "identity", data_dir=tmp_path_factory.mktemp("identity"))
        identity = stack.enter_context(running(IdentityService, identity_settings))
        finance_settings, finance_database = settings(type(keys.settings("finance")), "finance")
        finance = stack.enter_context(running(FinanceService, finance_settings))
        peers = {"finance": finance.address, "identity": identity.address}
        hr_settings, hr_database = settings(type(keys.settings("hr")), "hr", peers=peers)
        hr = stack.enter_context(running(HrService, hr_settings))
        books = Books(finance, finance_database, postgres.url("finance_town"), keys)
        books.load(regional())
        yield {
            "keys": keys,
            "books": books,
            "hr": hr,
            "hr_url": postgres.url("hr_town"),
            "hr_reader": hr_database.reader_url,
            "persons": person_pb2_grpc.PersonServiceStub(identity.channel),
        }


def town(servers: dict[str, Any], amount: int) -> Town:
    """A fresh agency whose every line of pay holds `amount` rupiah, in force and released for the year."""
    books: Books = servers["books"]
    agency = books.agency(year=YEAR, currency=PACK.currency)
    office = Office(servers["hr"], PeerDesk(), servers["keys"], servers["hr_reader"], servers["hr_url"])
    office.agency_id, office.fiscal_year = agency.agency_id, YEAR
    stub = budget_pb2_grpc.BudgetServiceStub(books.service.channel)
    codes = sorted(set(accounts().values()))
    lines = [
        budget_pb2.AppropriationLine(
            fund_code=FUND, organisation_code=UNIT, account_code=code, line_no=number, original=rupiah(amount)
        )
        for number, code in enumerate(codes, start=1)
    ]
    total = rupiah(amount * len(lines))
    officer, authority = (
        books.token([agency.agency_id], role) for role in ("finance.budget_officer", "finance.budget_authority")
    )
    imported = call_as(
        stub.ImportAppropriation,
        budget_pb2.ImportAppropriationRequest(
            agency_id=str(agency.agency_id),
            fiscal_year=YEAR,
            document_number="DPA-1",
            lines=lines,
            control_total=total,
            request_id=rid(),
        ),
        officer,
    )
    call_as(
        stub.ActivateAppropriation,
        budget_pb2.ActivateAppropriationRequest(
            name=imported.appropriation.name,
            control_line_count=len(lines),
            control_total=total,
            effective_on=to_date(date(YEAR, 1, 1)),
            request_id=rid(),
        ),
        authority,
    )
    call_as(
        stub.AllotFunds,
        budget_pb2.AllotFundsRequest(
            agency_id=str(agency.agency_id),
            fiscal_year=YEAR,
            document_number="SPD-1",
            month_from=1,
            month_to=6,
            organisation_code=UNIT,
            cumulative_share=decimal_pb2.Decimal(value="1"),
            effective_on=to_date(date(YEAR, 1, 1)),
            request_id=rid(),
        ),
        authority,
    )
    ids = dict(zip(codes, imported.budget_line_ids, strict=True))
    office.lines = {component: UUID(ids[code]) for component, code in accounts().items()}
    return Town(office, books, agency, servers["persons"], servers["hr_reader"])


def test_hire_run_and_approve_move_the_funds_of_every_line(servers: dict[str, Any]) -> None:
    place = town(servers, 500_000_000)
    office = place.office

    employee = office.hire(person_id=place.person(), hired_on=date(YEAR, 4, 1))
    hired = place.total("obligated")
    run = office.run(4)
    approved = office.approve(run)
    office.calm()

    assert employee.state == employee_pb2.EMPLOYEE_STATE_ACTIVE, employee.refusal
    assert hired == open_total(employee) == 34_912_861
    assert approved.state == payroll_pb2.PAYROLL_RUN_STATE_APPROVED, approved.refusal
    assert approved.journal_entry_id
    # N16: O -> E by the actual amounts, then O is the newly projected rest.
    assert place.total("expended") == PX01_COST
    assert place.total("obligated") == 31_405_512 == open_total(office.get(employee.name))
    # The payroll journal: Dr = Cr = what the run cost.
    balances = place.agency.balances()
    assert sum(balances.values()) == 0
    assert sum(minor for minor in balances.values() if minor > 0) == PX01_COST * 100
    assert verify("hr", place.hr_reader_url, own=problems).problems == []


def test_a_hire_beyond_a_line_is_refused_with_finances_figures(servers: dict[str, Any]) -> None:
    place = town(servers, 20_000_000)

    employee = place.office.hire(person_id=place.person(), hired_on=date(YEAR, 4, 1))

    assert employee.state == employee_pb2.EMPLOYEE_STATE_REFUSED
    assert employee.refusal.reason == "BUDGET_EXCEEDED"
    assert employee.refusal.figures["budget_line_id"] == str(place.office.lines["BASE_PAY"])
    assert place.total("obligated") == 0


def test_a_person_whom_identity_does_not_know_is_refused(servers: dict[str, Any]) -> None:
    place = town(servers, 500_000_000)

    employee = place.office.hire(person_id=str(uuid4()), hired_on=date(YEAR, 4, 1))

    assert employee.state == employee_pb2.EMPLOYEE_STATE_REFUSED
    assert employee.refusal.reason == "NOT_FOUND"
    assert place.total("obligated") == 0


def test_separation_gives_back_what_no_run_will_use(servers: dict[str, Any]) -> None:
    place = town(servers, 500_000_000)
    office = place.office
    employee = office.hire(person_id=place.person(), hired_on=date(YEAR, 4, 1))
    office.approve(office.run(4))
    office.calm()

    request = employee_pb2.SeparateEmployeeRequest(
        name=employee.name, separated_on=to_date(date(YEAR, 5, 1)), document_number="SK 1", request_id=rid()
    )
    office.ask(office.employees.SeparateEmployee, request)
    gone = office.settled(employee.name, employee_pb2.EMPLOYEE_STATE_SEPARATING)

    assert gone.state == employee_pb2.EMPLOYEE_STATE_SEPARATED
    assert (open_total(gone), place.total("obligated"), place.total("expended")) == (0, 0, PX01_COST)


def test_a_run_is_paid_when_finances_payment_event_says_so(servers: dict[str, Any]) -> None:
    place = town(servers, 500_000_000)
    office, agency_id = place.office, place.agency.agency_id
    office.hire(person_id=place.person(), hired_on=date(YEAR, 4, 1))
    run = office.approve(office.run(4))
    office.calm()
    payables = payables_pb2_grpc.PayablesServiceStub(place.books.service.channel)
    assert run.state == payroll_pb2.PAYROLL_RUN_STATE_APPROVED

    pay_everything(place, payables, run.payroll_run_id, agency_id)
    paid = wait_until(
        lambda: found if (found := office.get_run(run.name)).state != run.state else None, seconds=40, what="PAID"
    )

    assert paid.state == payroll_pb2.PAYROLL_RUN_STATE_PAID
    assert units(paid.paid) == PX01_COST == place.total("paid")


def pay_everything(place: Town, payables: Any, payroll_run_id: str, agency_id: UUID) -> None:
    """SPP, verification, SPM, SP2D and the bank's debit for every payable of the run, by five persons."""
    treasury = place.books.agency(year=YEAR, currency=PACK.currency)
    paid_on = to_date(date(YEAR, 4, 2))

    def token(role: str) -> str:
        return place.books.token([agency_id, treasury.agency_id], role)

    listed = call_as(
        payables.ListPayables,
        payables_pb2.ListPayablesRequest(agency_id=str(agency_id), source_document_id=payroll_run_id),
        token("auditor"),
    ).payables
    asked = payables_pb2.PaymentRequest(
        agency_id=str(agency_id), payable_ids=[one.payable_id for one in listed], requested_on=paid_on
    )
    request = call_as(
        payables.CreatePaymentRequest,
        payables_pb2.CreatePaymentRequestRequest(payment_request=asked, request_id=rid()),
        token("finance.expenditure_treasurer"),
    )
    verify = payables_pb2.VerifyPaymentRequestRequest(name=request.name, request_id=rid())
    call_as(payables.VerifyPaymentRequest, verify, token("finance.verifier"))
    authorise = payables_pb2.AuthorisePaymentRequestRequest(
        name=request.name,
        request_id=rid(),
        statement_of_responsibility=payables_pb2.StatementOfResponsibility(signed_on=paid_on, sha256="5a" * 32),
    )
    call_as(payables.AuthorisePaymentRequest, authorise, token("finance.budget_user"))
    treasurer = token("finance.treasurer")
    issue = payables_pb2.IssuePaymentOrderRequest(
        payment_request=request.name,
        treasury_agency_id=str(treasury.agency_id),
        issued_on=paid_on,
        request_id=rid(),
    )
    order = call_as(payables.IssuePaymentOrder, issue, treasurer).payment_order
    read = payables_pb2.GetPaymentOrderRequest(name=order.name)
    unnumbered = payables_pb2.PAYMENT_ORDER_STATUS_UNNUMBERED
    numbered = wait_until(
        lambda: (
            seen if (seen := call_as(payables.GetPaymentOrder, read, token("auditor"))).status != unnumbered else None
        )
    )
    debit = payables_pb2.RecordBankDebitRequest(
        name=order.name, bank_reference="B-1", value_date=paid_on, amount=numbered.net, request_id=rid()
    )
    call_as(payables.RecordBankDebit, debit, treasurer)
