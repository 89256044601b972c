"""Acts in several books are corrected, adjusted in period 13 and reversed by themselves: in all books or in none."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from sqlalchemy import create_engine

from chassis.clock import BusinessClock
from chassis.database import Database, Transactions
from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    fiscal_calendar_pb2,
    joint_entry_pb2,
    journal_template_pb2,
    journal_template_pb2_grpc,
    ledger_pb2,
)
from services.finance.ledger.joint import reversing, verify
from services.finance.ledger.joint.entrypoints import JointEntryEntrypoints
from tests.integration.finance.books import YEAR, Agency, Books, line, rid
from tests.integration.finance.test_joint_entries import RK_A, SHARES, Entities

DECEMBER, LAST_DAY = date(YEAR, 12, 20), date(YEAR, 12, 31)
CORRECTION = ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION
POSTED = journal_template_pb2.SCHEDULED_ENTRY_STATUS_POSTED
REFUSED = journal_template_pb2.SCHEDULED_ENTRY_STATUS_REFUSED


class Acts(Entities):
    """Two agencies and their treasury at the end of a year."""

    @property
    def everywhere(self) -> tuple[Agency, ...]:
        return self.one, self.other, self.treasury

    def correction(self, of: joint_entry_pb2.JointEntry, amount: int = 2, **values: Any) -> Any:
        named = {"kind": CORRECTION, "corrects_joint_entry_id": of.joint_entry_id, "effective_on": to_date(DECEMBER)}
        return self.handed_over(amount, **{**named, **values})

    def adjusting(self, *agencies: Agency) -> joint_entry_pb2.JointEntry:
        """An act of December; December closed everywhere, the adjustment period open in `agencies`."""
        act = self.post(self.handed_over(100, effective_on=to_date(DECEMBER)))
        for agency in self.everywhere:
            agency.close(12)
        for agency in agencies:
            self.open_adjustments(agency)
        return act

    def open_adjustments(self, agency: Agency) -> None:
        request = fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
            agency_id=str(agency.agency_id), year=YEAR, first_number=13, request_id=rid()
        )
        call_as(self.books.calendar.OpenFiscalPeriods, request, agency.accountant)

    def entry_of(self, act: joint_entry_pb2.JointEntry, agency: Agency) -> ledger_pb2.JournalEntry:
        (entry_id,) = [leg.journal_entry_id for leg in act.legs if leg.agency_id == str(agency.agency_id)]
        request = ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{entry_id}")
        return call_as(self.books.ledger.GetJournalEntry, request, agency.accountant)

    def accrual(self, amount: int = 7, on: date = date(YEAR, 3, 31)) -> joint_entry_pb2.JointEntry:
        return self.post(self.handed_over(amount, effective_on=to_date(on), auto_reverse=True))

    def run_of(self, agency: Agency, to: date, token: str) -> journal_template_pb2.RunJournalTemplatesResponse:
        stub = journal_template_pb2_grpc.JournalTemplateServiceStub(self.books.service.channel)
        request = journal_template_pb2.RunJournalTemplatesRequest(
            agency_id=str(agency.agency_id), due_to=to_date(to), request_id=rid()
        )
        return call_as(stub.RunJournalTemplates, request, token)

    def run(self, agency: Agency, to: date, token: str) -> list[journal_template_pb2.ScheduledEntry]:
        return list(self.run_of(agency, to, token).scheduled_entries)

    def scheduled(self, agency: Agency) -> list[journal_template_pb2.ScheduledEntry]:
        stub = journal_template_pb2_grpc.JournalTemplateServiceStub(self.books.service.channel)
        request = journal_template_pb2.ListScheduledEntriesRequest(agency_id=str(agency.agency_id))
        return list(call_as(stub.ListScheduledEntries, request, agency.accountant).scheduled_entries)

    def service_round(self) -> None:
        """What the service does by itself within the hour."""
        own = JointEntryEntrypoints()
        own.db, own.clock = self.transactions, BusinessClock()
        own.reverse_due_acts()

    @property
    def transactions(self) -> Transactions:
        (database,) = [one for one in self.books.service.container.dependencies if isinstance(one, Database)]
        assert database.transactions is not None
        return database.transactions

    def waiting(self) -> int:
        """How many of these agencies' acts are on the work list."""
        query = "select count(*) from joint_reversal where entity_ids @> jsonb_build_array(%s::text)"
        return int(self.one.row(query, str(self.one.agency_id))[0])

    def refused_reversal(self, name: str, **values: Any) -> Refusal:
        return refused(self.stub.ReverseJointEntry, self.reversal(name, **values), self.accountant)


@pytest.fixture
def acts(books: Books) -> Iterator[Acts]:
    acts = Acts(books)
    yield acts
    assert acts.problems() == []


def test_each_entry_of_a_correction_corrects_the_entry_in_its_own_books(acts: Acts):
    first = acts.post(acts.handed_over(100))
    made = acts.post(acts.correction(first))

    assert (made.kind, made.corrects_joint_entry_id) == (CORRECTION, first.joint_entry_id)
    for agency in acts.everywhere:
        entry = acts.entry_of(made, agency)
        assert (entry.kind, entry.corrects_journal_entry_id) == (
            CORRECTION,
            acts.entry_of(first, agency).journal_entry_id,
        )
    request = joint_entry_pb2.ListJointEntriesRequest(
        agency_id=str(acts.other.agency_id), corrects_joint_entry_id=first.joint_entry_id
    )
    listed = call_as(acts.stub.ListJointEntries, request, acts.other.accountant).joint_entries
    assert [one.name for one in listed] == [made.name]
    assert acts.balances() == [{SHARES: -102, RK_A: 102}, {}, {SHARES: 102, RK_A: -102}]


def test_a_correction_names_an_act_of_each_of_its_agencies(acts: Acts):
    first = acts.post(acts.act((acts.one, [line(SHARES, 5)]), (acts.treasury, [line(SHARES, None, 5)])))
    before = acts.entry_count()

    elsewhere = acts.refused(acts.correction(first))
    unknown = acts.refused(acts.correction(first, corrects_joint_entry_id=str(uuid4())))
    unnamed = acts.refused(acts.correction(first, corrects_joint_entry_id=""))
    ordinary = acts.refused(acts.correction(first, kind=ledger_pb2.JOURNAL_ENTRY_KIND_ORDINARY))

    assert (elsewhere.reason, elsewhere.metadata["agency_id"]) == ("CORRECTED_ENTRY_UNKNOWN", str(acts.other.agency_id))
    assert (unknown.reason, unnamed.reason) == ("CORRECTED_ENTRY_UNKNOWN", "CORRECTION_UNNAMED")
    assert unnamed.fields == ("joint_entry.corrects_joint_entry_id",)
    assert ordinary.fields == ("joint_entry.kind",)
    assert acts.entry_count() == before


def test_the_adjustment_period_takes_corrections_in_all_books(acts: Acts):
    december = acts.adjusting(*acts.everywhere)

    adjusted = acts.post(acts.correction(december, adjustment_year=YEAR))
    plain = acts.refused(acts.handed_over(adjustment_year=YEAR))
    passing = acts.refused(acts.correction(december, adjustment_year=YEAR, auto_reverse=True))

    assert (adjusted.adjustment_year, adjusted.period_number) == (YEAR, 13)
    assert (adjusted.accounting_on, adjusted.effective_on) == (to_date(LAST_DAY), to_date(DECEMBER))
    assert {acts.entry_of(adjusted, agency).period_number for agency in acts.everywhere} == {13}
    assert (plain.reason, passing.reason) == ("CORRECTION_UNNAMED", "JOURNAL_INVALID")
    for agency in acts.everywhere:
        agency.open_year(YEAR + 1)
    january = acts.post(acts.handed_over(effective_on=to_date(date(YEAR + 1, 1, 5))))
    assert acts.refused(acts.correction(january, adjustment_year=YEAR)).reason == "CORRECTED_ENTRY_UNKNOWN"


def test_an_adjustment_period_that_is_closed_in_one_agency_refuses_both_sides(acts: Acts):
    december = acts.adjusting(acts.one, acts.treasury)
    before = acts.entry_count()

    late = {"adjustment_year": YEAR, "late_reason": "the auditor's finding"}
    authority = acts.token(*acts.everywhere, roles=("finance.budget_authority",))

    # Not yet open is not softly closed: no authority posts into it either.
    unopened = acts.refused(acts.correction(december, **late), authority)
    acts.open_adjustments(acts.other)
    acts.other.open_year(YEAR + 1)
    acts.other.close(13)
    closed = acts.refused(acts.correction(december, adjustment_year=YEAR))
    lacking = acts.refused(acts.correction(december, **late))

    for said in (unopened, closed):
        assert (said.reason, said.metadata["adjustment_year"]) == ("PERIOD_CLOSED", str(YEAR))
        assert said.metadata["agency_id"] == str(acts.other.agency_id)
    assert lacking.code is grpc.StatusCode.PERMISSION_DENIED
    assert acts.entry_count() == before
    assert acts.post(acts.correction(december, **late), authority).period_number == 13


def test_an_act_is_reversed_in_the_adjustment_period_of_its_year(acts: Acts):
    december = acts.adjusting(*acts.everywhere)

    mirror = acts.reversed(december.name, in_adjustment_period=True)

    assert (mirror.period_number, mirror.accounting_on) == (13, to_date(LAST_DAY))
    assert acts.balances() == [{}, {}, {}]
    assert acts.one.balances(without_adjustments=True)[SHARES] == -100_00


def test_an_accrual_reverses_in_all_books_when_a_person_of_all_runs_what_is_due(acts: Acts):
    accrual = acts.accrual()
    assert accrual.reverse_on == to_date(date(YEAR, 4, 1))
    assert not acts.entry_of(accrual, acts.one).auto_reverse, "one leg alone never reverses"

    assert acts.run(acts.one, date(YEAR, 3, 31), acts.accountant) == []
    (told,) = acts.run(acts.one, date(YEAR, 4, 1), acts.accountant)

    assert (told.status, told.source_id) == (POSTED, acts.entry_of(accrual, acts.one).journal_entry_id)
    mirror = acts.get(f"jointEntries/{acts.get(accrual.name).reversed_by_joint_entry_id}")
    assert (mirror.accounting_on, mirror.auto_reverse) == (to_date(date(YEAR, 4, 1)), False)
    assert mirror.person_id == str(acts.person_id)
    assert acts.balances() == [{}, {}, {}]
    for agency in acts.everywhere:
        assert [one.journal_entry_id for one in acts.scheduled(agency)] == [
            acts.entry_of(mirror, agency).journal_entry_id
        ]
    assert (acts.run(acts.other, date(YEAR, 12, 31), acts.accountant), acts.waiting()) == ([], 0)


def test_one_call_reverses_so_many_acts_and_says_that_there_are_more(acts: Acts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reversing, "ACTS_MAX", 1)
    for amount in (1, 2):
        acts.accrual(amount)

    first = acts.run_of(acts.one, date(YEAR, 4, 1), acts.accountant)
    second = acts.run_of(acts.one, date(YEAR, 4, 1), acts.accountant)

    assert [(len(one.scheduled_entries), one.more) for one in (first, second)] == [(1, True), (1, False)]
    assert acts.balances() == [{}, {}, {}]


def test_what_one_agency_alone_may_not_reverse_the_services_round_does(acts: Acts):
    accrual = acts.accrual()

    assert acts.run(acts.one, date(YEAR, 4, 1), acts.one.accountant) == []
    assert acts.waiting() == 1
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: acts.service_round(), range(3)))

    mirror = acts.get(f"jointEntries/{acts.get(accrual.name).reversed_by_joint_entry_id}")
    assert (mirror.person_id, mirror.description) == (accrual.person_id, f"Reversal: {accrual.description}")
    assert (acts.balances(), acts.entry_count(), acts.waiting()) == ([{}, {}, {}], 6, 0)


def test_a_reversal_that_one_agency_refuses_stays_out_of_all_books_and_is_told_in_each(acts: Acts):
    accrual = acts.accrual()
    acts.other.close(4)

    acts.service_round()

    for agency in acts.everywhere:
        (told,) = acts.scheduled(agency)
        assert (told.status, told.refusal_reason) == (REFUSED, "PERIOD_CLOSED")
        assert str(acts.other.agency_id) in told.refusal_message
    assert (acts.entry_count(), acts.waiting()) == (3, 1)
    # By hand on a day that is open in all, and then never again.
    acts.reversed(accrual.name, effective_on=to_date(date(YEAR, 5, 2)))
    assert acts.waiting() == 0
    assert acts.refused_reversal(accrual.name).reason == "ENTRY_ALREADY_REVERSED"
    acts.service_round()
    assert (acts.balances(), acts.entry_count()) == ([{}, {}, {}], 6)


TAMPERINGS = (
    "update journal_entry set corrects_journal_entry_id = null where source_id = %s",
    "update joint_entry_leg set corrects_joint_entry_id = gen_random_uuid() where joint_entry_id = %s",
    "update journal_entry set period_number = 12 where source_id = %s and agency_id in (select agency_id from"
    " joint_entry)",
    "delete from joint_reversal where joint_entry_id <> %s",
)


def test_verify_finds_what_does_not_belong_together(acts: Acts):
    adjusted = acts.post(acts.correction(acts.adjusting(*acts.everywhere), adjustment_year=YEAR))
    acts.post(acts.handed_over(auto_reverse=True))

    engine = create_engine(sqlalchemy_url(acts.books.superuser_url))
    with engine.connect() as connection:
        assert verify.problems(connection) == []
        found = []
        for tampering in TAMPERINGS:
            connection.exec_driver_sql(tampering, (UUID(adjusted.joint_entry_id),))
            found.append(verify.problems(connection))
            connection.rollback()
    engine.dispose()

    assert [bool(problems) for problems in found] == [True] * len(TAMPERINGS)
