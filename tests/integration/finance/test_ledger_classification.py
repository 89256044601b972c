"""Chart, dimensions, mapping and calendar through the public API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import create_engine
from sqlmodel import Session

from chassis.database import sqlalchemy_url
from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from cli.load.chart import regional
from kelola.finance.v1 import account_pb2, fiscal_calendar_pb2
from services.finance.classification import mapping
from services.finance.classification.domain import AccountNotMapped
from tests.integration.finance.books import YEAR, Agency, Books, rid

JANUARY = date(YEAR, 1, 1)


def account(code: str, **values) -> account_pb2.Account:
    """A valid account."""
    return account_pb2.Account(
        **{
            "code": code,
            "display_name": f"Account {code}",
            "kind": account_pb2.ACCOUNT_KIND_ASSET,
            "normal_side": account_pb2.NORMAL_SIDE_DEBIT,
            "basis": account_pb2.BASIS_ACCRUAL,
            "postable": True,
            "valid_from": to_date(JANUARY),
            **values,
        }
    )


def create(one: account_pb2.Account) -> account_pb2.CreateAccountRequest:
    return account_pb2.CreateAccountRequest(account=one, request_id=rid())


def test_an_account_is_made_under_its_parent_and_read_back(books: Books, agency: Agency):
    root, token = f"X{uuid4().hex[:8]}", agency.accountant
    refusal = refused(books.accounts.CreateAccount, create(account(f"{root}.1", parent_code=root)), token)
    call_as(books.accounts.CreateAccount, create(account(root)), token)

    made = call_as(books.accounts.CreateAccount, create(account(f"{root}.1", parent_code=root)), token)

    assert refusal.reason == "PARENT_UNKNOWN"
    assert call_as(books.accounts.GetAccount, account_pb2.GetAccountRequest(name=made.name), token) == made
    request = account_pb2.ListAccountsRequest(code_prefix=root)
    listed = call_as(books.accounts.ListAccounts, request, token).accounts
    assert [one.code for one in listed] == [root, f"{root}.1"]


def test_a_batch_goes_in_whole_or_not_at_all_and_may_be_loaded_again(books: Books, agency: Agency):
    root, token = f"X{uuid4().hex[:8]}", agency.accountant
    rows = [account(f"{root}.{n}", parent_code=root) for n in range(3)] + [account(root)]

    def load(*accounts):
        request = account_pb2.BatchCreateAccountsRequest(accounts=accounts, request_id=rid())
        return call_as(books.accounts.BatchCreateAccounts, request, token)

    orphan = account_pb2.BatchCreateAccountsRequest(
        accounts=[*rows, account(f"{root}.9.9", parent_code=f"{root}.9")], request_id=rid()
    )
    assert refused(books.accounts.BatchCreateAccounts, orphan, token).reason == "PARENT_UNKNOWN"
    first, second = load(*rows), load(*rows)
    assert (first.existing_count, second.existing_count) == (0, 4)
    assert list(first.accounts) == list(second.accounts)
    changed = account_pb2.BatchCreateAccountsRequest(
        accounts=[account(root, display_name="Another name")], request_id=rid()
    )
    refusal = refused(books.accounts.BatchCreateAccounts, changed, token)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CLASSIFICATION_CONFLICT")


def test_a_code_may_mean_something_else_in_later_years(books: Books, agency: Agency):
    code, token = f"X{uuid4().hex[:8]}", agency.accountant
    old = account(code, valid_to=to_date(date(YEAR + 1, 1, 1)))
    new = account(code, display_name="New meaning", valid_from=to_date(date(YEAR + 1, 1, 1)))
    overlapping = account(code, display_name="Other", valid_from=to_date(date(YEAR, 12, 31)))
    call_as(books.accounts.CreateAccount, create(old), token)
    call_as(books.accounts.CreateAccount, create(new), token)

    assert refused(books.accounts.CreateAccount, create(overlapping), token).reason == "CLASSIFICATION_CONFLICT"
    request = account_pb2.ListAccountsRequest(code_prefix=code, valid_on=to_date(date(YEAR + 1, 5, 5)))
    listed = call_as(books.accounts.ListAccounts, request, token).accounts
    assert [one.display_name for one in listed] == ["New meaning"]


def test_the_whole_chart_is_listed_by_pages(books: Books, agency: Agency):
    codes, token = [], ""
    while True:
        request = account_pb2.ListAccountsRequest(code_prefix="7.", page_size=20, page_token=token)
        reply = call_as(books.accounts.ListAccounts, request, agency.accountant)
        codes += [one.code for one in reply.accounts]
        token = reply.next_page_token
        if not token:
            break

    assert codes == sorted(one.code for one in regional().accounts if one.code.startswith("7."))


def test_dimension_values_are_read_and_listed(books: Books, agency: Agency):
    request = account_pb2.ListDimensionValuesRequest(kind=account_pb2.DIMENSION_KIND_FUNCTION, code_prefix="07")
    listed = call_as(books.accounts.ListDimensionValues, request, agency.accountant).dimension_values

    assert [one.code for one in listed][:1] == ["07"]
    request = account_pb2.GetDimensionValueRequest(name=listed[0].name)
    assert call_as(books.accounts.GetDimensionValue, request, agency.accountant) == listed[0]
    value = account_pb2.DimensionValue(
        kind=account_pb2.DIMENSION_KIND_PROJECT, code=rid()[:20], display_name="A road", valid_from=to_date(JANUARY)
    )
    request = account_pb2.CreateDimensionValueRequest(dimension_value=value, request_id=rid())
    assert call_as(books.accounts.CreateDimensionValue, request, agency.accountant).code == value.code


def projects(*rows: tuple[str, str, date, date | None]) -> account_pb2.BatchCreateDimensionValuesRequest:
    """A batch of projects: (code, the one above, first day, first day without it)."""
    values = [
        account_pb2.DimensionValue(
            kind=account_pb2.DIMENSION_KIND_PROJECT,
            code=code,
            parent_code=above,
            display_name="A project",
            valid_from=to_date(since),
            valid_to=None if until is None else to_date(until),
        )
        for code, above, since, until in rows
    ]
    return account_pb2.BatchCreateDimensionValuesRequest(dimension_values=values, request_id=rid())


def codes_of(books: Books, agency: Agency, prefix: str) -> list[str]:
    """Codes of projects that begin so."""
    request = account_pb2.ListDimensionValuesRequest(kind=account_pb2.DIMENSION_KIND_PROJECT, code_prefix=prefix)
    return [
        one.code for one in call_as(books.accounts.ListDimensionValues, request, agency.accountant).dimension_values
    ]


def test_a_batch_in_which_a_code_stands_above_itself_is_refused_whole(books: Books, agency: Agency):
    mark = rid()[:18]
    a, b, c = (f"{mark}{letter}" for letter in "abc")
    ring = projects((a, b, JANUARY, None), (c, "", JANUARY, None), (b, a, JANUARY, None))
    accounts = account_pb2.BatchCreateAccountsRequest(
        accounts=[account(a, parent_code=b), account(b, parent_code=a)], request_id=rid()
    )

    why = refused(books.accounts.BatchCreateDimensionValues, ring, agency.accountant)
    of_accounts = refused(books.accounts.BatchCreateAccounts, accounts, agency.accountant)

    assert (why.code, why.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CLASSIFICATION_CYCLE")
    assert of_accounts.reason == "CLASSIFICATION_CYCLE"
    assert sorted(why.metadata["codes"].split(",")) == [a, b]
    assert codes_of(books, agency, mark) == []


def test_of_two_batches_at_once_that_make_a_ring_together_one_is_refused(books: Books, agency: Agency):
    mark, spring, summer = rid()[:18], date(YEAR, 4, 1), date(YEAR, 7, 1)
    a, b, c = (f"{mark}{letter}" for letter in "abc")
    there = projects((a, "", JANUARY, spring), (b, "", JANUARY, summer), (c, a, JANUARY, None))
    call_as(books.accounts.BatchCreateDimensionValues, there, agency.accountant)

    def attempt(row: tuple[str, str, date, None]) -> str:
        try:
            call_as(books.accounts.BatchCreateDimensionValues, projects(row), agency.accountant)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "taken"

    # Each alone is a tree; from the summer on both together are a ring of all three.
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(attempt, [(a, b, spring, None), (b, c, summer, None)]))

    assert sorted(answers) == ["CLASSIFICATION_CYCLE", "taken"]
    assert len(codes_of(books, agency, mark)) == 4


@pytest.mark.parametrize(
    ("role", "expenditure_account_code", "account_code"),
    [
        # Domain rules §1: 5.1.x becomes 8.1.x, stock 1.1.12, 5.2.x becomes 1.3.x.
        ("EXP", "5.1.02.01.01.0024", "8.1.02.01"),
        ("EXP", "5.1.01.01.01.0001", "8.1.01.01.01"),
        ("EXP", "5.3.01.01", "8.4.01.01"),
        ("INV", "5.1.02.01.01.0024", "1.1.12"),
        ("FA", "5.2.02.10.01.0002", "1.3.02.10"),
        ("FA", "5.2.06.01", "1.5.04"),
        ("AP", "5.2.02.10.01.0002", "2.1.06.07"),
        ("AP-PAYROLL", "5.1.01.01.01.0001", "2.1.06.01.01"),
        ("BEL", "5.1.02.01.01", "5.1.02.01.01"),
        ("GRNI", "", "2.1.06.90"),
        ("RK-A", "", "3.1.03.01"),
        ("RK-T", "", "1.1.13.01"),
        ("WHT-VAT", "", "2.1.01.06.01"),
        ("SAL", "", "3.1.02.05"),
        ("APR", "", "3.1.02.03"),
    ],
)
def test_the_mapping_gives_the_account_of_a_role(
    books: Books, role: str, expenditure_account_code: str, account_code: str
):
    engine = create_engine(sqlalchemy_url(books.database.app_url))
    with Session(engine) as session:
        assert mapping.account_for(session, role, expenditure_account_code or None, on=JANUARY) == account_code
        with pytest.raises(AccountNotMapped):
            mapping.account_for(session, role, expenditure_account_code or None, on=date(2020, 12, 31))
    engine.dispose()


def test_an_expense_of_capital_has_no_expense_account(books: Books):
    engine = create_engine(sqlalchemy_url(books.database.app_url))
    with Session(engine) as session, pytest.raises(AccountNotMapped) as refusal:
        mapping.account_for(session, "EXP", "5.2.02.10", on=JANUARY)
    engine.dispose()
    assert refusal.value.metadata["expenditure_account_code"] == "5.2.02.10"


def periods(agency: Agency, **values) -> list[fiscal_calendar_pb2.FiscalPeriod]:
    request = fiscal_calendar_pb2.ListFiscalPeriodsRequest(
        **{"agency_id": str(agency.agency_id), "year": YEAR, "page_size": 500, **values}
    )
    return list(call_as(agency.books.calendar.ListFiscalPeriods, request, agency.accountant).fiscal_periods)


def test_a_year_has_twelve_months_and_an_adjustment_period_in_four_areas(books: Books):
    agency = books.agency(open_to=0)

    made = periods(agency)

    assert len(made) == 13 * 4
    assert {one.state for one in made} == {fiscal_calendar_pb2.PERIOD_STATE_FUTURE}
    ledger = periods(agency, area=fiscal_calendar_pb2.PERIOD_AREA_LEDGER)
    assert [one.number for one in ledger] == list(range(1, 14))
    assert ledger[1].ends_on == to_date(date(YEAR, 2, 28))
    assert ledger[12].starts_on == ledger[12].ends_on == to_date(date(YEAR, 12, 31))
    again = fiscal_calendar_pb2.CreateFiscalYearRequest(
        fiscal_year=fiscal_calendar_pb2.FiscalYear(
            agency_id=str(agency.agency_id), year=YEAR, functional_currency="IDR"
        ),
        request_id=rid(),
    )
    assert refused(books.calendar.CreateFiscalYear, again, agency.accountant).reason == "FISCAL_YEAR_EXISTS"


def test_years_are_read_and_listed(books: Books, agency: Agency):
    agency.open_year(YEAR + 1)
    request = fiscal_calendar_pb2.ListFiscalYearsRequest(agency_id=str(agency.agency_id))

    years = call_as(books.calendar.ListFiscalYears, request, agency.accountant).fiscal_years

    assert [(one.year, one.functional_currency) for one in years] == [(YEAR, "IDR"), (YEAR + 1, "IDR")]
    request = fiscal_calendar_pb2.GetFiscalYearRequest(name=years[0].name)
    assert call_as(books.calendar.GetFiscalYear, request, agency.accountant) == years[0]
    stranger = books.token([uuid4()])
    assert refused(books.calendar.GetFiscalYear, request, stranger).code == grpc.StatusCode.NOT_FOUND


def hard_close(agency: Agency, number: int, *areas: int) -> fiscal_calendar_pb2.HardCloseFiscalPeriodRequest:
    return fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(
        agency_id=str(agency.agency_id), year=YEAR, number=number, areas=areas, request_id=rid()
    )


def test_the_ledgers_month_closes_for_good_after_its_areas_and_in_order(books: Books, agency: Agency):
    ledger = fiscal_calendar_pb2.PERIOD_AREA_LEDGER
    others = [area for area in fiscal_calendar_pb2.PeriodArea.values() if area not in (0, ledger)]
    close = books.calendar.HardCloseFiscalPeriod
    agency.close(1)
    agency.close(2)

    assert refused(close, hard_close(agency, 2, *others), agency.authority()).reason == "PERIOD_OUT_OF_TURN"
    refusal = refused(close, hard_close(agency, 1, ledger), agency.authority())
    assert refusal.metadata["open_areas"] == "PAYABLES,PAYROLL,STOCK"
    call_as(close, hard_close(agency, 1, *others), agency.authority())
    call_as(close, hard_close(agency, 1, ledger), agency.authority())
    call_as(close, hard_close(agency, 2), agency.authority())
    assert {one.state for one in periods(agency) if one.number < 3} == {fiscal_calendar_pb2.PERIOD_STATE_HARD_CLOSED}


def test_an_open_period_is_not_closed_for_good_at_once_and_the_accountant_does_not_close_for_good(agency: Agency):
    close = agency.books.calendar.HardCloseFiscalPeriod

    assert refused(close, hard_close(agency, 1), agency.authority()).reason == "PERIOD_OUT_OF_TURN"
    assert refused(close, hard_close(agency, 1), agency.accountant).code == grpc.StatusCode.PERMISSION_DENIED
