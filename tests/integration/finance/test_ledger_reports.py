"""Trial balance and account statement: kept balances, as of a day, as known at an instant, by pages."""

from __future__ import annotations

import csv
import json
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from chassis.money import Money
from chassis.testing import call_as, refused
from chassis.wire import from_date, to_date, to_money, to_timestamp
from kelola.finance.v1 import account_pb2, ledger_pb2
from tests.integration.finance.books import ACCRUAL, YEAR, Agency, Books, line, minor, rid

JOURNALS = Path(__file__).resolve().parents[2] / "data" / "journals"
# Currency names of other programs that are no ISO 4217 codes; the others are taken as they are.
CURRENCIES = {"$": "USD"}


def iso(name: str) -> str:
    return CURRENCIES.get(name, name)


def csv_rows(name: str) -> list[dict[str, str]]:
    with (JOURNALS / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def foreign_entries(agency: Agency, name: str) -> list[ledger_pb2.JournalEntry]:
    """A journal of outside origin: no functional amounts, accounts by their own names."""
    entries = []
    for text in (JOURNALS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        source = json.loads(text)
        currency = iso(source["currency"])
        lines = [
            line(
                one["account"],
                to_money(Money(one["debit"], currency)) if one["debit"] else None,
                to_money(Money(one["credit"], currency)) if one["credit"] else None,
            )
            for one in source["lines"]
        ]
        on = date.fromisoformat(source["date"])
        entries.append(agency.entry(*lines, on=on, description=source["description"] or source["id"]))
    return entries


@pytest.mark.parametrize("name", ["ledger_drewr3", "gnucash_book_prices"])
def test_a_foreign_journal_gives_the_balances_of_its_own_program(books: Books, name: str):
    agency = books.agency(year=2010)
    for year in range(2011, 2020):
        agency.open_year(year)
    expected = csv_rows(f"{name}.expected_tb.csv")
    accounts = [
        account_pb2.Account(
            code=row["account"],
            display_name=row["account"],
            kind=account_pb2.ACCOUNT_KIND_ASSET,
            normal_side=account_pb2.NORMAL_SIDE_DEBIT,
            basis=ACCRUAL,
            postable=True,
            valid_from=to_date(date(1950, 1, 1)),
        )
        for row in expected
    ]
    request = account_pb2.BatchCreateAccountsRequest(accounts=accounts, request_id=rid())
    call_as(books.accounts.BatchCreateAccounts, request, agency.accountant)
    fund = account_pb2.DimensionValue(
        kind=account_pb2.DIMENSION_KIND_FUND,
        code="FOREIGN",
        display_name="Books of another program",
        valid_from=to_date(date(1950, 1, 1)),
    )
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[fund], request_id=rid())
    call_as(books.accounts.BatchCreateDimensionValues, request, agency.accountant)
    entries = foreign_entries(agency, name)
    for entry in entries:
        for entry_line in entry.lines:
            entry_line.fund_code = "FOREIGN"

    requests = [ledger_pb2.ImportJournalEntriesRequest(journal_entry=entry, request_id=rid()) for entry in entries]
    reply = call_as(books.ledger.ImportJournalEntries, iter(requests), agency.accountant)

    assert (reply.posted_count, reply.refused_count) == (len(entries), 0)
    request = ledger_pb2.GetTrialBalanceRequest(agency_id=str(agency.agency_id), basis=ACCRUAL, page_size=500)
    balance = call_as(books.ledger.GetTrialBalance, request, agency.accountant)
    shown = {
        (row.account_code, row.debit.currency_code): (
            minor(row.debit),
            minor(row.credit),
            minor(row.balance),
            row.line_count,
        )
        for row in balance.rows
    }
    assert shown == {
        (row["account"], iso(row["currency"])): (
            int(row["debit_minor"]),
            int(row["credit_minor"]),
            int(row["balance_minor"]),
            int(row["lines"]),
        )
        for row in expected
    }
    assert all(total.debit == total.credit for total in balance.totals)
    as_of = csv_rows(f"{name}.expected_tb_asof.csv")
    for day in sorted({row["as_of_inclusive"] for row in as_of}):
        on_day = {row["account"]: int(row["balance_minor"]) for row in as_of if row["as_of_inclusive"] == day}
        assert agency.balances(as_of=to_date(date.fromisoformat(day))) == on_day, day


def transfer(agency: Agency, amount: int, on: date, **values) -> ledger_pb2.JournalEntry:
    return agency.post(agency.entry(line("1.1.01.07", amount), line("7.1.01.01", None, amount), on=on, **values))


def test_a_balance_as_of_a_day_takes_ended_months_from_kept_balances_and_the_rest_from_lines(agency: Agency):
    for month, day, amount in [(1, 31, 1), (2, 1, 2), (2, 28, 4), (3, 1, 8), (3, 31, 16), (12, 31, 32)]:
        transfer(agency, amount, date(YEAR, month, day))

    def on(month: int, day: int) -> int:
        return agency.balances(as_of=to_date(date(YEAR, month, day))).get("1.1.01.07", 0) // 100

    assert [on(1, 30), on(1, 31), on(2, 1), on(2, 27), on(2, 28)] == [0, 1, 3, 3, 7]
    assert [on(3, 1), on(3, 30), on(3, 31), on(12, 30), on(12, 31)] == [15, 15, 31, 31, 63]


def test_n23_what_was_known_when(books: Books):
    agency = books.agency(open_to=4)
    march = to_date(date(YEAR, 3, 31))

    def known(at: datetime) -> dict[str, int]:
        return agency.balances(as_of=march, known_at=to_timestamp(at))

    before = horizon(agency)
    transfer(agency, 100, date(YEAR, 3, 31))
    first = horizon(agency)
    agency.close(3)
    correction = agency.entry(
        line("1.1.01.07", None, 30), line("7.1.01.01", 30), on=date(YEAR, 3, 31), late_reason="the invoice was wrong"
    )
    agency.post(correction, token=agency.authority())
    second = horizon(agency)

    assert known(before) == {}
    assert known(first) == {"1.1.01.07": 10_000, "7.1.01.01": -10_000}
    assert known(second) == {"1.1.01.07": 7_000, "7.1.01.01": -7_000}
    hard = fully_closed(agency, 3)
    posted = agency.post(hard, token=agency.authority())
    assert from_date(posted.accounting_on) == date(YEAR, 4, 1)
    assert from_date(posted.effective_on) == date(YEAR, 3, 31)
    assert agency.balances(as_of=march)["1.1.01.07"] == 7_000, "the closed month stays as published"
    assert agency.balances(as_of=to_date(date(YEAR, 4, 30)))["1.1.01.07"] == 7_000 - 3_000, "April has the -30"


def test_n23_statement_and_entries_show_what_was_known_when(books: Books):
    # Domain rules §7: what was known before an entry was reversed shows it unreversed, on every page of an answer.
    agency = books.agency(open_to=4)
    entry = transfer(agency, 100, date(YEAR, 3, 30))
    later = transfer(agency, 5, date(YEAR, 3, 31))
    between, long_ago, tomorrow = (horizon(agency), *(datetime.now(UTC) + timedelta(days=days) for days in (-1, 1)))
    asked = statement_request(agency, known_at=to_timestamp(tomorrow), page_size=1)
    first = call_as(books.ledger.ListAccountStatement, asked, agency.accountant)
    reversing = ledger_pb2.ReverseJournalEntryRequest(name=entry.name, reason="twice", request_id=rid())
    reversal = call_as(books.ledger.ReverseJournalEntry, reversing, agency.accountant).journal_entry
    after = horizon(agency)

    asked.page_token = first.next_page_token
    second = call_as(books.ledger.ListAccountStatement, asked, agency.accountant)

    assert (second.known_at, minor(second.closing_balance)) == (first.known_at, 10_500), (
        "no more than on the first page"
    )
    assert lines_known(agency, long_ago) == ([], 0)
    assert lines_known(agency, between) == ([(entry.name, 10_000), (later.name, 10_500)], 10_500)
    assert lines_known(agency, between, page_size=1)[1] == 10_500
    assert lines_known(agency, after)[1] == 500 == agency.balances()["1.1.01.07"]
    assert entries_known(agency, long_ago) == {}
    assert entries_known(agency, between) == {entry.name: "", later.name: ""}
    assert entries_known(agency, after) == {
        entry.name: reversal.journal_entry_id,
        later.name: "",
        reversal.name: "",
    }


def lines_known(agency: Agency, at: datetime, page_size: int = 50) -> tuple[list[tuple[str, int]], int]:
    """The statement as known at an instant, page by page: (entry, balance after it), and what it closes with."""
    shown, token = [], ""
    while True:
        request = statement_request(agency, known_at=to_timestamp(at), page_size=page_size, page_token=token)
        reply = call_as(agency.books.ledger.ListAccountStatement, request, agency.accountant)
        assert reply.known_at == to_timestamp(at)
        shown += [(f"journalEntries/{one.journal_entry_id}", minor(one.balance)) for one in reply.lines]
        token = reply.next_page_token
        if not token:
            return shown, minor(reply.closing_balance)


def entries_known(agency: Agency, at: datetime) -> dict[str, str]:
    """By name, the entries that were known at an instant, with what was known to have reversed them."""
    shown, token = {}, ""
    while True:
        request = ledger_pb2.ListJournalEntriesRequest(
            agency_id=str(agency.agency_id), known_at=to_timestamp(at), page_size=1, page_token=token
        )
        reply = call_as(agency.books.ledger.ListJournalEntries, request, agency.accountant)
        shown |= {one.name: one.reversed_by_journal_entry_id for one in reply.journal_entries}
        token = reply.next_page_token
        if not token:
            return shown


def horizon(agency: Agency) -> datetime:
    """An instant that the service can already answer for: its answer is not lowered any more."""
    (asked,) = agency.row("select clock_timestamp()")
    request = ledger_pb2.GetTrialBalanceRequest(
        agency_id=str(agency.agency_id), basis=ACCRUAL, known_at=to_timestamp(asked)
    )
    end = time.monotonic() + 10
    while time.monotonic() < end:
        answer = call_as(agency.books.ledger.GetTrialBalance, request, agency.accountant)
        if answer.known_at == request.known_at:
            return asked
        time.sleep(0.1)
    raise AssertionError("the knowledge horizon does not move")


def fully_closed(agency: Agency, number: int) -> ledger_pb2.JournalEntry:
    """Close all months up to `number` for good; an entry of that month by the authority."""
    for month in range(1, number):
        agency.close(month, hard=True)
    agency.close_for_good(number)
    return agency.entry(
        line("1.1.01.07", None, 30), line("7.1.01.01", 30), on=date(YEAR, number, 31), late_reason="found later"
    )


def test_knowledge_stays_below_the_oldest_running_transaction(agency: Agency):
    # The service's own role, as another process of the service would be.
    with psycopg.connect(agency.books.database.app_url) as connection:
        (started,) = connection.execute("select transaction_timestamp()").fetchone()
        time.sleep(1.2)
        request = ledger_pb2.GetTrialBalanceRequest(
            agency_id=str(agency.agency_id), basis=ACCRUAL, known_at=to_timestamp(datetime.now(UTC))
        )

        answer = call_as(agency.books.ledger.GetTrialBalance, request, agency.accountant)

    assert answer.known_at.ToDatetime(tzinfo=UTC) < started


def statement_request(agency: Agency, **values) -> ledger_pb2.ListAccountStatementRequest:
    return ledger_pb2.ListAccountStatementRequest(
        **{
            "agency_id": str(agency.agency_id),
            "account_code": "1.1.01.07",
            "basis": ACCRUAL,
            "currency": "IDR",
            **values,
        }
    )


def test_a_statement_by_pages_is_the_whole_statement(agency: Agency):
    amounts = {}
    for n in range(1, 24):
        on = date(YEAR, 1 + n % 5, 1 + n % 3)
        amounts[transfer(agency, n, on).journal_entry_id] = (on, n)

    token, lines, previous = "", [], 0
    while True:
        request = statement_request(agency, page_size=4, page_token=token)
        reply = call_as(agency.books.ledger.ListAccountStatement, request, agency.accountant)
        assert minor(reply.opening_balance) == previous
        previous = minor(reply.closing_balance)
        lines += reply.lines
        token = reply.next_page_token
        if not token:
            break

    assert {one.journal_entry_id: (from_date(one.accounting_on), minor(one.debit) // 100) for one in lines} == amounts
    assert [from_date(one.accounting_on) for one in lines] == sorted(day for day, _ in amounts.values())
    running = 0
    for one in lines:
        running += minor(one.debit) - minor(one.credit)
        assert minor(one.balance) == running
    assert running == sum(range(1, 24)) * 100 == agency.balances()["1.1.01.07"]


def test_a_statement_of_some_days_opens_with_what_came_before(agency: Agency):
    for month, amount in [(1, 1), (2, 2), (3, 4), (4, 8)]:
        transfer(agency, amount, date(YEAR, month, 15))
    days = {"accounting_from": to_date(date(YEAR, 2, 16)), "accounting_to": to_date(date(YEAR, 3, 31))}

    reply = call_as(agency.books.ledger.ListAccountStatement, statement_request(agency, **days), agency.accountant)

    assert minor(reply.opening_balance) == 300
    assert [minor(one.debit) for one in reply.lines] == [400]
    assert minor(reply.closing_balance) == 700


def test_a_page_token_of_another_statement_is_refused(agency: Agency):
    for n in range(3):
        transfer(agency, n + 1, date(YEAR, 1, 1))
    first = call_as(agency.books.ledger.ListAccountStatement, statement_request(agency, page_size=1), agency.accountant)
    other = statement_request(agency, page_token=first.next_page_token, account_code="7.1.01.01")

    assert refused(agency.books.ledger.ListAccountStatement, other, agency.accountant).reason == "PAGE_TOKEN_INVALID"


def test_entries_are_listed_by_accounting_day_and_page(agency: Agency):
    posted = [transfer(agency, n, date(YEAR, 1 + n % 4, 3)).journal_entry_id for n in range(1, 10)]

    token, listed = "", []
    while True:
        request = ledger_pb2.ListJournalEntriesRequest(agency_id=str(agency.agency_id), page_size=2, page_token=token)
        reply = call_as(agency.books.ledger.ListJournalEntries, request, agency.accountant)
        listed += reply.journal_entries
        token = reply.next_page_token
        if not token:
            break

    assert sorted(one.journal_entry_id for one in listed) == sorted(posted)
    days = [from_date(one.accounting_on) for one in listed]
    assert days == sorted(days)
    assert all(len(one.lines) == 2 for one in listed)


def test_a_trial_balance_by_pages_has_the_totals_of_all(agency: Agency):
    transfer(agency, 5, date(YEAR, 1, 1))
    agency.post(agency.entry(line("2.2.04.01", 7), line("7.1.01.02", None, 7)))

    token, codes = "", []
    while True:
        request = ledger_pb2.GetTrialBalanceRequest(
            agency_id=str(agency.agency_id), basis=ACCRUAL, page_size=1, page_token=token
        )
        reply = call_as(agency.books.ledger.GetTrialBalance, request, agency.accountant)
        assert (minor(reply.totals[0].debit), minor(reply.totals[0].credit)) == (1_200, 1_200)
        codes += [row.account_code for row in reply.rows]
        token = reply.next_page_token
        if not token:
            break

    assert codes == ["1.1.01.07", "2.2.04.01", "7.1.01.01", "7.1.01.02"]
    assert agency.balances(fund_code=str(uuid4())) == {}
