"""Reopening by two persons, what blocks a close, period 13 and corrections, on PostgreSQL and over the wire."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine

from chassis.database import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2, fiscal_calendar_pb2, fiscal_closing_pb2, fiscal_closing_pb2_grpc, ledger_pb2
from services.finance.ledger import verify
from tests.integration.finance.books import YEAR, Agency, Books, line, rid, rupiah
from tests.integration.finance.funds import Unit, a_document, an_item
from tests.integration.finance.purchase import STOCK, Purchase

OPEN = fiscal_calendar_pb2.PERIOD_STATE_OPEN
SOFT = fiscal_calendar_pb2.PERIOD_STATE_SOFT_CLOSED
HARD = fiscal_calendar_pb2.PERIOD_STATE_HARD_CLOSED
LEDGER, PAYABLES = fiscal_calendar_pb2.PERIOD_AREA_LEDGER, fiscal_calendar_pb2.PERIOD_AREA_PAYABLES


class Closing:
    """The closing acts of one agency by its officers."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.stub = fiscal_closing_pb2_grpc.FiscalClosingServiceStub(agency.books.service.channel)
        self.accountant = self.officer("finance.accountant")
        self.authority = self.officer("finance.budget_authority")

    def officer(self, *roles: str, person_id: UUID | None = None) -> str:
        return self.agency.books.token([self.agency.agency_id], *roles, person_id=person_id)

    def proposal(self, number: int, *areas: int, year: int = YEAR) -> Any:
        return fiscal_closing_pb2.CreateFiscalPeriodReopeningRequest(
            fiscal_period_reopening=fiscal_closing_pb2.FiscalPeriodReopening(
                agency_id=str(self.agency.agency_id), year=year, number=number, areas=areas, reason="a late invoice"
            ),
            request_id=rid(),
        )

    def proposed(self, number: int, *areas: int, token: str | None = None) -> Any:
        request = self.proposal(number, *areas)
        return call_as(self.stub.CreateFiscalPeriodReopening, request, token or self.accountant)

    def approve(self, reopening: Any) -> Any:
        return fiscal_closing_pb2.ApproveFiscalPeriodReopeningRequest(name=reopening.name, request_id=rid())

    def approved(self, reopening: Any) -> Any:
        return call_as(self.stub.ApproveFiscalPeriodReopening, self.approve(reopening), self.authority)

    def reopened(self, number: int, *areas: int) -> None:
        self.approved(self.proposed(number, *areas))

    def blockers(self, number: int, *areas: int, **page: Any) -> Any:
        request = fiscal_closing_pb2.ListFiscalPeriodBlockersRequest(
            agency_id=str(self.agency.agency_id), year=YEAR, number=number, areas=areas, **page
        )
        return call_as(self.stub.ListFiscalPeriodBlockers, request, self.accountant)

    def kinds(self, number: int, *areas: int) -> list[str]:
        prefix = "FISCAL_PERIOD_BLOCKER_KIND_"
        kind = fiscal_closing_pb2.FiscalPeriodBlockerKind
        return [kind.Name(one.kind).removeprefix(prefix) for one in self.blockers(number, *areas).blockers]

    def hard(self, number: int, *areas: int) -> Any:
        return fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(
            agency_id=str(self.agency.agency_id), year=YEAR, number=number, areas=areas, request_id=rid()
        )

    def refused_close(self, number: int, *areas: int) -> Refusal:
        return refused(self.agency.books.calendar.HardCloseFiscalPeriod, self.hard(number, *areas), self.authority)

    def states(self, number: int) -> set[int]:
        request = fiscal_calendar_pb2.ListFiscalPeriodsRequest(
            agency_id=str(self.agency.agency_id), year=YEAR, page_size=500
        )
        periods = call_as(self.agency.books.calendar.ListFiscalPeriods, request, self.accountant).fiscal_periods
        return {one.state for one in periods if one.number == number}

    def opens(self, number: int) -> Any:
        return fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
            agency_id=str(self.agency.agency_id), year=YEAR, first_number=number, request_id=rid()
        )

    def issue(self, **values: Any) -> Any:
        return fiscal_closing_pb2.IssueFinancialStatementsRequest(
            **{
                "agency_id": str(self.agency.agency_id),
                "year": YEAR,
                "issued_on": to_date(date(YEAR + 1, 3, 31)),
                "document_number": "LKPD/2025",
                "request_id": rid(),
                **values,
            }
        )


@pytest.fixture
def closing(agency: Agency) -> Closing:
    return Closing(agency)


def an_entry(agency: Agency, amount: int = 5, **values: Any) -> ledger_pb2.JournalEntry:
    return agency.entry(line("1.1.01.07", amount), line("7.1.01.01", None, amount), **values)


def test_two_persons_open_a_softly_closed_month_again_and_it_takes_entries(agency: Agency, closing: Closing):
    agency.close(3)
    assert agency.post(an_entry(agency)).accounting_on.month == 4

    reopening = closing.proposed(3)
    assert closing.states(3) == {SOFT}, "a proposal opens nothing"
    answer = closing.approved(reopening)

    assert {one.state for one in answer.fiscal_periods} == {OPEN} == closing.states(3)
    assert answer.fiscal_period_reopening.reason == "a late invoice"
    assert agency.post(an_entry(agency)).accounting_on.month == 3


def test_a_month_closed_for_good_goes_back_by_two_acts_and_the_latest_first(agency: Agency, closing: Closing):
    for number in (1, 2):
        agency.close(number, hard=True)

    refusal = refused(closing.stub.CreateFiscalPeriodReopening, closing.proposal(1), closing.accountant)
    assert (refusal.reason, refusal.metadata["number"]) == ("PERIOD_OUT_OF_TURN", "2")
    closing.reopened(2)
    assert (closing.states(2), closing.states(1)) == ({SOFT}, {HARD})
    closing.reopened(1)
    closing.reopened(1)
    assert closing.states(1) == {OPEN}


def test_who_proposed_does_not_approve_and_the_accountant_may_not(agency: Agency, closing: Closing):
    agency.close(3)
    person_id = uuid4()
    both = closing.officer("finance.accountant", "finance.budget_authority", person_id=person_id)
    reopening = closing.proposed(3, token=both)

    assert refused(closing.stub.ApproveFiscalPeriodReopening, closing.approve(reopening), both).reason == "SAME_PERSON"
    denied = refused(closing.stub.ApproveFiscalPeriodReopening, closing.approve(reopening), closing.accountant)
    assert denied.code == grpc.StatusCode.PERMISSION_DENIED
    with psycopg.connect(agency.books.superuser_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "update fiscal_period_reopening set status = 'APPROVED', decided_by_person_id = proposed_by_person_id"
            " where fiscal_period_reopening_id = %s",
            (reopening.fiscal_period_reopening_id,),
        )
    assert closing.states(3) == {SOFT}


def test_proposals_are_rejected_recalled_and_listed_and_a_period_has_one_at_a_time(agency: Agency, closing: Closing):
    agency.close(3)
    first = closing.proposed(3)
    assert (
        refused(closing.stub.CreateFiscalPeriodReopening, closing.proposal(3), closing.accountant).reason
        == "REOPENING_PENDING"
    )
    reject = fiscal_closing_pb2.RejectFiscalPeriodReopeningRequest(name=first.name, reason="no", request_id=rid())
    call_as(closing.stub.RejectFiscalPeriodReopening, reject, closing.authority)
    again = refused(closing.stub.ApproveFiscalPeriodReopening, closing.approve(first), closing.authority)
    assert again.reason == "REOPENING_NOT_PROPOSED"
    proposer = closing.officer("finance.accountant", person_id=uuid4())
    second = closing.proposed(3, token=proposer)
    recall = fiscal_closing_pb2.RecallFiscalPeriodReopeningRequest(name=second.name, reason="found", request_id=rid())
    assert refused(closing.stub.RecallFiscalPeriodReopening, recall, closing.accountant).reason == "NOT_THE_PROPOSER"
    recalled = call_as(closing.stub.RecallFiscalPeriodReopening, recall, proposer).fiscal_period_reopening

    request = fiscal_closing_pb2.ListFiscalPeriodReopeningsRequest(agency_id=str(agency.agency_id), page_size=1)
    page = call_as(closing.stub.ListFiscalPeriodReopenings, request, closing.accountant)
    request.page_token = page.next_page_token
    rest = call_as(closing.stub.ListFiscalPeriodReopenings, request, closing.accountant)
    assert list(page.fiscal_period_reopenings) == [recalled]
    assert [one.decision_reason for one in rest.fiscal_period_reopenings] == ["no"]
    assert rest.next_page_token == ""
    get = fiscal_closing_pb2.GetFiscalPeriodReopeningRequest(name=recalled.name)
    assert call_as(closing.stub.GetFiscalPeriodReopening, get, closing.accountant) == recalled
    stranger = agency.books.token([uuid4()])
    assert refused(closing.stub.GetFiscalPeriodReopening, get, stranger).code == grpc.StatusCode.NOT_FOUND
    assert closing.states(3) == {SOFT}


def test_approvals_that_come_at_once_open_a_month_once(agency: Agency, closing: Closing):
    agency.close(1, hard=True)
    reopening = closing.proposed(1)
    authorities = [closing.officer("finance.budget_authority", person_id=uuid4()) for _ in range(8)]

    def approve(token: str) -> str:
        try:
            call_as(closing.stub.ApproveFiscalPeriodReopening, closing.approve(reopening), token)
        except grpc.RpcError as failure:
            return failure.code().name
        return "OK"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(approve, authorities))

    assert outcomes == ["FAILED_PRECONDITION"] * 7 + ["OK"]
    assert closing.states(1) == {SOFT}


def test_after_the_statements_are_issued_no_period_of_the_year_opens_again(agency: Agency, closing: Closing):
    books = agency.books
    early = refused(closing.stub.IssueFinancialStatements, closing.issue(), closing.authority)
    assert early.reason == "YEAR_NOT_CLOSED"
    for number in range(1, 13):
        agency.close(number, hard=True)
    future = closing.issue(issued_on=to_date(date(2199, 1, 1)))
    assert refused(closing.stub.IssueFinancialStatements, future, closing.authority).fields == ("issued_on",)

    year = call_as(closing.stub.IssueFinancialStatements, closing.issue(), closing.authority).fiscal_year

    assert (year.statements_issued_on, year.statements_document_number) == (
        to_date(date(YEAR + 1, 3, 31)),
        "LKPD/2025",
    )
    read = call_as(
        books.calendar.GetFiscalYear, fiscal_calendar_pb2.GetFiscalYearRequest(name=year.name), closing.accountant
    )
    assert read == year
    for call in (
        lambda: refused(closing.stub.CreateFiscalPeriodReopening, closing.proposal(12), closing.accountant),
        lambda: refused(books.calendar.OpenFiscalPeriods, closing.opens(13), closing.accountant),
        lambda: refused(closing.stub.IssueFinancialStatements, closing.issue(), closing.authority),
    ):
        assert call().reason == "STATEMENTS_ISSUED"


def test_a_proposal_from_before_the_statements_is_not_approved_after_them(agency: Agency, closing: Closing):
    for number in range(1, 13):
        agency.close(number, hard=True)
    reopening = closing.proposed(12)
    call_as(closing.stub.IssueFinancialStatements, closing.issue(), closing.authority)

    refusal = refused(closing.stub.ApproveFiscalPeriodReopening, closing.approve(reopening), closing.authority)

    assert refusal.reason == "STATEMENTS_ISSUED"
    assert closing.states(12) == {HARD}


# --- what blocks a close ---------------------------------------------------------------------------------------------


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_an_invoice_that_waits_or_is_held_blocks_the_payables_of_its_month(unit: Unit):
    closing = Closing(unit.agency)
    (goods,) = unit.lines(1_000_000)
    purchase = Purchase(unit, goods, 10, 1_000).issued()
    waiting = purchase.invoiced(10, 1_000)
    for number in (1, 2, 3):
        unit.agency.close(number, hard=number < 3)

    refusal = closing.refused_close(3)

    assert refusal.reason == "PERIOD_BLOCKED"
    assert waiting.supplier_invoice_number in refusal.metadata["blocker_1"]
    assert closing.kinds(2) == [], "it came in March"
    assert [one.subject for one in closing.blockers(3).blockers] == [waiting.invoice_id]
    assert closing.kinds(3, fiscal_calendar_pb2.PERIOD_AREA_STOCK) == []
    call_as(
        unit.books.calendar.HardCloseFiscalPeriod,
        closing.hard(3, fiscal_calendar_pb2.PERIOD_AREA_STOCK),
        closing.authority,
    )
    purchase.accepted(10)
    unit.agency.close_for_good(3)
    assert closing.states(3) == {HARD}


def test_received_not_invoiced_that_nothing_explains_blocks_and_tells_both_figures(unit: Unit):
    closing = Closing(unit.agency)
    (goods,) = unit.lines(1_000_000)
    purchase = Purchase(unit, goods, 10, 1_000).issued()
    purchase.accepted(4)
    assert closing.kinds(3) == [], "what was accepted and not invoiced is explained"
    with psycopg.connect(unit.books.superuser_url, autocommit=True) as connection:
        connection.execute(
            "update purchase_order_line set accepted_minor = accepted_minor - 7 where purchase_order_line_id = %s",
            (purchase.line_id,),
        )

    (blocker,) = closing.blockers(3).blockers

    assert blocker.kind == fiscal_closing_pb2.FISCAL_PERIOD_BLOCKER_KIND_GRNI_UNEXPLAINED
    assert (blocker.subject, blocker.area) == (purchase.line_id, PAYABLES)
    assert "is 400000, accepted and not invoiced 399993" in blocker.description
    assert closing.kinds(2) == [], "it was accepted in March"
    with psycopg.connect(unit.books.superuser_url, autocommit=True) as connection:
        connection.execute(
            "update purchase_order_line set accepted_minor = accepted_minor + 7 where purchase_order_line_id = %s",
            (purchase.line_id,),
        )


def test_a_service_that_was_accepted_by_hand_is_explained_by_its_own_movement(unit: Unit):
    closing = Closing(unit.agency)
    (goods,) = unit.lines(1_000_000)
    item = an_item(goods, 250_000)
    request = unit.funds("ExpendFunds", [item], document=a_document(budget_pb2.FUNDS_DOCUMENT_KIND_SERVICE_ACCEPTANCE))

    call_as(unit.budget.ExpendFunds, request, unit.token("budget_user"))

    assert closing.kinds(12) == []


def test_stock_above_a_gap_is_in_flight(unit: Unit):
    closing = Closing(unit.agency)
    (goods,) = unit.lines(1_000_000)
    purchase = Purchase(unit, goods, 10, 1_000, treatment=STOCK).issued()
    purchase.accepted(4, stock_number=2)

    (blocker,) = closing.blockers(3).blockers
    assert (blocker.area, blocker.subject) == (fiscal_calendar_pb2.PERIOD_AREA_STOCK, "2")
    assert "1 has not come" in blocker.description
    purchase.accepted(3, stock_number=1)
    assert closing.kinds(3) == []


def test_pay_that_no_run_has_used_blocks_the_payroll_of_its_month(unit: Unit):
    closing = Closing(unit.agency)
    (salary,) = unit.lines(100_000_000, account="5.1.01.01.01")
    item = an_item(salary, 12_000)
    item.schedule.extend(budget_pb2.PeriodShare(year=YEAR, month=month, amount=rupiah(4_000)) for month in (2, 3, 5))
    request = unit.funds("ObligateFunds", [item], document=a_document(budget_pb2.FUNDS_DOCUMENT_KIND_POSITION))
    call_as(unit.budget.ObligateFunds, request, unit.service_token("hr"))

    assert closing.kinds(1) == []
    assert [one.subject for one in closing.blockers(3).blockers] == [f"{YEAR}-02", f"{YEAR}-03"]
    assert closing.kinds(12) == ["PAYROLL_UNPOSTED"] * 3
    assert {one.area for one in closing.blockers(12).blockers} == {fiscal_calendar_pb2.PERIOD_AREA_PAYROLL}


def test_a_parked_event_and_an_open_override_block_the_ledger(unit: Unit):
    closing, stranger = Closing(unit.agency), Closing(unit.treasury)
    (goods,) = unit.lines(1_000_000)
    headers = [["ce_agency", base64.b64encode(str(unit.agency_id).encode()).decode()]]
    with psycopg.connect(unit.books.superuser_url, autocommit=True) as connection:
        connection.execute(
            "insert into parked (consumer, topic, partition, record_offset, headers, digest, malformed, error, tries,"
            " state, retry_at) values ('finance', 'kelola.hr.payroll.v1', 0, %s, %s, %s, false, 'no such account', 5,"
            " 'PARKED', now())",
            (uuid4().int % 10**12, json.dumps(headers), uuid4().bytes),
        )
        connection.execute("update budget_line set override_minor = 5 where budget_line_id = %s", (goods,))

    assert closing.kinds(11) == ["EVENT_PARKED"]
    assert closing.kinds(12) == ["EVENT_PARKED", "OVERRIDE_OPEN"]
    assert stranger.kinds(12) == [], "each agency's own"
    page = closing.blockers(12, page_size=1)
    rest = closing.blockers(12, page_size=1, page_token=page.next_page_token)
    assert [one.kind for one in (*page.blockers, *rest.blockers)] == [5, 6]
    assert rest.next_page_token == ""
    with psycopg.connect(unit.books.superuser_url, autocommit=True) as connection:
        connection.execute("update budget_line set override_minor = 0 where budget_line_id = %s", (goods,))
        connection.execute("update parked set state = 'DROPPED' where state = 'PARKED'")


# --- corrections and the adjustment period ---------------------------------------------------------------------------


def correction(agency: Agency, of: ledger_pb2.JournalEntry, amount: int = 2, **values: Any) -> ledger_pb2.JournalEntry:
    return an_entry(
        agency,
        amount,
        **{
            "kind": ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION,
            "corrects_journal_entry_id": of.journal_entry_id,
            "on": date(YEAR, 12, 20),
            **values,
        },
    )


def adjusting(agency: Agency, closing: Closing) -> ledger_pb2.JournalEntry:
    """An entry of December, December softly closed and the adjustment period open."""
    entry = agency.post(an_entry(agency, 100, on=date(YEAR, 12, 20)))
    agency.close(12)
    call_as(agency.books.calendar.OpenFiscalPeriods, closing.opens(13), closing.accountant)
    return entry


def test_a_correction_names_what_it_corrects_and_is_found_by_it(agency: Agency):
    first = agency.post(an_entry(agency, 100))
    made = agency.post(correction(agency, first, on=date(YEAR, 4, 2)))

    assert made.kind == ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION
    request = ledger_pb2.ListJournalEntriesRequest(
        agency_id=str(agency.agency_id), corrects_journal_entry_id=first.journal_entry_id
    )
    listed = call_as(agency.books.ledger.ListJournalEntries, request, agency.accountant).journal_entries
    assert [(one.journal_entry_id, one.corrects_journal_entry_id) for one in listed] == [
        (made.journal_entry_id, first.journal_entry_id)
    ]
    assert agency.refused(correction(agency, first, corrects_journal_entry_id="")).reason == "CORRECTION_UNNAMED"
    assert agency.refused(correction(agency, first, kind=1)).fields == ("journal_entry.kind",)
    unknown = agency.refused(correction(agency, first, corrects_journal_entry_id=str(uuid4())))
    assert unknown.reason == "CORRECTED_ENTRY_UNKNOWN"


def test_another_agencys_entry_is_not_corrected(books: Books, agency: Agency):
    other = books.agency()
    foreign = other.post(an_entry(other))

    assert agency.refused(correction(agency, foreign)).reason == "CORRECTED_ENTRY_UNKNOWN"


def test_the_adjustment_period_takes_corrections_of_its_year_and_nothing_else(agency: Agency, closing: Closing):
    refusal = refused(agency.books.calendar.OpenFiscalPeriods, closing.opens(13), closing.accountant)
    assert refusal.reason == "PERIOD_OUT_OF_TURN"
    december = adjusting(agency, closing)
    agency.open_year(YEAR + 1)

    adjusted = agency.post(correction(agency, december, adjustment_year=YEAR))

    assert (adjusted.period_number, adjusted.adjustment_year) == (13, YEAR)
    assert adjusted.accounting_on == to_date(date(YEAR, 12, 31))
    plain = agency.refused(an_entry(agency, adjustment_year=YEAR))
    assert plain.reason == "CORRECTION_UNNAMED"
    january = agency.post(an_entry(agency, on=date(YEAR + 1, 1, 5)))
    assert agency.refused(correction(agency, january, adjustment_year=YEAR)).reason == "CORRECTED_ENTRY_UNKNOWN"
    late = agency.post(an_entry(agency, on=date(YEAR, 12, 20)))
    assert late.accounting_on == to_date(date(YEAR + 1, 1, 1)), "an ordinary entry never falls into period 13"
    assert late.period_number == 1


def test_the_trial_balance_shows_the_year_with_and_without_its_adjustments(agency: Agency, closing: Closing):
    december = adjusting(agency, closing)
    agency.post(correction(agency, december, adjustment_year=YEAR))
    year_end = to_date(date(YEAR, 12, 31))

    assert agency.balances()["1.1.01.07"] == 102_00
    assert agency.balances(without_adjustments=True)["1.1.01.07"] == 100_00
    assert agency.balances(as_of=year_end)["1.1.01.07"] == 102_00
    assert agency.balances(as_of=year_end, without_adjustments=True)["1.1.01.07"] == 100_00
    assert agency.balances(as_of=to_date(date(YEAR, 12, 30)))["1.1.01.07"] == 100_00


def test_an_entry_is_reversed_in_the_adjustment_period_of_its_year(agency: Agency, closing: Closing):
    december = adjusting(agency, closing)

    mirror = agency.reverse(december, in_adjustment_period=True)

    assert (mirror.period_number, mirror.accounting_on) == (13, to_date(date(YEAR, 12, 31)))
    assert agency.balances()["1.1.01.07"] == 0
    assert agency.balances(without_adjustments=True)["1.1.01.07"] == 100_00


def test_an_adjustment_period_that_is_not_open_takes_nothing(agency: Agency, closing: Closing):
    entry = agency.post(an_entry(agency, on=date(YEAR, 12, 20)))
    assert agency.refused(correction(agency, entry, adjustment_year=YEAR)).reason == "PERIOD_CLOSED"
    agency.close(12)
    call_as(agency.books.calendar.OpenFiscalPeriods, closing.opens(13), closing.accountant)
    agency.open_year(YEAR + 1)
    agency.close(13)

    closed = agency.refused(correction(agency, entry, adjustment_year=YEAR))
    assert (closed.reason, closed.metadata["adjustment_year"]) == ("PERIOD_CLOSED", str(YEAR))
    late = correction(agency, entry, adjustment_year=YEAR, late_reason="the auditor's finding")
    posted = agency.post(late, token=agency.authority())
    assert posted.period_number == 13


@pytest.mark.parametrize(
    "tampering",
    [
        "update journal_entry set corrects_journal_entry_id = null where journal_entry_id = %s",
        "update journal_entry set corrects_journal_entry_id = gen_random_uuid() where journal_entry_id = %s",
    ],
)
def test_verify_finds_an_adjustment_that_corrects_nothing(agency: Agency, closing: Closing, tampering: str):
    december = adjusting(agency, closing)
    adjusted = agency.post(correction(agency, december, adjustment_year=YEAR))

    engine = create_engine(sqlalchemy_url(agency.books.superuser_url))
    with engine.connect() as connection:
        assert verify.problems(connection) == []
        connection.exec_driver_sql(tampering, (UUID(adjusted.journal_entry_id),))
        found = verify.problems(connection)
        connection.rollback()
    engine.dispose()

    assert [adjusted.journal_entry_id in str(problem) for problem in found] == [True]
