"""A mistake of last year is taken back after the chart has changed: on the codes that followed, and both are named."""

from __future__ import annotations

from datetime import date

import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import account_pb2, carry_over_pb2, ledger_pb2
from tests.integration.finance.books import YEAR, Agency, Books, line, rid
from tests.integration.finance.test_classification_carry_over import (
    FIRST_DAY,
    FUNCTION,
    NEXT,
    OTHER,
    Charts,
    amounts,
    problems,
)
from tests.integration.finance.test_joint_entries import Entities
from tests.integration.finance.test_ledger_schedule import Schedule

LAST_DAY = date(YEAR, 12, 31)


@pytest.fixture
def charts(books: Books) -> Charts:
    return Charts(books)


def not_reversed(agency: Agency, entry: ledger_pb2.JournalEntry, on: date) -> Refusal:
    request = ledger_pb2.ReverseJournalEntryRequest(
        name=entry.name, reason="entered twice", effective_on=to_date(on), request_id=rid()
    )
    return refused(agency.books.ledger.ReverseJournalEntry, request, agency.accountant)


def test_a_reversal_after_the_chart_has_changed_stands_on_the_successor_and_names_both(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    before, after = charts.function("c"), charts.function("d")
    agency.open_year(NEXT)
    posted = agency.post(agency.entry(line(old, 70, function_code=before), line(OTHER, None, 70)))
    charts.follow((old, new))
    charts.follow((before, after), segment=FUNCTION)
    charts.carried(agency)

    reversal = agency.reverse(posted, effective_on=to_date(FIRST_DAY))

    first = reversal.lines[0]
    assert (first.account_code, first.function_code, first.credit.units) == (new, after, 70)
    assert reversal.description == f"entered twice [ACCOUNT {old} is now {new}; FUNCTION {before} is now {after}]"
    assert reversal.reverses_journal_entry_id == posted.journal_entry_id
    assert amounts(agency, old, new) == [0, 0]
    assert amounts(agency, old, new, as_of=to_date(LAST_DAY)) == [70_00, 0]
    assert list(charts.carried(agency).carried_balances) == []
    assert problems(agency.books) == []


def test_what_moved_to_an_open_day_of_the_next_year_is_followed_by_that_day(charts: Charts, agency: Agency):
    """Asked for on the entry's own day, whose month is closed: the day on which it stands decides."""
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    posted = agency.post(agency.entry(line(old, 70), line(OTHER, None, 70), on=LAST_DAY))
    charts.follow((old, new))
    for month in range(1, 13):
        agency.close(month, hard=True)
    charts.carried(agency)

    reversal = agency.reverse(posted)

    assert (reversal.effective_on, reversal.accounting_on) == (to_date(LAST_DAY), to_date(FIRST_DAY))
    assert reversal.lines[0].account_code == new
    assert amounts(agency, old, new) == [0, 0]


def test_a_reversal_in_the_old_year_keeps_its_code_and_goes_over_with_the_next_run(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    posted = agency.post(agency.entry(line(old, 70), line(OTHER, None, 70)))
    charts.follow((old, new))
    charts.carried(agency)

    reversal = agency.reverse(posted)

    assert (reversal.lines[0].account_code, reversal.description) == (old, "entered twice")
    assert amounts(agency, old, new) == [-70_00, 70_00]
    charts.carried(agency)
    assert amounts(agency, old, new) == [0, 0]


def test_a_code_without_successor_is_refused_until_it_has_one(charts: Charts, agency: Agency):
    lost, kept = charts.account("a", valid_to=to_date(FIRST_DAY)), charts.account("b")
    ended = f"F{charts.mark}z"
    value = dimension_value("FUNCTION", ended, ended, date(2021, 1, 1))
    value.valid_to.CopyFrom(to_date(FIRST_DAY))
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
    call_as(charts.books.accounts.BatchCreateDimensionValues, request, charts.token)
    agency.open_year(NEXT)
    posted = agency.post(agency.entry(line(lost, 70), line(OTHER, None, 70)))
    tagged = agency.post(agency.entry(line(kept, 5, function_code=ended), line(OTHER, None, 5)))

    of_account, of_function = (not_reversed(agency, one, FIRST_DAY) for one in (posted, tagged))

    assert {of_account.reason, of_function.reason} == {"REVERSAL_WITHOUT_SUCCESSOR"}
    assert (of_account.metadata["account_code"], of_account.metadata["line_no"]) == (lost, "1")
    assert f"account {lost} of the entry is not in force and has no successor" in of_account.message
    assert f"FUNCTION {ended}" in of_function.message
    charts.follow((lost, kept))
    assert agency.reverse(posted, effective_on=to_date(FIRST_DAY)).lines[0].account_code == kept


def test_a_code_that_is_used_anew_is_followed_from_the_days_of_the_entry(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    posted = agency.post(agency.entry(line(old, 70), line(OTHER, None, 70)))
    charts.follow((old, new))
    charts.carried(agency)
    anew = account_pb2.Account(
        code=old,
        parent_code="1.1.01.07",
        display_name="another thing",
        kind=account_pb2.ACCOUNT_KIND_ASSET,
        normal_side=account_pb2.NORMAL_SIDE_DEBIT,
        basis=account_pb2.BASIS_ACCRUAL,
        postable=True,
        valid_from=to_date(date(NEXT, 2, 1)),
    )
    request = account_pb2.BatchCreateAccountsRequest(accounts=[anew], request_id=rid())
    call_as(charts.books.accounts.BatchCreateAccounts, request, charts.token)

    reversal = agency.reverse(posted, effective_on=to_date(date(NEXT, 2, 1)))

    assert reversal.lines[0].account_code == new
    assert amounts(agency, old, new) == [0, 0]
    # And back again: what the reversal stands on is where its own reversal stands.
    assert agency.reverse(reversal, effective_on=to_date(date(NEXT, 2, 1))).lines[0].account_code == new


def test_accruals_of_the_last_month_reverse_by_themselves_under_the_new_chart(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    agency.post(agency.entry(line(old, 7), line(OTHER, None, 7), on=LAST_DAY, auto_reverse=True))
    charts.follow((old, new))

    schedule = Schedule(agency)
    (reversal,) = schedule.run(FIRST_DAY)

    mirror = schedule.entry(reversal)
    assert (mirror.lines[0].account_code, mirror.accounting_on) == (new, to_date(FIRST_DAY))


def test_an_act_of_several_books_is_taken_back_under_the_new_chart_in_each(charts: Charts, books: Books):
    entities = Entities(books)
    old, new = charts.account("a"), charts.account("b")
    for agency in (entities.one, entities.other, entities.treasury):
        agency.open_year(NEXT)
    legs = (entities.one, [line(OTHER, None, 100)]), (entities.other, [line(old, 100)])
    act = entities.post(entities.act(*legs, effective_on=to_date(LAST_DAY)))
    charts.follow((old, new))
    for agency in (entities.one, entities.other, entities.treasury):
        request = carry_over_pb2.CarryOverBalancesRequest(agency_id=str(agency.agency_id), year=NEXT, request_id=rid())
        call_as(charts.stub.CarryOverBalances, request, agency.authority())

    request = entities.reversal(act.name, effective_on=to_date(FIRST_DAY))
    call_as(entities.stub.ReverseJointEntry, request, entities.accountant)

    assert amounts(entities.other, old, new) == [0, 0]
    assert entities.problems() == []
    assert problems(books) == []
