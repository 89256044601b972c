"""A year's closing entries over the wire: results to equity and SAL, balances standing on in the next year."""

from __future__ import annotations

from datetime import date
from typing import Any

import grpc
import pytest
from sqlalchemy import Connection, create_engine, text

from chassis.database import sqlalchemy_url
from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    account_pb2,
    fiscal_calendar_pb2,
    fiscal_closing_pb2,
    ledger_pb2,
    year_end_pb2,
    year_end_pb2_grpc,
)
from kelola.finance.v1 import fiscal_closing_pb2_grpc as closing_grpc
from services.finance.ledger import verify
from services.finance.ledger.yearend import verify as year_end_verify
from tests.integration.finance.books import FUND, YEAR, Agency, Books, line, minor, money, rid
from tests.integration.finance.funds import Unit

CASH, REVENUE, EQUITY = "1.1.01.07", "7.1.01.01", "3.1.01.01"
YEAR_END, NEW_YEAR = to_date(date(YEAR, 12, 31)), to_date(date(YEAR + 1, 1, 1))
LEDGER = fiscal_calendar_pb2.PERIOD_AREA_LEDGER


class YearEnd:
    """An agency whose year is over."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.authority = agency.authority()
        self.stub = year_end_pb2_grpc.YearEndServiceStub(agency.books.service.channel)

    def ready(self) -> None:
        for number in range(1, 13):
            self.agency.close(number, hard=True)
        request = fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
            agency_id=str(self.agency.agency_id), year=YEAR, first_number=13, request_id=rid()
        )
        call_as(self.agency.books.calendar.OpenFiscalPeriods, request, self.agency.accountant)
        self.agency.open_year(YEAR + 1)

    def closing(self) -> Any:
        return year_end_pb2.CloseFiscalYearRequest(agency_id=str(self.agency.agency_id), year=YEAR, request_id=rid())

    def close(self) -> year_end_pb2.FiscalYearClosing:
        return call_as(self.stub.CloseFiscalYear, self.closing(), self.authority).fiscal_year_closing


@pytest.fixture
def year_end(agency: Agency) -> YearEnd:
    return YearEnd(agency)


def results(closing: year_end_pb2.FiscalYearClosing) -> dict[tuple[str, str], int]:
    return {(one.account_code, one.amount.currency_code): minor(one.amount) // 100 for one in closing.results}


def test_results_go_to_equity_and_balances_stand_on_in_the_next_year(agency: Agency, year_end: YearEnd):
    budget_line_id = agency.budget_line(1_000)
    agency.post(agency.entry(line(CASH, 900), line(REVENUE, None, 900)))
    agency.post(agency.spending(budget_line_id, 400, on=date(YEAR, 12, 30)))
    year_end.ready()
    before = agency.balances(as_of=YEAR_END)

    closing = year_end.close()

    assert results(closing) == {(EQUITY, "IDR"): -500}
    after = agency.balances(as_of=YEAR_END)
    assert {code: amount for code, amount in after.items() if amount} == {
        CASH: 900_00,
        "2.1.06.99": -400_00,
        EQUITY: -500_00,
    }
    assert agency.balances(as_of=NEW_YEAR) == after, "nothing has to be posted to open a year"
    assert agency.balances(as_of=YEAR_END, without_closing=True) == before | {EQUITY: 0}
    assert agency.balances(without_closing=True)[REVENUE] == -900_00
    get = ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{closing.journal_entry_ids[0]}")
    entry = call_as(agency.books.ledger.GetJournalEntry, get, agency.accountant)
    assert (entry.source_kind, entry.period_number, entry.accounting_on) == ("CLOSING", 13, YEAR_END)
    assert agency.expended(budget_line_id) == 400, "closing is no movement of funds"
    with create_engine(sqlalchemy_url(agency.books.superuser_url)).connect() as connection:
        assert [one for one in verify.problems(connection) if str(agency.agency_id) in str(one)] == []


def test_a_second_closing_closes_what_was_posted_since_and_nothing_twice(agency: Agency, year_end: YearEnd):
    december = agency.post(agency.entry(line(CASH, 900), line(REVENUE, None, 900), on=date(YEAR, 12, 5)))
    year_end.ready()

    first, second = year_end.close(), year_end.close()
    agency.post(
        agency.entry(
            line(CASH, 30),
            line(REVENUE, None, 30),
            corrects_journal_entry_id=december.journal_entry_id,
            adjustment_year=YEAR,
        )
    )
    third = year_end.close()

    assert [results(one) for one in (first, second, third)] == [{(EQUITY, "IDR"): -900}, {}, {(EQUITY, "IDR"): -30}]
    assert list(second.journal_entry_ids) == []
    assert agency.balances()[EQUITY] == -930_00
    request = year_end_pb2.ListFiscalYearClosingsRequest(agency_id=str(agency.agency_id), page_size=2)
    page = call_as(year_end.stub.ListFiscalYearClosings, request, agency.accountant)
    request.page_token = page.next_page_token
    rest = call_as(year_end.stub.ListFiscalYearClosings, request, agency.accountant)
    assert [*page.fiscal_year_closings, *rest.fiscal_year_closings] == [third, second, first]


def test_an_account_is_closed_as_what_it_was_in_its_year(agency: Agency, year_end: YearEnd):
    """The next year's chart is there before the last year is closed, and may use a code for something else."""
    code = f"8.1.{rid()[:8]}"
    levy = account_pb2.Account(
        code=code,
        display_name="a levy, until its year ends",
        kind=account_pb2.ACCOUNT_KIND_REVENUE,
        normal_side=account_pb2.NORMAL_SIDE_CREDIT,
        basis=account_pb2.BASIS_ACCRUAL,
        postable=True,
        valid_from=to_date(date(2021, 1, 1)),
        valid_to=NEW_YEAR,
    )
    deposits = account_pb2.Account(
        code=code,
        display_name="deposits, from the new year on",
        kind=account_pb2.ACCOUNT_KIND_LIABILITY,
        normal_side=account_pb2.NORMAL_SIDE_CREDIT,
        basis=account_pb2.BASIS_ACCRUAL,
        postable=True,
        valid_from=NEW_YEAR,
    )
    for account in (levy, deposits):
        request = account_pb2.CreateAccountRequest(account=account, request_id=rid())
        call_as(agency.books.accounts.CreateAccount, request, agency.accountant)
    agency.post(agency.entry(line(CASH, 900), line(code, None, 900), on=date(YEAR, 12, 5)))
    year_end.ready()

    closing = year_end.close()

    assert results(closing) == {(EQUITY, "IDR"): -900}
    assert agency.balances()[code] == 0


def test_the_budget_basis_goes_to_the_realised_surplus_and_its_estimates_back(books: Books):
    unit = Unit(books)
    unit.lines(1_000)
    agency, year_end = unit.agency, YearEnd(unit.agency)
    year_end.ready()
    budget = {"basis": account_pb2.BASIS_BUDGET}
    assert agency.balances(**budget) == {"3.1.02.03": -1_000_00, "3.1.02.05": 1_000_00}

    closing = year_end.close()

    assert results(closing) == {("3.1.02.05", "IDR"): -1_000}
    assert set(agency.balances(**budget).values()) == {0}
    assert agency.balances(**budget, without_closing=True)["3.1.02.03"] == -1_000_00
    with create_engine(sqlalchemy_url(books.superuser_url)).connect() as connection:
        assert left_standing(connection, agency) == []
        connection.execute(
            text(
                "update account_balance set credit_minor = credit_minor + 7"
                " where agency_id = :agency_id and account_code = '3.1.02.03' and period_number = 13"
            ),
            {"agency_id": agency.agency_id},
        )
        assert left_standing(connection, agency) == [
            f"agency {agency.agency_id}, fund {FUND}, end of {YEAR}: appropriations of 7 minor units of IDR stand on, "
            "projects have 0"
        ]
        connection.rollback()


def left_standing(connection: Connection, agency: Agency) -> list[str]:
    return [one.what for one in year_end_verify.problems(connection) if str(agency.agency_id) in one.what]


def test_journals_of_outside_origin_are_closed_in_each_currency_by_itself(agency: Agency, year_end: YearEnd):
    agency.post(agency.entry(line(CASH, money(7, "USD")), line(REVENUE, None, money(7, "USD"))))
    agency.post(agency.entry(line(CASH, money(5, "EUR")), line(REVENUE, None, money(5, "EUR"))))
    year_end.ready()

    assert results(year_end.close()) == {(EQUITY, "USD"): -7, (EQUITY, "EUR"): -5}
    assert agency.balances(currency="USD") == {CASH: 7_00, EQUITY: -7_00, REVENUE: 0}


def test_a_year_whose_months_may_change_or_whose_statements_are_out_is_not_closed(agency: Agency, year_end: YearEnd):
    early = refused(year_end.stub.CloseFiscalYear, year_end.closing(), year_end.authority)
    assert (early.reason, early.metadata["number"]) == ("YEAR_NOT_READY", "1")
    denied = refused(year_end.stub.CloseFiscalYear, year_end.closing(), agency.accountant)
    assert denied.code == grpc.StatusCode.PERMISSION_DENIED
    year_end.ready()
    year_end.close()
    agency.close(13, hard=True)
    issue = fiscal_closing_pb2.IssueFinancialStatementsRequest(
        agency_id=str(agency.agency_id),
        year=YEAR,
        issued_on=to_date(date(YEAR + 1, 3, 31)),
        document_number="LKPD",
        request_id=rid(),
    )
    stub = closing_grpc.FiscalClosingServiceStub(agency.books.service.channel)
    call_as(stub.IssueFinancialStatements, issue, year_end.authority)

    final = refused(year_end.stub.CloseFiscalYear, year_end.closing(), year_end.authority)

    assert final.reason == "STATEMENTS_ISSUED"
