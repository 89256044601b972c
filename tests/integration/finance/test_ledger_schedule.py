"""Recurring entries and accruals that reverse by themselves: one entry a due day, whoever runs it, however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import pytest

from chassis.clock import BusinessClock
from chassis.database import Database
from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import journal_template_pb2, journal_template_pb2_grpc, ledger_pb2
from services.finance.ledger.schedule import domain, store, usecases
from tests.integration.finance.books import EXPENSE, PAYABLE, YEAR, Agency, Books, line, minor, rid

POSTED = journal_template_pb2.SCHEDULED_ENTRY_STATUS_POSTED
REFUSED = journal_template_pb2.SCHEDULED_ENTRY_STATUS_REFUSED
CASH, REVENUE = "1.1.01.07", "7.1.01.01"


class Schedule:
    """The templates of one agency."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.stub = journal_template_pb2_grpc.JournalTemplateServiceStub(agency.books.service.channel)

    def request(self, **values: Any) -> Any:
        template = {
            "agency_id": str(self.agency.agency_id),
            "description": "monthly",
            "first_due_on": to_date(date(YEAR, 1, 31)),
            "interval_months": 1,
            "lines": [line(CASH, 5), line(REVENUE, None, 5)],
            **values,
        }
        return journal_template_pb2.CreateJournalTemplateRequest(
            journal_template=journal_template_pb2.JournalTemplate(**template), request_id=rid()
        )

    def template(self, **values: Any) -> Any:
        return call_as(self.stub.CreateJournalTemplate, self.request(**values), self.agency.accountant)

    def run(self, to: date) -> list[Any]:
        request = journal_template_pb2.RunJournalTemplatesRequest(
            agency_id=str(self.agency.agency_id), due_to=to_date(to), request_id=rid()
        )
        return list(call_as(self.stub.RunJournalTemplates, request, self.agency.accountant).scheduled_entries)

    def listed(self, **values: Any) -> list[Any]:
        request = journal_template_pb2.ListScheduledEntriesRequest(agency_id=str(self.agency.agency_id), **values)
        return list(call_as(self.stub.ListScheduledEntries, request, self.agency.accountant).scheduled_entries)

    def entry(self, one: Any) -> ledger_pb2.JournalEntry:
        request = ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{one.journal_entry_id}")
        return call_as(self.agency.books.ledger.GetJournalEntry, request, self.agency.accountant)

    def clock(self) -> date | None:
        return self.agency.row("select next_due_on from journal_clock where entity_id = %s", self.agency.agency_id)[0]


@pytest.fixture
def schedule(agency: Agency) -> Schedule:
    return Schedule(agency)


def test_a_template_posts_one_entry_for_each_due_day_and_never_a_second(agency: Agency, schedule: Schedule):
    template = schedule.template()
    assert template.next_due_on == to_date(date(YEAR, 1, 31))

    first = schedule.run(date(YEAR, 3, 30))
    again = schedule.run(date(YEAR, 3, 30))
    later = schedule.run(date(YEAR, 3, 31))

    assert [(one.due_on, one.status) for one in first] == [
        (to_date(date(YEAR, 1, 31)), POSTED),
        (to_date(date(YEAR, 2, 28)), POSTED),
    ]
    assert (again, [one.due_on.month for one in later]) == ([], [3])
    entry = schedule.entry(first[1])
    assert (entry.effective_on, entry.source_id, entry.description) == (
        to_date(date(YEAR, 2, 28)),
        template.journal_template_id,
        "monthly",
    )
    assert agency.balances()[CASH] == 3 * 5_00
    assert schedule.clock() == date(YEAR, 4, 30)
    get = journal_template_pb2.GetJournalTemplateRequest(name=template.name)
    assert call_as(schedule.stub.GetJournalTemplate, get, agency.accountant).next_due_on == to_date(date(YEAR, 4, 30))


def test_runs_that_come_at_once_post_each_day_once(agency: Agency, schedule: Schedule):
    schedule.template()
    schedule.template(interval_months=3)

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: schedule.run(date(YEAR, 6, 30)), range(8)))

    assert sorted(len(run) for run in runs) == [0] * 7 + [8]
    assert agency.balances()[CASH] == 8 * 5_00


def test_an_accrual_of_a_template_reverses_on_the_first_day_of_the_next_month(agency: Agency, schedule: Schedule):
    schedule.template(auto_reverse=True)

    run = schedule.run(date(YEAR, 2, 1))

    assert [(one.kind, one.due_on) for one in run] == [
        (journal_template_pb2.SCHEDULED_ENTRY_KIND_RECURRING, to_date(date(YEAR, 1, 31))),
        (journal_template_pb2.SCHEDULED_ENTRY_KIND_REVERSAL, to_date(date(YEAR, 2, 1))),
    ]
    mirror = schedule.entry(run[1])
    assert mirror.reverses_journal_entry_id == run[0].journal_entry_id == run[1].source_id
    assert mirror.accounting_on == to_date(date(YEAR, 2, 1))
    assert agency.balances(as_of=to_date(date(YEAR, 1, 31)))[CASH] == 5_00
    assert agency.balances()[CASH] == 0
    assert schedule.run(date(YEAR, 2, 27)) == []


def test_a_manual_accrual_reverses_by_itself_and_one_that_was_reversed_by_hand_does_not(
    agency: Agency, schedule: Schedule
):
    lines = (line(CASH, 7), line(REVENUE, None, 7))
    accrual = agency.post(agency.entry(*lines, on=date(YEAR, 3, 31), auto_reverse=True))
    by_hand = agency.post(agency.entry(*lines, on=date(YEAR, 3, 30), auto_reverse=True))
    stays = agency.post(agency.entry(*lines, on=date(YEAR, 3, 30)))
    agency.reverse(by_hand)
    assert (accrual.reverse_on, stays.HasField("reverse_on")) == (to_date(date(YEAR, 4, 1)), False)
    assert schedule.clock() == date(YEAR, 4, 1)

    assert schedule.run(date(YEAR, 3, 31)) == []
    (reversal,) = schedule.run(date(YEAR, 4, 1))

    assert reversal.source_id == accrual.journal_entry_id
    assert schedule.entry(reversal).reverses_journal_entry_id == accrual.journal_entry_id
    assert agency.balances()[CASH] == 7_00
    assert schedule.clock() is None


def test_an_accrual_gives_back_the_funds_that_it_spent(agency: Agency, schedule: Schedule):
    budget_line_id = agency.budget_line(1_000)
    agency.post(agency.spending(budget_line_id, 400, on=date(YEAR, 3, 31), auto_reverse=True))
    assert agency.expended(budget_line_id) == 400

    schedule.run(date(YEAR, 4, 1))

    assert agency.expended(budget_line_id) == 0


def test_what_is_refused_is_told_tried_again_and_posted_once(books: Books):
    agency = books.agency(open_to=2)
    schedule = Schedule(agency)
    budget_line_id = agency.budget_line(700)
    tag = {"budget_line_id": str(budget_line_id)}
    template = schedule.template(lines=[line(EXPENSE, 400, **tag), line(PAYABLE, None, 400, **tag)])

    run = schedule.run(date(YEAR, 3, 31))

    assert [(one.due_on.month, one.status, one.refusal_reason) for one in run] == [
        (1, POSTED, ""),
        (2, REFUSED, "BUDGET_EXCEEDED"),
        (3, REFUSED, "PERIOD_CLOSED"),
    ]
    assert agency.expended(budget_line_id) == 400
    assert schedule.clock() == date(YEAR, 2, 28)
    assert [one.refusal_reason for one in schedule.listed(status=REFUSED)] == ["PERIOD_CLOSED", "BUDGET_EXCEEDED"]
    agency.row("update budget_line set original_minor = 200000 where budget_line_id = %s returning 1", budget_line_id)
    retried = schedule.run(date(YEAR, 3, 31))
    assert [(one.due_on.month, one.status) for one in retried] == [(2, POSTED), (3, REFUSED)]
    assert [one.status for one in schedule.listed(source_id=template.journal_template_id)] == [REFUSED, POSTED, POSTED]
    assert agency.expended(budget_line_id) == 800


def test_what_is_refused_again_and_again_keeps_nothing_else_from_being_posted(
    agency: Agency, schedule: Schedule, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(domain, "RUN_MAX", 2)
    # Two days of a year that has no books, as many as one run takes.
    last = to_date(date(YEAR - 2, 12, 31))
    schedule.template(first_due_on=to_date(date(YEAR - 2, 11, 30)), last_due_on=last)
    schedule.template(first_due_on=to_date(date(YEAR, 1, 31)), last_due_on=to_date(date(YEAR, 1, 31)))

    first = schedule.run(date(YEAR, 3, 1))
    second = schedule.run(date(YEAR, 3, 1))
    third = schedule.run(date(YEAR, 3, 1))

    assert [one.status for one in first] == [REFUSED, REFUSED]
    assert [one.status for one in second] == [REFUSED, POSTED]
    assert [one.status for one in third] == [REFUSED, REFUSED]
    assert agency.balances()[CASH] == 5_00


def test_a_template_ends_and_is_listed(agency: Agency, schedule: Schedule):
    template = schedule.template()
    schedule.run(date(YEAR, 2, 28))

    def end(day: date) -> Any:
        return journal_template_pb2.EndJournalTemplateRequest(
            name=template.name, last_due_on=to_date(day), request_id=rid()
        )

    assert refused(schedule.stub.EndJournalTemplate, end(date(YEAR, 2, 1)), agency.accountant).fields == (
        "last_due_on",
    )
    ended = call_as(schedule.stub.EndJournalTemplate, end(date(YEAR, 3, 1)), agency.accountant).journal_template

    assert not ended.HasField("next_due_on")
    assert schedule.run(date(YEAR, 12, 31)) == []
    assert schedule.clock() is None
    schedule.template(description="another")
    request = journal_template_pb2.ListJournalTemplatesRequest(agency_id=str(agency.agency_id), page_size=1)
    page = call_as(schedule.stub.ListJournalTemplates, request, agency.accountant)
    request.page_token = page.next_page_token
    rest = call_as(schedule.stub.ListJournalTemplates, request, agency.accountant)
    assert [one.description for one in (*page.journal_templates, *rest.journal_templates)] == ["another", "monthly"]
    assert [one.account_code for one in rest.journal_templates[0].lines] == [CASH, REVENUE]


def test_a_template_made_by_mistake_is_ended_before_its_first_day(schedule: Schedule, agency: Agency):
    template = schedule.template()
    request = journal_template_pb2.EndJournalTemplateRequest(
        name=template.name, last_due_on=to_date(date(YEAR, 1, 30)), request_id=rid()
    )

    ended = call_as(schedule.stub.EndJournalTemplate, request, agency.accountant).journal_template

    assert not ended.HasField("next_due_on")
    assert schedule.run(date(YEAR, 12, 31)) == []


def test_a_template_that_could_never_be_posted_is_refused_at_once(agency: Agency, schedule: Schedule):
    unbalanced = schedule.request(lines=[line(CASH, 5), line(REVENUE, None, 6)])
    backwards = schedule.request(last_due_on=to_date(date(YEAR, 1, 30)))

    assert refused(schedule.stub.CreateJournalTemplate, unbalanced, agency.accountant).reason == "JOURNAL_UNBALANCED"
    assert refused(schedule.stub.CreateJournalTemplate, backwards, agency.accountant).fields == (
        "journal_template.last_due_on",
    )


def test_nothing_is_run_for_a_day_that_has_not_come_or_by_a_stranger(agency: Agency, schedule: Schedule):
    schedule.template()
    request = journal_template_pb2.RunJournalTemplatesRequest(
        agency_id=str(agency.agency_id), due_to=to_date(date(2199, 1, 1)), request_id=rid()
    )

    assert refused(schedule.stub.RunJournalTemplates, request, agency.accountant).fields == ("due_to",)
    request.ClearField("due_to")
    stranger = agency.books.token([uuid4()])
    assert refused(schedule.stub.RunJournalTemplates, request, stranger).code == grpc.StatusCode.PERMISSION_DENIED
    authority = agency.authority()
    assert refused(schedule.stub.RunJournalTemplates, request, authority).code == grpc.StatusCode.PERMISSION_DENIED


def test_the_services_own_round_finds_what_is_due_and_posts_in_its_makers_name(agency: Agency, schedule: Schedule):
    template = schedule.template(auto_reverse=True, last_due_on=to_date(date(YEAR, 1, 31)))
    (database,) = [one for one in agency.books.service.container.dependencies if isinstance(one, Database)]
    db, clock = database.transactions, BusinessClock()
    assert db is not None
    with db.work((), subject="test") as session:
        assert agency.agency_id in store.due_agencies(session, date(YEAR, 1, 31))
        assert agency.agency_id not in store.due_agencies(session, date(YEAR, 1, 30))

    with db.work([agency.agency_id], subject="test") as session:
        usecases.run(session, agency.agency_id, to=date(YEAR, 2, 1), at=clock.now(), person_id=None)

    recurring = schedule.listed(source_id=template.journal_template_id)[0]
    assert schedule.entry(recurring).person_id == str(agency.person_id) == template.person_id
    assert minor(schedule.entry(recurring).lines[0].debit) == 5_00
    assert len(schedule.listed()) == 2
    assert schedule.clock() is None
