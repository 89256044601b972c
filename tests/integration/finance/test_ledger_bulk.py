"""Batch, stream and shared commits: the same verdicts as one call after the other, and no overspending."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import UUID

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from google.type import money_pb2

from chassis.testing import call_as, refused
from chassis.wire import from_money
from kelola.finance.v1 import ledger_events_pb2, ledger_pb2
from services.finance.ledger import entrypoints
from tests.integration.finance.books import EXPENSE, PAYABLE, YEAR, Agency, Books, line, rid

WRITERS = 32


def reason(status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info.reason


def one_by_one(agency: Agency, entries) -> list[str]:
    """The verdict of each entry, posted by a call of its own: POSTED or the reason."""
    verdicts = []
    for entry in entries:
        request = ledger_pb2.CreateJournalEntryRequest(journal_entry=entry, request_id=rid())
        try:
            call_as(agency.books.ledger.CreateJournalEntry, request, agency.accountant)
            verdicts.append("POSTED")
        except grpc.RpcError:
            verdicts.append(refused(agency.books.ledger.CreateJournalEntry, request, agency.accountant).reason)
    return verdicts


def as_batch(agency: Agency, entries) -> list[str]:
    request = ledger_pb2.BatchCreateJournalEntriesRequest(
        agency_id=str(agency.agency_id), journal_entries=entries, request_id=rid()
    )
    reply = call_as(agency.books.ledger.BatchCreateJournalEntries, request, agency.accountant)
    return [
        reason(result.refusal) if result.WhichOneof("outcome") == "refusal" else "POSTED" for result in reply.results
    ]


def as_stream(agency: Agency, entries) -> list[str]:
    requests = [ledger_pb2.ImportJournalEntriesRequest(journal_entry=entry, request_id=rid()) for entry in entries]
    reply = call_as(agency.books.ledger.ImportJournalEntries, iter(requests), agency.accountant)
    verdicts = ["POSTED"] * len(entries)
    for refusal in reply.refusals:
        verdicts[refusal.position - 1] = reason(refusal.status)
    assert reply.posted_count == verdicts.count("POSTED")
    assert reply.refused_count == len(reply.refusals)
    return verdicts


def script(rng: random.Random, count: int) -> list[tuple[str, int, int]]:
    """What to post, without the agency: (kind, which line, amount); made once, posted three ways."""
    kinds = ["spend"] * 12 + ["transfer", "unbalanced", "no_funds", "control", "unknown_account", "unknown_line"]
    return [(rng.choice(kinds), rng.randrange(3), rng.randrange(1, 400)) for _ in range(count)]


def entries_of(agency: Agency, steps) -> tuple[list[ledger_pb2.JournalEntry], list[UUID]]:
    lines = [agency.budget_line(amount) for amount in (2_000, 500, 10_000)]
    made = []
    for kind, which, amount in steps:
        tag = {"budget_line_id": str(lines[which])}
        other = line(PAYABLE, credit=amount, **tag)
        made.append(
            {
                "spend": lambda: agency.spending(lines[which], amount),  # noqa: B023  # called at once
                "transfer": lambda: agency.entry(line("1.1.01.07", amount), line("7.1.01.01", None, amount)),  # noqa: B023
                "unbalanced": lambda: agency.entry(line(EXPENSE, amount + 1, **tag), other),  # noqa: B023
                "no_funds": lambda: agency.entry(line(EXPENSE, amount), line(PAYABLE, None, amount)),  # noqa: B023
                "control": lambda: agency.entry(line("1.1.12", amount, **tag), other),  # noqa: B023
                "unknown_account": lambda: agency.entry(line("8.9.99", amount, **tag), other),  # noqa: B023
                "unknown_line": lambda: agency.spending(UUID(int=which + 1), amount),  # noqa: B023
            }[kind]()
        )
    return made, lines


def test_batch_stream_and_single_calls_give_the_same_verdicts(books: Books, seed: int):
    rng = random.Random(seed)
    steps = script(rng, 260)

    outcomes = {}
    for way in (one_by_one, as_batch, as_stream):
        agency = books.agency()
        entries, lines = entries_of(agency, steps)
        outcomes[way.__name__] = (way(agency, entries), [agency.expended(one) for one in lines], agency.balances())

    assert outcomes["one_by_one"] == outcomes["as_batch"] == outcomes["as_stream"]
    verdicts = Counter(outcomes["as_batch"][0])
    assert {"POSTED", "BUDGET_EXCEEDED", "JOURNAL_UNBALANCED", "FUNDS_MISSING", "ACCOUNT_CONTROLLED"} <= set(verdicts)


def test_what_an_entry_gives_back_is_there_for_those_after_it_and_not_before(books: Books):
    """Order decides within a group: a refusal may be followed by an entry that fits."""
    agency = books.agency()
    budget_line_id = agency.budget_line(100)

    verdicts = as_batch(agency, [agency.spending(budget_line_id, amount) for amount in (60, 41, 40, 1)])

    assert verdicts == ["POSTED", "BUDGET_EXCEEDED", "POSTED", "BUDGET_EXCEEDED"]
    assert agency.expended(budget_line_id) == 100


def test_thirty_two_writers_on_one_line_never_overspend_it(books: Books):
    agency = books.agency()
    budget_line_id = agency.budget_line(1_000)
    entry = agency.spending(budget_line_id, 9)

    def write(_):
        request = ledger_pb2.CreateJournalEntryRequest(journal_entry=entry, request_id=rid())
        try:
            call_as(books.ledger.CreateJournalEntry, request, agency.accountant)
        except grpc.RpcError as failure:
            return failure.code()
        return None

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = Counter(pool.map(write, range(200)))

    assert outcomes == {None: 111, grpc.StatusCode.FAILED_PRECONDITION: 89}
    assert agency.expended(budget_line_id) == 999
    assert agency.balances()[EXPENSE] == 99_900


def test_no_entry_lands_in_a_month_after_its_close(books: Books):
    agency = books.agency()
    entry = agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5), on=date(YEAR, 3, 31))
    in_march = "select count(*) from journal_entry where agency_id = %s and period_number = 3"

    with ThreadPoolExecutor(WRITERS) as pool:
        posting = [pool.submit(agency.post, entry) for _ in range(200)]
        posting[0].result()
        agency.close(3)
        at_the_close = agency.row(in_march, agency.agency_id)
        months = Counter(one.result().accounting_on.month for one in posting)

    assert set(months) <= {3, 4}
    assert agency.row(in_march, agency.agency_id) == at_the_close == (months[3],)
    assert agency.post(entry).accounting_on.month == 4


def test_a_stream_that_is_sent_again_posts_nothing_twice(agency: Agency):
    entries = [agency.entry(line("1.1.01.07", n), line("7.1.01.01", None, n)) for n in range(1, 251)]
    requests = [ledger_pb2.ImportJournalEntriesRequest(journal_entry=entry, request_id=rid()) for entry in entries]

    part = call_as(agency.books.ledger.ImportJournalEntries, iter(requests[:130]), agency.accountant)
    whole = call_as(agency.books.ledger.ImportJournalEntries, iter(requests), agency.accountant)
    again = call_as(agency.books.ledger.ImportJournalEntries, iter(requests), agency.accountant)

    assert (part.posted_count, whole.posted_count) == (130, 250)
    assert again.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)
    assert agency.row("select count(*) from journal_entry where agency_id = %s", agency.agency_id) == (250,)
    assert agency.balances()["1.1.01.07"] == sum(range(1, 251)) * 100


def test_a_request_id_of_a_stream_with_other_content_ends_the_stream(agency: Agency):
    request = ledger_pb2.ImportJournalEntriesRequest(
        journal_entry=agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5)), request_id=rid()
    )
    call_as(agency.books.ledger.ImportJournalEntries, iter([request]), agency.accountant)
    request.journal_entry.description = "something else"

    refusal = refused(agency.books.ledger.ImportJournalEntries, iter([request]), agency.accountant)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize("calls", [2, 5])
def test_a_repeated_call_has_one_effect_and_one_answer(agency: Agency, calls: int):
    request = ledger_pb2.CreateJournalEntryRequest(
        journal_entry=agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5)), request_id=rid()
    )

    with ThreadPoolExecutor(calls) as pool:
        answers = list(
            pool.map(
                lambda _: call_as(agency.books.ledger.CreateJournalEntry, request, agency.accountant), range(calls)
            )
        )

    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert agency.balances()["1.1.01.07"] == 500


def test_a_batch_answers_a_repeat_from_the_first_time(agency: Agency):
    entries = [agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5))] * 3
    request = ledger_pb2.BatchCreateJournalEntriesRequest(
        agency_id=str(agency.agency_id), journal_entries=entries, request_id=rid()
    )

    first, second = (
        call_as(agency.books.ledger.BatchCreateJournalEntries, request, agency.accountant) for _ in range(2)
    )

    assert first == second
    assert agency.balances()["1.1.01.07"] == 1_500


def test_what_a_batch_posted_is_told_once_with_each_entry_and_what_it_spent(agency: Agency):
    budget_line_id = agency.budget_line(100)
    request = ledger_pb2.BatchCreateJournalEntriesRequest(
        agency_id=str(agency.agency_id),
        journal_entries=[agency.spending(budget_line_id, amount) for amount in (60, 50, 40)],
        request_id=rid(),
    )
    reply = call_as(agency.books.ledger.BatchCreateJournalEntries, request, agency.accountant)

    with psycopg.connect(agency.books.superuser_url) as connection:
        told = connection.execute(
            "select type, key, body from outbox where agency_id = %s and topic = 'kelola.finance.ledger.v1'",
            (agency.agency_id,),
        ).fetchall()
        movements = connection.execute(
            "select document_id::text, budget_line_id::text, funds_movement_id::text, expended_minor"
            " from funds_movement where agency_id = %s and document_kind = 'JOURNAL_ENTRY' order by 1",
            (agency.agency_id,),
        ).fetchall()

    ((kind, key, body),) = told
    event = ledger_events_pb2.JournalEntriesPosted.FromString(body)
    posted = [one.journal_entry.journal_entry_id for one in reply.results if one.HasField("journal_entry")]
    assert kind == "kelola.finance.v1.JournalEntriesPosted"
    assert key == posted[0]
    assert [entry.journal_entry_id for entry in event.entries] == posted
    assert sorted(
        (entry.journal_entry_id, one.budget_line_id, one.funds_movement_id, from_money(one.amount).minor)
        for entry in event.entries
        for one in entry.spent
    ) == [tuple(movement) for movement in movements]
    assert len(movements) == 2


def test_a_batch_is_of_one_agency(books: Books, agency: Agency):
    other = books.agency()
    both = books.token([agency.agency_id, other.agency_id])
    entry = other.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5))
    request = ledger_pb2.BatchCreateJournalEntriesRequest(
        agency_id=str(agency.agency_id), journal_entries=[entry], request_id=rid()
    )

    refusal = refused(books.ledger.BatchCreateJournalEntries, request, both)

    assert refusal.fields == ("journal_entries[0].agency_id",)


def test_an_entry_that_would_leave_64_bits_costs_its_neighbours_nothing(agency: Agency):
    budget_line_id = agency.budget_line(100)
    largest = ledger_pb2.JournalLine().debit
    largest.currency_code, largest.units = "IDR", 60_000_000_000_000_000
    big = agency.entry(line("1.1.01.07", largest), line("7.1.01.01", None, largest))
    small = agency.entry(line("1.1.01.02", 5), line("7.1.01.02", None, 5))

    verdicts = as_batch(
        agency, [big, agency.spending(budget_line_id, 60), big, agency.spending(budget_line_id, 41), small]
    )

    assert verdicts == ["POSTED", "POSTED", "AMOUNT_OUT_OF_RANGE", "BUDGET_EXCEEDED", "POSTED"]
    assert agency.expended(budget_line_id) == 60
    assert agency.balances()["1.1.01.02"] == 500


def test_a_thousand_entries_on_a_line_that_runs_dry_are_judged_in_order(agency: Agency):
    budget_line_id = agency.budget_line(3_000)

    verdicts = as_batch(agency, [agency.spending(budget_line_id, 7)] * 1_000)

    assert verdicts == ["POSTED"] * 428 + ["BUDGET_EXCEEDED"] * 572
    assert agency.expended(budget_line_id) == 428 * 7


def test_every_entry_of_a_stream_has_its_verdict_however_many_are_refused(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(entrypoints, "REFUSALS_MAX", 2)
    right = agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5))
    wrong = agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 6))
    entries = [wrong, right, wrong, wrong, right, wrong]
    requests = [ledger_pb2.ImportJournalEntriesRequest(journal_entry=entry, request_id=rid()) for entry in entries]

    reply = call_as(agency.books.ledger.ImportJournalEntries, iter(requests), agency.accountant)

    assert (reply.posted_count, reply.refused_count) == (2, 4)
    assert [(one.position, reason(one.status)) for one in reply.refusals] == [
        (1, "JOURNAL_UNBALANCED"),
        (3, "JOURNAL_UNBALANCED"),
    ]
    assert list(reply.further_refused_positions) == [4, 6]


def test_an_amount_beyond_64_bits_is_one_refusal_and_the_stream_goes_on(agency: Agency):
    huge = money_pb2.Money(currency_code="IDR", units=10**17)
    entries = [
        agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5)),
        agency.entry(line("1.1.01.07", huge), line("7.1.01.01", None, huge)),
        agency.entry(line("1.1.01.07", 7), line("7.1.01.01", None, 7)),
    ]

    assert as_stream(agency, entries) == ["POSTED", "AMOUNT_OUT_OF_RANGE", "POSTED"]
