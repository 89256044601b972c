"""Entries that are too long, segments that have ended, reversals reversed, clients that go away: what comes of them."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, ledger_pb2
from tests.integration.finance.books import EXPENSE, PAYABLE, YEAR, Agency, Books, line, rid
from tests.integration.finance.test_ledger_classification import account

_DAYS = (date(YEAR, 3, 31), date(YEAR, 4, 1))


@pytest.mark.parametrize("count", [2_002, 10_000])
def test_an_entry_of_too_many_lines_is_refused_with_the_limit(agency: Agency, count: int):
    half = count // 2
    lines = [line("1.1.01.07", 1)] * half + [line("7.1.01.01", None, 1)] * half

    refusal = agency.refused(agency.entry(*lines))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "lines" in refusal.message
    assert "2000" in refusal.message
    assert agency.balances() == {}


def test_the_longest_entry_is_posted_and_told(agency: Agency):
    lines = [line("1.1.01.07", 1)] * 1_000 + [line("7.1.01.01", None, 1)] * 1_000

    posted = agency.post(agency.entry(*lines))

    assert len(posted.lines) == 2_000
    assert agency.balances()["1.1.01.07"] == 100_000
    (body,) = agency.row("select body from outbox where key = %s", posted.journal_entry_id)
    assert len(body) < 512 * 1024


def test_an_account_that_ended_takes_entries_of_its_days_alone(books: Books, agency: Agency):
    ended = account(f"X{uuid4().hex[:8]}", valid_to=to_date(_DAYS[1]))
    request = account_pb2.CreateAccountRequest(account=ended, request_id=rid())
    call_as(books.accounts.CreateAccount, request, agency.accountant)
    entry = {day: agency.entry(line("1.1.01.07", 5), line(ended.code, None, 5), on=day) for day in _DAYS}

    agency.post(entry[_DAYS[0]])
    refusal = agency.refused(entry[_DAYS[1]])

    assert (refusal.reason, refusal.metadata["account_code"]) == ("ACCOUNT_UNKNOWN", ended.code)
    assert agency.balances()["1.1.01.07"] == 500


def test_a_reversal_that_is_reversed_brings_the_entry_back_once(agency: Agency):
    budget_line_id = agency.budget_line(1_000)
    posted = agency.post(agency.spending(budget_line_id, 1_000))
    reversal = agency.reverse(posted)

    again = agency.reverse(reversal)

    assert again.reverses_journal_entry_id == reversal.journal_entry_id
    assert agency.balances() == {EXPENSE: 100_000, PAYABLE: -100_000}
    assert agency.expended(budget_line_id) == 1_000, "the funds are spent again"
    for entry in (posted, reversal):
        request = ledger_pb2.ReverseJournalEntryRequest(name=entry.name, reason="again", request_id=rid())
        refusal = refused(agency.books.ledger.ReverseJournalEntry, request, agency.accountant)
        assert refusal.reason == "ENTRY_ALREADY_REVERSED"


def test_a_reversal_is_not_reversed_when_its_funds_are_gone(agency: Agency):
    budget_line_id = agency.budget_line(1_000)
    reversal = agency.reverse(agency.post(agency.spending(budget_line_id, 1_000)))
    agency.post(agency.spending(budget_line_id, 400))

    request = ledger_pb2.ReverseJournalEntryRequest(name=reversal.name, reason="again", request_id=rid())
    refusal = refused(agency.books.ledger.ReverseJournalEntry, request, agency.accountant)

    assert refusal.reason == "BUDGET_EXCEEDED"
    assert agency.expended(budget_line_id) == 400


def test_what_a_client_sent_before_it_broke_off_is_posted_by_groups_and_sent_again_once(agency: Agency):
    """Groups of a hundred are posted as they come; the rest of a stream that breaks off leaves nothing."""
    entries = [agency.entry(line("1.1.01.07", 1), line("7.1.01.01", None, 1)) for _ in range(250)]
    requests = [ledger_pb2.ImportJournalEntriesRequest(journal_entry=one, request_id=rid()) for one in entries]

    def breaking():
        yield from requests[:230]
        raise ConnectionError("the client goes away")

    with pytest.raises(grpc.RpcError):
        call_as(agency.books.ledger.ImportJournalEntries, breaking(), agency.accountant)

    (count,) = agency.row("select count(*) from journal_entry where agency_id = %s", agency.agency_id)
    assert count % 100 == 0, "a group is posted whole or not at all"
    whole = call_as(agency.books.ledger.ImportJournalEntries, iter(requests), agency.accountant)
    assert (whole.posted_count, whole.refused_count) == (250, 0)
    assert agency.row("select count(*) from journal_entry where agency_id = %s", agency.agency_id) == (250,)
    assert agency.balances()["1.1.01.07"] == 25_000
