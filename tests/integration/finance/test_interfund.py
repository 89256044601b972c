"""What the funds of one agency owe one another: asked for, made by the engine, settled, reversed and proved."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine

from chassis.database import sqlalchemy_url
from chassis.testing import call_as, refused
from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import (
    account_pb2,
    interfund_pb2,
    interfund_pb2_grpc,
    journal_template_pb2,
    journal_template_pb2_grpc,
    ledger_pb2,
)
from services.finance.ledger.interfund import verify
from services.finance.ledger.joint import verify as joint_verify
from tests.integration.finance.books import FUND, YEAR, Agency, Books, line, minor, rid
from tests.integration.finance.test_classification_carry_over import NEXT, Charts

DUE = ledger_pb2.FUND_BALANCING_DUE
SETTLEMENT = ledger_pb2.FUND_BALANCING_SETTLEMENT
BUDGET = account_pb2.BASIS_BUDGET
OTHER, THIRD = "BLUD", "HIBAH"
CASH, DEBT = "1.1.01.07", "2.2.04.01"
FROM, TO = "1.1.13.90", "3.1.03.90"


@pytest.fixture(autouse=True)
def funds(books: Books) -> None:
    values = [dimension_value("FUND", code, code, date(2021, 1, 1)) for code in (OTHER, THIRD)]
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=values, request_id=rid())
    call_as(books.accounts.BatchCreateDimensionValues, request, books.token([]))


def problems(books: Books) -> list[Any]:
    with create_engine(sqlalchemy_url(books.database.reader_url)).connect() as connection:
        return verify.problems(connection) + joint_verify.problems(connection)


def borne(agency: Agency, amount: int, **values: Any) -> ledger_pb2.JournalEntry:
    """The general fund's cash pays a debt of the other fund."""
    lines = (line(DEBT, debit=amount, fund_code=OTHER), line(CASH, credit=amount))
    return agency.entry(*lines, **{"fund_balancing": DUE, **values})


def settled(agency: Agency, amount: int, **values: Any) -> ledger_pb2.JournalEntry:
    """The other fund's cash goes to the general fund."""
    lines = (line(CASH, debit=amount), line(CASH, credit=amount, fund_code=OTHER))
    return agency.entry(*lines, **{"fund_balancing": SETTLEMENT, **values})


def of_fund(agency: Agency, fund_code: str) -> dict[str, int]:
    return {code: minor for code, minor in agency.balances(fund_code=fund_code).items() if minor}


def test_what_a_fund_bears_for_another_is_owed_paid_back_and_proved(books: Books, agency: Agency):
    paid = agency.post(borne(agency, 1_000))

    assert [(one.account_code, one.fund_code, one.counterpart_fund_code) for one in paid.lines] == [
        (DEBT, OTHER, ""),
        (CASH, FUND, ""),
        (FROM, FUND, OTHER),
        (TO, OTHER, FUND),
    ]
    assert of_fund(agency, FUND) == {CASH: -100_000, FROM: 100_000}
    assert of_fund(agency, OTHER) == {DEBT: 100_000, TO: -100_000}
    read = call_as(books.ledger.GetJournalEntry, ledger_pb2.GetJournalEntryRequest(name=paid.name), agency.accountant)
    assert read == paid
    agency.post(settled(agency, 400))
    assert of_fund(agency, FUND) == {CASH: -60_000, FROM: 60_000}
    refusal = agency.refused(settled(agency, 601))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INTERFUND_NOT_OWED")
    assert (refusal.metadata["owed_minor"], refusal.metadata["settled_minor"]) == ("60000", "60100")
    agency.post(settled(agency, 600))
    assert of_fund(agency, FUND) == {}
    assert of_fund(agency, OTHER) == {DEBT: 100_000, CASH: -100_000}
    assert problems(books) == []


def test_without_the_word_it_is_refused_and_told_that_the_pair_may_be_asked_for(agency: Agency):
    refusal = agency.refused(borne(agency, 5, fund_balancing=0))

    assert refusal.reason == "JOURNAL_UNBALANCED"
    assert "fund_balancing" in refusal.message
    assert agency.balances() == {}


def test_nobody_posts_the_pair_by_hand(agency: Agency):
    by_hand = agency.entry(line(FROM, debit=5), line(CASH, credit=5))

    assert agency.refused(by_hand).reason == "ACCOUNT_CONTROLLED"


def test_a_reversal_and_a_correction_bring_the_pair_back(books: Books, agency: Agency):
    first = agency.post(borne(agency, 1_000))
    second = agency.post(borne(agency, 200))

    mirror = agency.reverse(first)
    corrected = agency.post(
        agency.entry(
            line(CASH, debit=50),
            line(DEBT, credit=50, fund_code=OTHER),
            fund_balancing=SETTLEMENT,
            kind=ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION,
            corrects_journal_entry_id=second.journal_entry_id,
        )
    )

    assert [(one.account_code, one.counterpart_fund_code) for one in mirror.lines[2:]] == [(FROM, OTHER), (TO, FUND)]
    assert len(corrected.lines) == 4
    assert of_fund(agency, FUND) == {CASH: -15_000, FROM: 15_000}
    # A reversal is reversed as any other entry: the debt between the funds stands again.
    agency.reverse(mirror)
    assert of_fund(agency, OTHER) == {DEBT: 115_000, TO: -115_000}
    assert problems(books) == []


def test_batch_and_stream_take_each_entry_in_its_turn(books: Books, agency: Agency):
    entries = [borne(agency, 100), settled(agency, 60), settled(agency, 41), settled(agency, 40), borne(agency, 7)]

    batch = call_as(
        books.ledger.BatchCreateJournalEntries,
        ledger_pb2.BatchCreateJournalEntriesRequest(
            agency_id=str(agency.agency_id), journal_entries=entries, request_id=rid()
        ),
        agency.accountant,
    )
    stream = call_as(
        books.ledger.ImportJournalEntries,
        iter([ledger_pb2.ImportJournalEntriesRequest(journal_entry=one, request_id=rid()) for one in entries]),
        agency.accountant,
    )

    assert [one.WhichOneof("outcome") for one in batch.results] == [
        *("journal_entry", "journal_entry", "refusal", "journal_entry", "journal_entry"),
    ]
    # The batch left 7 owed, so that the stream's third entry finds enough.
    assert (stream.posted_count, [one.position for one in stream.refusals]) == (4, [4])
    assert of_fund(agency, FUND)[FROM] == (100 - 100 + 7 + 100 - 60 - 41 + 7) * 100
    assert problems(books) == []


def test_of_settlements_at_once_no_more_is_paid_back_than_is_owed(books: Books, agency: Agency):
    agency.post(borne(agency, 100))

    def settle(_: int) -> str:
        request = ledger_pb2.CreateJournalEntryRequest(journal_entry=settled(agency, 40), request_id=rid())
        try:
            call_as(books.ledger.CreateJournalEntry, request, agency.accountant)
        except grpc.RpcError as refusal:
            return refusal.details()
        return ""

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(settle, range(6)))

    assert outcomes.count("") == 2
    assert all("owes fund" in one for one in outcomes if one)
    assert of_fund(agency, FUND)[FROM] == 2_000


def test_the_cash_basis_has_a_pair_of_its_own(books: Books, agency: Agency):
    lines = (
        line("6.2.01.01", debit=300, basis=BUDGET),
        line("4.1.04.05", credit=100, basis=BUDGET, fund_code=OTHER),
        line("4.1.04.05", credit=200, basis=BUDGET, fund_code=THIRD),
    )

    posted = agency.post(agency.entry(*lines, fund_balancing=DUE))

    assert [
        (one.account_code, one.fund_code, one.counterpart_fund_code, minor(one.debit) - minor(one.credit))
        for one in posted.lines[3:]
    ] == [
        ("3.1.02.90", OTHER, FUND, 10_000),
        ("3.1.02.91", FUND, OTHER, -10_000),
        ("3.1.02.90", THIRD, FUND, 20_000),
        ("3.1.02.91", FUND, THIRD, -20_000),
    ]
    assert problems(books) == []


def test_debts_between_funds_are_listed_by_the_page_and_as_of_a_day(books: Books, agency: Agency):
    agency.post(borne(agency, 100))
    agency.post(borne(agency, 30, on=date(YEAR, 4, 1)))
    agency.post(
        agency.entry(line(DEBT, debit=7, fund_code=FUND), line(CASH, credit=7, fund_code=THIRD), fund_balancing=DUE)
    )
    other = books.agency()
    other.post(borne(other, 5))
    stub = interfund_pb2_grpc.InterfundServiceStub(books.service.channel)

    def listed(**values: Any) -> tuple[list[tuple[str, str, int]], str]:
        request = interfund_pb2.ListInterfundDebtsRequest(agency_id=str(agency.agency_id), **values)
        reply = call_as(stub.ListInterfundDebts, request, agency.accountant)
        found = [(one.debtor_fund_code, one.creditor_fund_code, minor(one.amount)) for one in reply.interfund_debts]
        return found, reply.next_page_token

    first, token = listed(page_size=1)
    second, end = listed(page_size=1, page_token=token)

    assert first + second == [(OTHER, FUND, 13_000), (FUND, THIRD, 700)]
    assert end == ""
    assert listed(as_of=to_date(date(YEAR, 3, 31)))[0] == [(OTHER, FUND, 10_000), (FUND, THIRD, 700)]
    agency.post(settled(agency, 130, on=date(YEAR, 4, 2)))
    assert listed()[0] == [(FUND, THIRD, 700)], "who is even is left out"


def test_a_template_posts_the_pair_on_each_due_day_and_takes_it_back(books: Books, agency: Agency):
    stub = journal_template_pb2_grpc.JournalTemplateServiceStub(books.service.channel)
    template = {
        "agency_id": str(agency.agency_id),
        "description": "monthly",
        "first_due_on": to_date(date(YEAR, 1, 31)),
        "interval_months": 1,
        "lines": borne(agency, 5).lines,
    }

    def request(**values: Any) -> journal_template_pb2.CreateJournalTemplateRequest:
        made = journal_template_pb2.JournalTemplate(**template, **values)
        return journal_template_pb2.CreateJournalTemplateRequest(journal_template=made, request_id=rid())

    without = refused(stub.CreateJournalTemplate, request(), agency.accountant)
    settling = refused(stub.CreateJournalTemplate, request(fund_balancing=SETTLEMENT), agency.accountant)
    made = call_as(stub.CreateJournalTemplate, request(fund_balancing=DUE, auto_reverse=True), agency.accountant)
    run = journal_template_pb2.RunJournalTemplatesRequest(
        agency_id=str(agency.agency_id), due_to=to_date(date(YEAR, 2, 15)), request_id=rid()
    )
    outcome = call_as(stub.RunJournalTemplates, run, agency.accountant).scheduled_entries

    assert without.reason == "JOURNAL_UNBALANCED"
    assert settling.code is grpc.StatusCode.INVALID_ARGUMENT
    assert made.fund_balancing == DUE
    assert [one.refusal_reason for one in outcome] == ["", ""]
    assert agency.balances(fund_code=FUND, as_of=to_date(date(YEAR, 1, 31)))[FROM] == 500
    assert of_fund(agency, FUND) == {}, "the accrual and its pair were taken back on the first of February"
    assert problems(books) == []


@pytest.fixture
def next_chart(books: Books) -> Iterator[str]:
    """What is due from funds has another account next year; its old one does not end for anybody else.

    The succession stays: what this test leaves in the books rests on it.
    """
    charts = Charts(books)
    code = f"1.1.13.{charts.mark}"
    charts.account("next", code=code, parent_code="1.1.13", kind=account_pb2.ACCOUNT_KIND_INTER_ENTITY, control=True)
    charts.follow((FROM, code))
    yield code
    with psycopg.connect(books.superuser_url, autocommit=True) as connection:
        connection.execute("update account set valid_to = null where code = %s", (FROM,))


def test_what_funds_owe_one_another_goes_over_to_the_next_chart_with_the_other_fund(
    books: Books, agency: Agency, next_chart: str
):
    posted = agency.post(borne(agency, 9))
    agency.open_year(NEXT)

    (entry_id,) = Charts(books).carried(agency).journal_entry_ids
    name = f"journalEntries/{entry_id}"
    shown = call_as(books.ledger.GetJournalEntry, ledger_pb2.GetJournalEntryRequest(name=name), agency.accountant)

    assert [(one.account_code, one.fund_code, one.counterpart_fund_code) for one in shown.lines] == [
        (FROM, FUND, OTHER),
        (next_chart, FUND, OTHER),
    ]
    assert of_fund(agency, FUND) == {CASH: -900, next_chart: 900}
    mirror = agency.reverse(posted, effective_on=to_date(date(NEXT, 2, 1)))
    assert (mirror.lines[2].account_code, mirror.lines[2].counterpart_fund_code) == (next_chart, OTHER)
    assert of_fund(agency, FUND) == {}
    assert problems(books) == []


@pytest.fixture
def posted(agency: Agency) -> ledger_pb2.JournalEntry:
    return agency.post(borne(agency, 5))


@pytest.fixture
def put_back(books: Books, posted: ledger_pb2.JournalEntry) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(books.superuser_url, autocommit=True) as connection:
        connection.execute("create table interfund_before as select * from interfund_line")
        yield connection
        connection.execute("truncate interfund_line")
        connection.execute("insert into interfund_line select * from interfund_before")
        connection.execute("drop table interfund_before")


def test_verify_finds_a_pair_that_is_not_equal_and_opposite(
    books: Books, posted: ledger_pb2.JournalEntry, put_back: psycopg.Connection[Any]
):
    assert problems(books) == []

    put_back.execute(
        "update interfund_line set counterpart_fund_code = %s where journal_entry_id = %s and line_no = 3",
        (THIRD, posted.journal_entry_id),
    )
    other_fund = problems(books)
    put_back.execute(
        "delete from interfund_line where journal_entry_id = %s and line_no = 3", (posted.journal_entry_id,)
    )
    missing = problems(books)

    assert {one.invariant for one in [*other_fund, *missing]} == {"E2"}
    assert any(f"fund {FUND} shows 500 minor units towards fund {THIRD}" in one.what for one in other_fund)
    assert any(f"entry {posted.journal_entry_id}, line 3" in one.what for one in missing)
