"""`verify` over the books: sound after any history, and it names what was altered behind the service's back."""

from __future__ import annotations

import random
from datetime import date, timedelta

import grpc
import pytest
from sqlalchemy import create_engine, text

from chassis.database import sqlalchemy_url
from services.finance.ledger import verify
from tests.integration.finance.books import EXPENSE, PAYABLE, YEAR, Agency, Books, line, minor, money


def history(agency: Agency, rng: random.Random, count: int) -> None:
    """Postings, refusals and reversals at random."""
    lines = [agency.budget_line(2_000) for _ in range(3)]
    posted = []
    for _ in range(count):
        on = date(YEAR, 1, 1) + timedelta(days=rng.randrange(365))
        amount = rng.randrange(1, 300)
        kind = rng.choice(["spend", "spend", "transfer", "foreign", "reverse"])
        try:
            if kind == "spend":
                posted.append(agency.post(agency.spending(rng.choice(lines), amount, on=on)))
            elif kind == "transfer":
                entry = agency.entry(line("1.1.01.07", amount), line("7.1.01.01", None, amount), on=on)
                posted.append(agency.post(entry))
            elif kind == "foreign":
                usd = line("2.2.04.01", money(amount, "USD"), functional_amount=money(amount * 15_000, "IDR"))
                posted.append(agency.post(agency.entry(usd, line("1.1.01.07", None, amount * 15_000), on=on)))
            elif posted:
                agency.reverse(posted.pop(rng.randrange(len(posted))))
        except grpc.RpcError as refusal:
            if refusal.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise


def test_after_any_history_debits_equal_credits_and_kept_balances_are_the_sums_of_their_lines(
    books: Books, agency: Agency, seed: int
):
    history(agency, random.Random(seed), 80)

    engine = create_engine(sqlalchemy_url(books.database.reader_url))
    with engine.connect() as connection:
        assert verify.problems(connection) == []
        lines = dict(
            connection.execute(
                text(
                    "select account_code, sum(debit_minor) - sum(credit_minor) from journal_line"
                    " where agency_id = :agency_id and currency = 'IDR' group by account_code"
                ),
                {"agency_id": agency.agency_id},
            )
            .tuples()
            .all()
        )
        spent = connection.execute(
            text(
                "select sum(expended_minor),"
                " (select sum(credit_minor - debit_minor) from journal_line l"
                "  where l.agency_id = :agency_id and l.account_code = :payable and l.budget_line_id is not null),"
                " (select sum(expended_minor) from funds_movement m where m.agency_id = :agency_id)"
                " from budget_line where agency_id = :agency_id"
            ),
            {"agency_id": agency.agency_id, "payable": PAYABLE},
        ).one()
    engine.dispose()
    assert agency.balances(currency="IDR") == lines
    assert len(set(spent)) == 1, "E of the lines = what is owed under them = the sum of the movements (F4, F5)"


TAMPERINGS = {
    "a line's amount": (
        "update journal_line set debit_minor = debit_minor + 1, functional_debit_minor = functional_debit_minor + 1"
        " where journal_entry_id = :entry and line_no = 1",
        {"I1", "I3"},
    ),
    "a line taken away": ("delete from journal_line where journal_entry_id = :entry and line_no = 1", {"I1", "I3"}),
    "an entry taken away": ("delete from journal_line where journal_entry_id = :entry", {"I1", "I3"}),
    "a header taken away": ("delete from journal_entry where journal_entry_id = :entry", {"I1"}),
    "a kept balance": (
        "update account_balance set credit_minor = credit_minor + 1 where agency_id = :agency",
        {"I3"},
    ),
    "a kept day": (
        "update account_turnover set credit_minor = credit_minor + 1 where agency_id = :agency",
        {"I3"},
    ),
    "a kept functional balance": (
        "update account_balance set functional_credit_minor = functional_credit_minor + 1"
        " where agency_id = :agency and account_code = '1.1.01.07'",
        {"I2", "I3"},
    ),
    "an entry moved to another month": (
        "update journal_entry set accounting_on = accounting_on + 40 where journal_entry_id = :entry",
        {"I1"},
    ),
    "a reversal of another amount": (
        "update journal_line set debit_minor = debit_minor * 2, credit_minor = credit_minor * 2"
        " where journal_entry_id = :reversal",
        {"I1", "I3"},
    ),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_verify_finds_what_was_altered(books: Books, agency: Agency, what: str):
    posted = agency.post(agency.entry(line("1.1.01.07", 5), line("7.1.01.01", None, 5)))
    reversal = agency.reverse(posted)
    statement, expected = TAMPERINGS[what]

    engine = create_engine(sqlalchemy_url(books.superuser_url))
    with engine.connect() as connection:
        assert verify.problems(connection) == []
        connection.execute(
            text(statement),
            {
                "entry": posted.journal_entry_id,
                "agency": agency.agency_id,
                "reversal": reversal.journal_entry_id,
            },
        )
        found = {problem.invariant for problem in verify.problems(connection)}
        connection.rollback()
    engine.dispose()

    assert expected <= found
    assert minor(posted.lines[0].debit) == 500
    assert EXPENSE not in agency.balances()


UNTOLD = {
    "an event that is gone": "delete from outbox where key = :entry",
    "an event that was sent twice": (
        "insert into outbox (event_id, type, topic, key, sequence, agency_id, body)"
        " select gen_random_uuid(), type, topic, key, 2, agency_id, body from outbox where key = :entry"
    ),
    "an entry that nobody posted": "delete from journal_entry where journal_entry_id::text = :entry",
    "a movement of another amount": (
        "update funds_movement set expended_minor = expended_minor + 1 where document_id::text = :entry"
    ),
}


@pytest.mark.parametrize("what", UNTOLD)
def test_each_entry_is_told_once(books: Books, agency: Agency, what: str):
    posted = agency.post(agency.spending(agency.budget_line(100), 5))

    engine = create_engine(sqlalchemy_url(books.superuser_url))
    with engine.connect() as connection:
        assert verify.entries_told(connection).problems == []
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text(UNTOLD[what]), {"entry": posted.journal_entry_id})
        found = [problem.what for problem in verify.entries_told(connection).problems]
        connection.rollback()
    engine.dispose()

    assert [posted.journal_entry_id in one for one in found] == [True]
