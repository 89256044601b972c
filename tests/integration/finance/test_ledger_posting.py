"""Posting through the service on a real PostgreSQL: balance, periods, funds, currencies, reversal."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import ledger_pb2
from tests.integration.finance.books import (
    EXPENSE,
    PAYABLE,
    YEAR,
    Agency,
    Books,
    line,
    minor,
    money,
    rid,
)


def test_an_entry_stands_in_the_books_with_its_lines_and_balances(agency: Agency):
    budget_line_id = agency.budget_line(1_000)

    posted = agency.post(agency.spending(budget_line_id, 400))

    assert posted.accounting_on == to_date(date(YEAR, 3, 10))
    assert [entry_line.line_no for entry_line in posted.lines] == [1, 2]
    assert posted.lines[0].organisation_code == "1.02.01", "segments come from the budget line"
    assert posted.lines[0].funds_movement_id
    read = call_as(
        agency.books.ledger.GetJournalEntry, ledger_pb2.GetJournalEntryRequest(name=posted.name), agency.accountant
    )
    assert read == posted
    assert agency.balances() == {EXPENSE: 40_000, PAYABLE: -40_000}
    assert agency.expended(budget_line_id) == 400
    movement = agency.row(
        "select kind, expended_minor, document_kind, journal_entry_id::text from funds_movement"
        " where funds_movement_id = %s",
        posted.lines[0].funds_movement_id,
    )
    assert movement == ("EXPEND", 40_000, "JOURNAL_ENTRY", posted.journal_entry_id)


def test_an_entry_that_does_not_balance_is_refused_with_the_difference(agency: Agency):
    refusal = agency.refused(agency.entry(line("7.1.01.01", debit=5), line("2.2.04.01", credit=4)))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "JOURNAL_UNBALANCED")
    assert refusal.metadata["difference_minor"] == "100"
    assert agency.balances() == {}


def test_each_fund_balances_by_itself(agency: Agency):
    refusal = agency.refused(agency.entry(line("7.1.01.01", debit=5), line("2.2.04.01", credit=5, fund_code="OTHER")))

    assert refusal.reason == "JOURNAL_UNBALANCED"


def test_spending_more_than_the_line_has_is_refused_with_all_figures(agency: Agency):
    budget_line_id = agency.budget_line(1_000)
    agency.post(agency.spending(budget_line_id, 700))

    refusal = agency.refused(agency.spending(budget_line_id, 301))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUDGET_EXCEEDED")
    figures = refusal.metadata
    assert figures["budget_line_id"] == str(budget_line_id)
    assert (figures["asked"], figures["available"], figures["short_by"]) == ("301", "300", "1")
    assert (figures["revised"], figures["expended"]) == ("1000", "700")
    assert figures["biggest_users"] == "JOURNAL_ENTRY by hand IDR 700"
    assert agency.expended(budget_line_id) == 700
    agency.post(agency.spending(budget_line_id, 300))


def test_children_of_a_controlling_node_may_go_below_zero_and_the_node_may_not(agency: Agency):
    parent = agency.budget_line(100, postable=False)
    a = agency.budget_line(60, parent_id=parent, controlling=False)
    b = agency.budget_line(40, parent_id=parent, controlling=False)

    agency.post(agency.spending(a, 70))
    refusal = agency.refused(agency.spending(b, 31))
    agency.post(agency.spending(b, 30))

    assert refusal.reason == "BUDGET_EXCEEDED"
    assert refusal.metadata["budget_line_id"] == str(parent)
    assert [agency.expended(one) for one in (parent, a, b)] == [100, 70, 30]


def test_an_expense_without_a_budget_line_is_refused(agency: Agency):
    refusal = agency.refused(agency.entry(line(EXPENSE, debit=5), line(PAYABLE, credit=5)))

    assert refusal.reason == "FUNDS_MISSING"
    assert refusal.metadata["account_code"] == EXPENSE


def test_the_debt_of_an_expense_names_the_same_budget_line(agency: Agency):
    budget_line_id = agency.budget_line(100)
    tag = {"budget_line_id": str(budget_line_id)}

    refusal = agency.refused(agency.entry(line(EXPENSE, debit=5, **tag), line(PAYABLE, credit=5)))

    assert refusal.reason == "FUNDS_UNMATCHED"
    assert agency.expended(budget_line_id) == 0


def test_control_accounts_refuse_manual_entries(agency: Agency):
    inventory, bank, imprest, advances, pair = "1.1.12", "1.1.01.01", "1.1.01.03", "1.1.09.05", "3.1.03.01"
    payables, not_invoiced, retention, payroll = "2.1.06.02", "2.1.06.90", "2.1.06.91", "2.1.06.01.01"
    for code in (inventory, bank, imprest, advances, pair, payables, not_invoiced, retention, payroll):
        refusal = agency.refused(agency.entry(line(code, debit=5), line("2.2.04.01", credit=5)))

        assert refusal.reason == "ACCOUNT_CONTROLLED", code


def test_what_the_chart_does_not_have_is_refused(agency: Agency):
    other = line("2.2.04.01", credit=5)

    assert agency.refused(agency.entry(line("9.9", debit=5), other)).reason == "ACCOUNT_UNKNOWN"
    assert agency.refused(agency.entry(line("7.1", debit=5), other)).reason == "ACCOUNT_NOT_POSTABLE"
    budget_basis = [line("7.1.01.01", debit=5, basis=1), line("4.1.01.01", credit=5, basis=1)]
    assert agency.refused(agency.entry(*budget_basis)).reason == "BASIS_MISMATCH"
    unknown = line("7.1.01.01", debit=5, location_code="99.99")
    refusal = agency.refused(agency.entry(unknown, other))
    assert (refusal.reason, refusal.metadata["code"]) == ("DIMENSION_UNKNOWN", "99.99")


def test_another_agencys_budget_line_is_not_there(books: Books, agency: Agency):
    theirs = books.agency()
    budget_line_id = theirs.budget_line(100)
    both = books.token([agency.agency_id, theirs.agency_id])

    refusal = agency.refused(agency.spending(budget_line_id, 5), token=both)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "BUDGET_LINE_UNKNOWN")
    assert theirs.expended(budget_line_id) == 0


def test_a_line_that_is_not_active_or_of_another_year_is_refused(agency: Agency):
    draft = agency.budget_line(100, status="DRAFT")
    heading = agency.budget_line(100, postable=False)
    next_year = agency.budget_line(100, year=YEAR + 1)

    assert agency.refused(agency.spending(draft, 5)).reason == "BUDGET_LINE_NOT_ACTIVE"
    assert agency.refused(agency.spending(heading, 5)).reason == "BUDGET_LINE_NOT_ACTIVE"
    assert agency.refused(agency.spending(next_year, 5)).reason == "BUDGET_LINE_UNKNOWN"


def test_a_foreign_payable_is_settled_with_an_exchange_difference(agency: Agency):
    # Domain rules §1: Dr AP USD 1 000 (15 400 000), Cr CASH 15 350 000, Cr FXD 50 000 is valid.
    posted = agency.post(
        agency.entry(
            line("2.2.04.01", debit=money(1_000, "USD"), functional_amount=money(15_400_000, "IDR")),
            line("1.1.01.07", credit=15_350_000),
            line("8.5.03.90", credit=50_000),
        )
    )

    assert posted.lines[0].functional_amount == money(15_400_000, "IDR")
    request = ledger_pb2.GetTrialBalanceRequest(agency_id=str(agency.agency_id), basis=2)
    reply = call_as(agency.books.ledger.GetTrialBalance, request, agency.accountant)
    functional = {row.account_code: minor(row.functional_balance) for row in reply.rows}
    assert functional == {"2.2.04.01": 1_540_000_000, "1.1.01.07": -1_535_000_000, "8.5.03.90": -5_000_000}
    assert sum(minor(total.functional_balance) for total in reply.totals) == 0


def test_a_functional_amount_is_in_the_currency_of_the_books(agency: Agency):
    refusal = agency.refused(
        agency.entry(
            line("2.2.04.01", debit=money(1_000, "USD"), functional_amount=money(900, "EUR")),
            line("1.1.01.07", credit=money(900, "EUR")),
        )
    )

    assert refusal.reason == "JOURNAL_INVALID"
    assert "EUR" in refusal.message


def test_currencies_without_functional_amounts_balance_each_by_itself(agency: Agency):
    # Domain rules §1: Dr EUR 10 / Cr USD 11 without functional amounts is refused.
    refusal = agency.refused(
        agency.entry(line("2.2.04.01", debit=money(10, "EUR")), line("7.1.01.01", credit=money(11, "USD")))
    )
    same = agency.entry(line("2.2.04.01", debit=money(10, "EUR")), line("7.1.01.01", credit=money(10, "EUR")))
    agency.post(same)

    assert refusal.reason == "JOURNAL_UNBALANCED"


def test_a_balance_beyond_64_bits_is_out_of_range_and_nothing_is_posted(agency: Agency):
    largest = ledger_pb2.JournalLine().debit
    largest.currency_code, largest.units, largest.nanos = "IDR", 92_233_720_368_547_758, 70_000_000
    entry = agency.entry(line("1.1.01.07", debit=largest), line("7.1.01.01", credit=largest))
    agency.post(entry)

    refusal = agency.refused(entry)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "AMOUNT_OUT_OF_RANGE")
    assert agency.row("select count(*) from journal_entry where agency_id = %s", agency.agency_id) == (1,)


def test_a_reversal_changes_sides_about_and_gives_the_funds_back(agency: Agency):
    budget_line_id = agency.budget_line(1_000)
    posted = agency.post(agency.spending(budget_line_id, 1_000))

    reversal = agency.reverse(posted)

    assert reversal.reverses_journal_entry_id == posted.journal_entry_id
    assert agency.balances() == {EXPENSE: 0, PAYABLE: 0}
    debit, credit = agency.row(
        "select debit_minor, credit_minor from account_balance where agency_id = %s and account_code = %s",
        agency.agency_id,
        EXPENSE,
    )
    assert (debit, credit) == (100_000, 100_000), "turnover shows both"
    assert agency.expended(budget_line_id) == 0
    agency.post(agency.spending(budget_line_id, 1_000))
    again = ledger_pb2.ReverseJournalEntryRequest(name=posted.name, reason="again", request_id=rid())
    assert refused(agency.books.ledger.ReverseJournalEntry, again, agency.accountant).reason == "ENTRY_ALREADY_REVERSED"
    read = call_as(
        agency.books.ledger.GetJournalEntry, ledger_pb2.GetJournalEntryRequest(name=posted.name), agency.accountant
    )
    assert read.reversed_by_journal_entry_id == reversal.journal_entry_id


def test_an_entry_of_a_closed_month_is_accounted_on_the_first_open_day(agency: Agency):
    agency.close(3)

    posted = agency.post(agency.entry(line("1.1.01.07", debit=5), line("7.1.01.01", credit=5)))

    assert posted.effective_on == to_date(date(YEAR, 3, 10))
    assert posted.accounting_on == to_date(date(YEAR, 4, 1))


def test_a_month_that_is_not_open_yet_takes_nothing(books: Books):
    agency = books.agency(open_to=2)

    refusal = agency.refused(agency.entry(line("1.1.01.07", debit=5), line("7.1.01.01", credit=5)))

    assert (refusal.reason, refusal.metadata["state"]) == ("PERIOD_CLOSED", "FUTURE")


def test_when_no_month_is_open_any_more_nothing_is_taken(books: Books):
    agency = books.agency(open_to=3)
    agency.close(3)

    refusal = agency.refused(agency.entry(line("1.1.01.07", debit=5), line("7.1.01.01", credit=5)))

    assert (refusal.reason, refusal.metadata["state"]) == ("PERIOD_CLOSED", "SOFT_CLOSED")


def test_only_a_named_authority_posts_into_a_softly_closed_month_with_a_reason(agency: Agency):
    agency.close(3)
    entry = agency.entry(line("1.1.01.07", debit=5), line("7.1.01.01", credit=5), late_reason="the bank's letter")

    refusal = agency.refused(entry)
    posted = agency.post(entry, token=agency.authority())

    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED
    assert posted.accounting_on == to_date(date(YEAR, 3, 10))
    assert posted.late_reason == "the bank's letter"


def test_an_agency_that_the_caller_does_not_hold_is_refused_and_not_seen(books: Books, agency: Agency):
    stranger = books.token([uuid4()])
    entry = agency.entry(line("1.1.01.07", debit=5), line("7.1.01.01", credit=5))
    posted = agency.post(entry)

    assert agency.refused(entry, token=stranger).code == grpc.StatusCode.PERMISSION_DENIED
    request = ledger_pb2.GetJournalEntryRequest(name=posted.name)
    assert refused(books.ledger.GetJournalEntry, request, stranger).code == grpc.StatusCode.NOT_FOUND
