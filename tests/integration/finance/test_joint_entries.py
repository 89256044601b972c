"""One act by hand in several books: all legs or none, and between them a pair that is equal and opposite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.database import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import joint_entry_pb2, joint_entry_pb2_grpc, ledger_pb2
from services.finance.ledger.joint import verify
from tests.integration.finance.books import EXPENSE, PAYABLE, YEAR, Agency, Books, line, rid

# Accounts that persons may post to, and the pair, which they may not.
SHARES, REVENUE = "1.1.01.07", "7.1.01.01"
RK_A, RK_T = "3.1.03.01", "1.1.13.01"
MARCH = date(YEAR, 3, 10)


@dataclass
class Entities:
    """Two agencies, their treasury, and an accountant of all three."""

    books: Books
    one: Agency = field(init=False)
    other: Agency = field(init=False)
    treasury: Agency = field(init=False)

    def __post_init__(self) -> None:
        self.one, self.other, self.treasury = (self.books.agency() for _ in range(3))
        self.stub = joint_entry_pb2_grpc.JointEntryServiceStub(self.books.service.channel)
        self.person_id = uuid4()
        self.accountant = self.token(self.one, self.other, self.treasury)

    def token(self, *agencies: Agency, roles: tuple[str, ...] = ("finance.accountant",)) -> str:
        return self.books.token([one.agency_id for one in agencies], *roles, person_id=self.person_id)

    def act(self, *legs: tuple[Agency, list[ledger_pb2.JournalLine]], **values: Any) -> Any:
        act = {
            "treasury_agency_id": str(self.treasury.agency_id),
            "effective_on": to_date(MARCH),
            "description": "shares handed over",
            "legs": [
                joint_entry_pb2.JointEntryLeg(agency_id=str(agency.agency_id), lines=lines) for agency, lines in legs
            ],
            **values,
        }
        return joint_entry_pb2.CreateJointEntryRequest(joint_entry=joint_entry_pb2.JointEntry(**act), request_id=rid())

    def handed_over(self, amount: int = 100, **values: Any) -> Any:
        return self.act((self.one, [line(SHARES, None, amount)]), (self.other, [line(SHARES, amount)]), **values)

    def post(self, request: Any, token: str | None = None) -> joint_entry_pb2.JointEntry:
        return call_as(self.stub.CreateJointEntry, request, token or self.accountant)

    def refused(self, request: Any, token: str | None = None) -> Refusal:
        return refused(self.stub.CreateJointEntry, request, token or self.accountant)

    def get(self, name: str, token: str | None = None) -> joint_entry_pb2.JointEntry:
        return call_as(
            self.stub.GetJointEntry, joint_entry_pb2.GetJointEntryRequest(name=name), token or self.accountant
        )

    def reversal(self, name: str, **values: Any) -> joint_entry_pb2.ReverseJointEntryRequest:
        return joint_entry_pb2.ReverseJointEntryRequest(
            name=name, request_id=rid(), **{"reason": "wrong agency", **values}
        )

    def reversed(self, name: str, **values: Any) -> joint_entry_pb2.JointEntry:
        return call_as(self.stub.ReverseJointEntry, self.reversal(name, **values), self.accountant).joint_entry

    def balances(self) -> list[dict[str, int]]:
        """Balances in whole rupiah, of the first agency, the treasury, the other agency; nil ones left out."""
        return [
            {account: amount // 100 for account, amount in agency.balances().items() if amount}
            for agency in (self.one, self.treasury, self.other)
        ]

    def entry_count(self) -> int:
        ids = [one.agency_id for one in (self.one, self.other, self.treasury)]
        return self.one.row("select count(*) from journal_entry where agency_id = any(%s)", ids)[0]

    def problems(self) -> list[str]:
        engine = create_engine(sqlalchemy_url(self.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            found = [problem.what for problem in verify.problems(connection)]
        engine.dispose()
        mine = {str(one.agency_id) for one in (self.one, self.other, self.treasury)}
        return [what for what in found if any(agency in what for agency in mine) or "joint" in what]


@pytest.fixture
def entities(books: Books) -> Entities:
    return Entities(books)


def test_what_passes_between_two_agencies_goes_through_the_treasury(entities: Entities):
    act = entities.post(entities.handed_over(100))

    assert entities.balances() == [
        {SHARES: -100, RK_A: 100},
        {},
        {SHARES: 100, RK_A: -100},
    ]
    assert [leg.agency_id for leg in act.legs] == [
        str(one.agency_id) for one in (entities.one, entities.other, entities.treasury)
    ]
    pair = act.legs[2].lines
    assert [(one.account_code, one.debit.units, one.credit.units, one.counterpart_agency_id) for one in pair] == [
        (RK_T, 0, 100, str(entities.one.agency_id)),
        (RK_T, 100, 0, str(entities.other.agency_id)),
    ]
    assert entities.problems() == []


def test_an_act_of_an_agency_and_the_treasury_stands_on_both_sides_of_the_pair(entities: Entities):
    entities.post(
        entities.act(
            (entities.one, [line(SHARES, 70)]),
            (entities.treasury, [line(REVENUE, None, 50), line(SHARES, None, 20)]),
        )
    )

    assert entities.balances() == [{SHARES: 70, RK_A: -70}, {RK_T: 70, REVENUE: -50, SHARES: -20}, {}]
    assert entities.problems() == []


def test_the_entries_name_the_act_and_the_act_names_the_entries(entities: Entities):
    act = entities.post(entities.handed_over())

    for leg, agency in zip(act.legs, (entities.one, entities.other, entities.treasury), strict=True):
        request = ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{leg.journal_entry_id}")
        entry = call_as(entities.books.ledger.GetJournalEntry, request, agency.accountant)
        assert (entry.source_kind, entry.source_id) == ("JOINT_ENTRY", act.joint_entry_id)
        assert (entry.accounting_on, entry.person_id) == (to_date(MARCH), str(entities.person_id))


def test_a_repeated_call_posts_once_also_when_both_come_at_once(entities: Entities):
    request = entities.handed_over()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: entities.post(request).SerializeToString(deterministic=True), range(4)))

    assert len(set(answers)) == 1
    assert entities.entry_count() == 3


def test_a_closed_period_in_one_agency_refuses_all_and_names_it(entities: Entities):
    entities.other.close(3)

    said = entities.refused(entities.handed_over())

    assert (said.code, said.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PERIOD_CLOSED")
    assert said.metadata["agency_id"] == str(entities.other.agency_id)
    assert entities.entry_count() == 0
    late = {"late_reason": "audit finding"}
    assert entities.refused(entities.handed_over(**late)).code is grpc.StatusCode.PERMISSION_DENIED
    everywhere = (entities.one, entities.other, entities.treasury)
    entities.post(entities.handed_over(**late), entities.token(*everywhere, roles=("finance.budget_authority",)))
    assert entities.problems() == []


def test_the_permission_is_held_in_every_agency_the_treasury_among_them(entities: Entities):
    for lacking in ((entities.one, entities.other), (entities.one, entities.treasury)):
        said = entities.refused(entities.handed_over(), entities.token(*lacking))
        assert said.code is grpc.StatusCode.PERMISSION_DENIED

    assert entities.entry_count() == 0


def test_what_a_leg_may_not_be(entities: Entities):
    one, other = entities.one, entities.other
    shares = [line(SHARES, 10)]
    cases = {
        "JOURNAL_UNBALANCED": entities.act((one, shares), (other, [line(SHARES, None, 9)])),
        "JOINT_ENTRY_UNPAIRED": entities.act((one, [line(SHARES, 5), line(REVENUE, None, 5)]), (other, shares)),
        "ACCOUNT_CONTROLLED": entities.act((one, [line(RK_A, None, 10)]), (other, shares)),
        "JOURNAL_INVALID": entities.act((one, shares), (one, [line(SHARES, None, 10)])),
        "ACCOUNT_UNKNOWN": entities.act((one, [line("9.9.9", None, 10)]), (other, shares)),
    }

    said = {reason: entities.refused(request) for reason, request in cases.items()}

    assert {reason: one.reason for reason, one in said.items()} == {reason: reason for reason in cases}
    for reason in ("JOINT_ENTRY_UNPAIRED", "ACCOUNT_CONTROLLED", "ACCOUNT_UNKNOWN"):
        assert said[reason].metadata["agency_id"] == str(one.agency_id), reason
    assert entities.entry_count() == 0


def test_a_leg_spends_its_budget_line_and_one_refused_leg_takes_the_others_back(entities: Entities):
    budget_line = entities.one.budget_line(60)

    def spending(amount: int) -> Any:
        tag = {"budget_line_id": str(budget_line)}
        own = [line(EXPENSE, amount, **tag), line(PAYABLE, None, amount, **tag), line(SHARES, None, 5)]
        return entities.act((entities.one, own), (entities.other, [line(SHARES, 5)]))

    act = entities.post(spending(40))
    said = entities.refused(spending(30))

    assert said.reason == "BUDGET_EXCEEDED"
    assert said.metadata["agency_id"] == str(entities.one.agency_id)
    assert (entities.one.expended(budget_line), entities.entry_count()) == (40, 3)
    entities.reversed(act.name)
    assert entities.one.expended(budget_line) == 0
    assert entities.problems() == []


def test_all_legs_are_reversed_together_and_one_alone_is_not(entities: Entities):
    act = entities.post(entities.handed_over())
    leg = act.legs[0].journal_entry_id

    alone = refused(
        entities.books.ledger.ReverseJournalEntry,
        ledger_pb2.ReverseJournalEntryRequest(name=f"journalEntries/{leg}", reason="wrong", request_id=rid()),
        entities.one.accountant,
    )
    mirror = entities.reversed(act.name)
    again = refused(entities.stub.ReverseJointEntry, entities.reversal(act.name), entities.accountant)

    assert (alone.reason, alone.metadata["source_id"]) == ("ENTRY_NOT_REVERSIBLE", act.joint_entry_id)
    assert mirror.reverses_joint_entry_id == act.joint_entry_id
    assert entities.get(act.name).reversed_by_joint_entry_id == mirror.joint_entry_id
    assert again.reason == "ENTRY_ALREADY_REVERSED"
    assert entities.balances() == [{}, {}, {}]
    assert entities.problems() == []


def test_reversals_that_come_at_once_reverse_once(entities: Entities):
    act = entities.post(entities.handed_over())

    def reverse(_: int) -> str:
        try:
            entities.reversed(act.name)
        except grpc.RpcError as failure:
            return "ENTRY_ALREADY_REVERSED" if "reversed by" in str(failure) else str(failure)
        return "reversed"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(reverse, range(4)))

    assert outcomes == ["ENTRY_ALREADY_REVERSED"] * 3 + ["reversed"]
    assert entities.entry_count() == 6


def test_whoever_reverses_holds_the_permission_in_every_agency(entities: Entities):
    act = entities.post(entities.handed_over())

    said = refused(
        entities.stub.ReverseJointEntry,
        entities.reversal(act.name),
        entities.token(entities.one, entities.treasury),
    )

    assert said.code is grpc.StatusCode.PERMISSION_DENIED
    assert entities.entry_count() == 3


def test_an_agency_sees_its_own_leg_alone(entities: Entities):
    acts = [entities.post(entities.handed_over(amount)) for amount in (1, 2, 3)]

    seen = entities.get(acts[0].name, entities.one.accountant)
    request = joint_entry_pb2.ListJointEntriesRequest(agency_id=str(entities.one.agency_id), page_size=2)
    first = call_as(entities.stub.ListJointEntries, request, entities.one.accountant)
    request.page_token = first.next_page_token
    second = call_as(entities.stub.ListJointEntries, request, entities.one.accountant)

    assert [leg.agency_id for leg in seen.legs] == [str(entities.one.agency_id)]
    assert [act.name for act in (*first.joint_entries, *second.joint_entries)] == [act.name for act in reversed(acts)]
    assert second.next_page_token == ""
    stranger = entities.books.agency().accountant
    said = refused(entities.stub.GetJointEntry, joint_entry_pb2.GetJointEntryRequest(name=acts[0].name), stranger)
    assert said.code is grpc.StatusCode.NOT_FOUND
