"""Bank statements on PostgreSQL: what agrees with what, what waits for a person, and what explains the difference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import psycopg
import pytest

from kelola.finance.v1 import payables_pb2, treasury_pb2
from tests.integration.finance.bank import CASH, DAY, Bank, end_to_end, entry, pain_002
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.funds import Unit
from tests.unit.finance.bank_samples import camt_053

TRANSIT = "2.1.07.90"


@pytest.fixture
def bank(books: Books) -> Bank:
    return Bank(Unit(books))


@pytest.fixture
def line(bank: Bank) -> str:
    (line,) = bank.unit.lines(50_000_000)
    bank.unit.allotted()
    return line


@pytest.fixture
def sent(bank: Bank, line: str) -> tuple[treasury_pb2.PaymentRun, payables_pb2.PaymentOrder]:
    """One order at the bank, over 100 000 rupiah."""
    order = bank.order(line)
    return bank.sent(order), order


def events(bank: Bank, key: str) -> list[str]:
    with psycopg.connect(bank.unit.books.superuser_url) as connection:
        rows = connection.execute("select type from outbox where key = %s order by id", (key,)).fetchall()
    return [row[0].rpartition(".")[2] for row in rows]


# --- statements that do not agree -----------------------------------------------------------------------------------


def test_a_statement_whose_sums_do_not_agree_is_refused_whole(bank: Bank, sent):
    run, order = sent
    file = bank.statement([entry(100_000, e2e=end_to_end(run, order))], opening=0, closing=-99_999)

    refusal_ = bank.refused("ImportBankFile", bank.import_request(file), "reconciler")

    assert refusal_.reason == "STATEMENT_UNBALANCED"
    assert refusal_.metadata == {"computed": "IDR -100 000", "closing": "IDR -99 999"}
    assert bank.status(order) == "ISSUED"
    assert bank.row("select count(*) from bank_file where agency_id = %s", bank.treasury_id) == (0,)


def test_a_gap_between_statements_is_refused_until_it_is_closed(bank: Bank, line: str):
    orders = [bank.order(line) for _ in range(3)]
    run = bank.sent(*orders)
    days = [DAY + timedelta(days=nth) for nth in range(3)]
    files = [
        bank.statement(
            [entry(100_000, e2e=end_to_end(run, order), on=day)],
            opening=-100_000 * nth,
            closing=-100_000 * (nth + 1),
            sequence=nth + 7,
            on=day,
        )
        for nth, (order, day) in enumerate(zip(orders, days, strict=True))
    ]
    bank.imported(files[0])

    early = bank.refused("ImportBankFile", bank.import_request(files[2]), "reconciler")
    bank.imported(files[1])
    bank.imported(files[2])
    hole = bank.statement([], opening=-300_000, closing=-300_000, sequence=12)
    missing_number = bank.refused("ImportBankFile", bank.import_request(hole), "reconciler")
    statements = bank.did(
        "ListBankStatements",
        treasury_pb2.ListBankStatementsRequest(bank_account_id=bank.account.bank_account_id),
        "reconciler",
    ).bank_statements

    assert early.reason == missing_number.reason == "STATEMENT_GAP"
    assert early.metadata == {"expected": "IDR -100 000", "opening": "IDR -200 000"}
    assert [(one.position, one.closing_balance.units) for one in statements] == [
        (3, -300_000),
        (2, -200_000),
        (1, -100_000),
    ]
    assert {bank.status(order) for order in orders} == {"DEBITED"}
    assert bank.problems() == []


def test_a_statement_may_come_again_as_it_was_and_not_otherwise(bank: Bank, sent):
    run, order = sent
    debit = entry(100_000, e2e=end_to_end(run, order))
    first = bank.statement([debit], opening=0, closing=-100_000, reference="STMT-7")
    bank.imported(first)

    again = bank.outcomes(bank.statement([debit], opening=0, closing=-100_000, reference="STMT-7"))
    otherwise = bank.refused(
        "ImportBankFile",
        bank.import_request(bank.statement([], opening=5, closing=5, reference="STMT-7")),
        "reconciler",
    )
    counted_twice = bank.refused(
        "ImportBankFile",
        bank.import_request(bank.statement([debit], opening=-100_000, closing=-200_000, reference="STMT-8")),
        "reconciler",
    )

    assert again == ["REPEATED"]
    assert otherwise.reason == counted_twice.reason == "STATEMENT_CONTRADICTION"
    assert bank.balance(CASH) == -100_000


def test_another_account_and_another_currency_are_refused(bank: Bank, books: Books, sent):
    run, order = sent
    other = camt_053([], account="9999999999")
    dollars = bank.statement([], opening=0, closing=0, currency="USD")
    mixed = bank.notification([entry(100_000, e2e=end_to_end(run, order), currency="USD")])
    stranger = Bank(Unit(books))
    mine = bank.statement([], opening=0, closing=0)

    refusals = [
        bank.refused("ImportBankFile", bank.import_request(file), "reconciler").reason
        for file in (other, dollars, mixed)
    ]
    at_a_stranger = stranger.refused("ImportBankFile", stranger.import_request(mine), "reconciler")

    assert refusals == ["BANK_ACCOUNT_UNKNOWN", "BANK_CURRENCY_MISMATCH", "BANK_CURRENCY_MISMATCH"]
    assert at_a_stranger.reason == "BANK_ACCOUNT_UNKNOWN"
    assert "9999999999" not in at_a_stranger.message
    assert bank.status(order) == "ISSUED"


def test_who_may_not_act_for_the_paying_agency_moves_nothing(bank: Bank, sent):
    run, order = sent
    file = bank.notification([entry(100_000, e2e=end_to_end(run, order))])
    treasury_alone = [bank.unit.treasury.agency_id]

    reply = bank.did("ImportBankFile", bank.import_request(file), "reconciler", agencies=treasury_alone)
    (left,) = bank.unmatched()
    bank.did("MatchBankEntry", bank.match(left, order), "reconciler")

    assert [one.outcome for one in reply.bank_file.answers] == [treasury_pb2.BANK_ANSWER_OUTCOME_UNMATCHED]
    assert bank.status(order) == "DEBITED"
    assert bank.problems() == []


# --- by hand, and what is left --------------------------------------------------------------------------------------


def test_an_unmatched_entry_is_suggested_and_matched_by_another_person(bank: Bank, line: str):
    order, near, far = bank.order(line), bank.order(line), bank.order(line, 5)
    bank.imported(bank.statement([entry(100_000, text="transfer")], opening=0, closing=-100_000))
    (found,) = bank.unmatched()

    by_issuer = bank.refused(
        "MatchBankEntry", bank.match(found, order), "reconciler", person_id=bank.unit.persons["treasurer"]
    )
    wrong_amount = bank.refused("MatchBankEntry", bank.match(found, far), "reconciler")
    matched = bank.did("MatchBankEntry", bank.match(found, order), "reconciler").bank_entry
    twice = bank.refused("MatchBankEntry", bank.match(found, near), "reconciler")

    suggested = [one.payment_order_id for one in found.suggestions]
    assert suggested == [order.payment_order_id, near.payment_order_id]
    assert (by_issuer.reason, wrong_amount.reason, twice.reason) == (
        "SAME_PERSON",
        "ENTRY_NOT_MATCHABLE",
        "ENTRY_NOT_MATCHABLE",
    )
    assert matched.outcome == treasury_pb2.BANK_ANSWER_OUTCOME_DEBITED
    assert (bank.status(order), bank.status(near)) == ("DEBITED", "ISSUED")
    assert events(bank, found.bank_entry_id) == ["BankEntryUnmatched", "BankEntryMatched"]
    assert bank.unmatched() == []
    assert bank.problems() == []


def test_one_entry_matched_by_two_at_once_pays_one_order(bank: Bank, line: str):
    orders = [bank.order(line), bank.order(line)]
    bank.imported(bank.statement([entry(100_000)], opening=0, closing=-100_000))
    (found,) = bank.unmatched()

    def match(order: payables_pb2.PaymentOrder) -> bool:
        try:
            bank.did("MatchBankEntry", bank.match(found, order), "reconciler")
        except Exception:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(match, orders))

    assert sorted(outcomes) == [False, True]
    assert sorted(bank.status(order) for order in orders) == ["DEBITED", "ISSUED"]
    assert bank.balance(CASH) == -100_000
    assert bank.problems() == []


def test_books_less_statement_is_explained_to_the_last_rupiah(bank: Bank, line: str):
    both, books_only = bank.order(line), bank.order(line, 2)
    run = bank.sent(both, books_only)
    bank.imported(
        bank.statement(
            [entry(100_000, e2e=end_to_end(run, both)), entry(45_000, debit=False, text="bunga")],
            opening=1_000_000,
            closing=945_000,
        )
    )
    bank.unit.debited(books_only)

    found = bank.reconciled()

    assert (found.ledger_balance.units, found.statement_balance.units) == (-300_000, 945_000)
    assert found.difference.units == -1_245_000
    assert (found.opening_balance.units, found.in_books_only.units, found.on_statement_only.units) == (
        1_000_000,
        -200_000,
        45_000,
    )
    assert (found.unexplained.units, found.unexplained.nanos) == (0, 0)
    assert sorted(one.amount.units for one in found.items) == [-200_000, 45_000]
    assert found.items_omitted == 0
    assert bank.reconciled(date(YEAR, 1, 31)).statement_balance.units == 0


def test_a_file_can_be_read_again_with_what_came_of_it(bank: Bank, sent):
    run, order = sent
    reply = bank.imported(pain_002(run, [(end_to_end(run, order), "ACCP")]))

    seen = bank.did("GetBankFile", treasury_pb2.GetBankFileRequest(name=reply.bank_file.name), "reconciler")

    assert seen == reply.bank_file
    assert seen.answers[0].payment_order_id == order.payment_order_id


def test_pages_of_entries_join_without_a_hole(bank: Bank):
    bank.imported(bank.statement([entry(1_000 + nth) for nth in range(7)], opening=0, closing=-7_021))
    seen, token = [], ""
    while True:
        request = treasury_pb2.ListUnmatchedBankEntriesRequest(
            agency_id=bank.treasury_id, page_size=3, page_token=token
        )
        page = bank.did("ListUnmatchedBankEntries", request, "reconciler")
        seen += [one.amount.units for one in page.bank_entries]
        token = page.next_page_token
        if not token:
            break

    assert sorted(seen) == [1_000 + nth for nth in range(7)]
