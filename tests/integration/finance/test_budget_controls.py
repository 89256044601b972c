"""Where a tree of budget lines is controlled, and how hard: changed by two persons, through the public API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refusal, refused
from kelola.finance.v1 import budget_control_events_pb2, budget_control_pb2, budget_control_pb2_grpc, budget_pb2
from services.finance.budget.controls import verify as control_verify
from tests.integration.finance.books import YEAR, Books, rid
from tests.integration.finance.changing import Changing
from tests.integration.finance.funds import an_item, new_line

HARD_STOP = budget_pb2.BUDGET_CONTROL_MODE_HARD_STOP
WARNING = budget_pb2.BUDGET_CONTROL_MODE_WARNING
UNCONTROLLED = budget_pb2.BUDGET_CONTROL_MODE_UNCONTROLLED


@dataclass
class Controlled(Changing):
    """A unit whose lines change their control."""

    controls: Any = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.controls = budget_control_pb2_grpc.BudgetControlServiceStub(self.books.service.channel)

    def tree(self) -> tuple[str, str, str]:
        """A node that stops hard over lines of 60 and 40 which stop hard themselves; all active."""
        officer = self.token("budget_officer")
        top = call_as(self.budget.ImportAppropriation, self.import_request([new_line(0, line_no=9)]), officer)
        node = top.budget_line_ids[0]
        under = self.import_request(
            [new_line(60, parent_budget_line_id=node), new_line(40, line_no=2, parent_budget_line_id=node)],
            appropriation_id=top.appropriation.appropriation_id,
        )
        draft = call_as(self.budget.ImportAppropriation, under, officer)
        self.activated(draft.appropriation)
        return node, *draft.budget_line_ids

    def request(self, *items: tuple[str, int], **values: Any) -> budget_control_pb2.CreateBudgetControlChangeRequest:
        """The request to propose modes of lines."""
        change = budget_control_pb2.BudgetControlChange(
            **{
                "agency_id": str(self.agency_id),
                "fiscal_year": YEAR,
                "document_number": f"KENDALI/{uuid4().hex[:8]}",
                "legal_reference": "Perkada 3/2025",
                "explanation": "a test's change of control",
                "items": [
                    budget_control_pb2.BudgetControlChangeItem(budget_line_id=line_id, control_mode=mode)
                    for line_id, mode in items
                ],
                **values,
            }
        )
        return budget_control_pb2.CreateBudgetControlChangeRequest(budget_control_change=change, request_id=rid())

    def proposed_control(self, *items: tuple[str, int], **values: Any) -> budget_control_pb2.BudgetControlChange:
        """A change that waits."""
        request = self.request(*items, **values)
        return call_as(self.controls.CreateBudgetControlChange, request, self.token("budget_officer"))

    def not_proposed_control(self, *items: tuple[str, int], **values: Any) -> Refusal:
        """The refusal of a proposal."""
        request = self.request(*items, **values)
        return refused(self.controls.CreateBudgetControlChange, request, self.token("budget_officer"))

    def control_approval(self, change: Any) -> budget_control_pb2.ApproveBudgetControlChangeRequest:
        """The request to approve."""
        return budget_control_pb2.ApproveBudgetControlChangeRequest(name=change.name, request_id=rid())

    def controlled(self, *items: tuple[str, int]) -> budget_control_pb2.BudgetControlChange:
        """A change in force."""
        approval = self.control_approval(self.proposed_control(*items))
        return call_as(
            self.controls.ApproveBudgetControlChange, approval, self.token("budget_authority")
        ).budget_control_change

    def modes(self, *line_ids: str) -> list[int]:
        """How lines are controlled now."""
        return [self.line(one).control_mode for one in line_ids]

    def control_problems(self) -> list[str]:
        """What verify finds wrong with control modes, and with the budget."""
        engine = create_engine(sqlalchemy_url(self.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            return [one.what for one in control_verify.problems(connection)] + self.problems()


@pytest.fixture
def unit(books: Books) -> Controlled:
    """A unit with its officers."""
    return Controlled(books)


def test_control_moves_from_the_lines_to_the_node_above_them(unit: Controlled):
    node, a, b = unit.tree()
    assert unit.refused("ReserveFunds", [an_item(a, 70)]).reason == "BUDGET_EXCEEDED"

    unit.controlled((a, UNCONTROLLED), (b, UNCONTROLLED))

    # Domain rules §2: parent 100 controls a 60, b 40.
    unit.did("ReserveFunds", [an_item(a, 70)])
    assert unit.refused("ReserveFunds", [an_item(b, 31)]).reason == "BUDGET_EXCEEDED"
    unit.did("ReserveFunds", [an_item(b, 30)])
    assert unit.modes(node, a, b) == [HARD_STOP, UNCONTROLLED, UNCONTROLLED]
    assert unit.control_problems() == []


def test_a_hard_stop_that_becomes_a_warning_lets_pass_and_records(unit: Controlled):
    (line,) = unit.lines(100)

    unit.controlled((line, WARNING))
    unit.did("ReserveFunds", [an_item(line, 130)])

    row = unit.agency.row("select asked_minor > 0 from funds_over_limit where budget_line_id = %s", line)
    assert unit.figures(line)[-1] == -30
    assert row == (True,)


def test_what_is_below_zero_does_not_become_a_hard_stop(unit: Controlled):
    (line,) = unit.lines(100)
    unit.controlled((line, WARNING))
    waiting = unit.proposed_control((line, HARD_STOP))
    unit.did("ReserveFunds", [an_item(line, 130)])

    at_once = unit.not_proposed_control((line, HARD_STOP))
    approval = unit.control_approval(waiting)
    later = refused(unit.controls.ApproveBudgetControlChange, approval, unit.token("budget_authority"))

    assert {at_once.reason, later.reason} == {"BUDGET_CONTROL_BELOW_ZERO"}
    assert unit.modes(line) == [WARNING]


def test_nothing_is_left_without_a_hard_stop_at_or_above_it(unit: Controlled):
    node, a, b = unit.tree()
    (alone,) = unit.lines_of(("5.1.02.01.02", 10))

    assert unit.not_proposed_control((alone, UNCONTROLLED)).reason == "BUDGET_CONTROL_MISSING"
    assert unit.not_proposed_control((node, UNCONTROLLED)).reason == "BUDGET_CONTROL_MISSING"

    unit.controlled((a, UNCONTROLLED))
    under = unit.not_proposed_control((node, WARNING))

    assert under.reason == "BUDGET_CONTROL_MISSING"
    assert under.metadata["budget_line_id"] == a
    unit.controlled((node, WARNING), (a, HARD_STOP))
    assert unit.modes(node, a, b) == [WARNING, HARD_STOP, HARD_STOP]


def test_a_hard_stop_with_an_open_override_does_not_cease_to_be_one(unit: Controlled):
    (line,) = unit.lines(100)
    unit.did("ReserveFunds", [an_item(line, 100)])
    unit.opened(unit.override((line, 20)))

    assert unit.not_proposed_control((line, WARNING)).reason == "BUDGET_CONTROL_OVERRIDDEN"


@pytest.mark.parametrize("act", ["ApproveBudgetControlChange", "RejectBudgetControlChange"])
def test_whoever_proposed_a_change_of_control_does_not_decide_on_it(unit: Controlled, act: str):
    (line,) = unit.lines(100)
    message = getattr(budget_control_pb2, f"{act}Request")(
        name=unit.proposed_control((line, WARNING)).name, request_id=rid()
    )
    if act == "RejectBudgetControlChange":
        message.reason = "uji"
    maker = unit.token("budget_authority", person_id=unit.persons["budget_officer"])

    assert refused(getattr(unit.controls, act), message, maker).reason == "SAME_PERSON"
    assert unit.modes(line) == [HARD_STOP]


def test_a_rejected_and_a_recalled_change_change_nothing(unit: Controlled):
    (line,) = unit.lines(100)
    rejection = budget_control_pb2.RejectBudgetControlChangeRequest(
        name=unit.proposed_control((line, WARNING)).name, reason="tidak perlu", request_id=rid()
    )
    recall = budget_control_pb2.RecallBudgetControlChangeRequest(
        name=unit.proposed_control((line, WARNING)).name, request_id=rid()
    )
    stranger = unit.token("budget_officer", person_id=uuid4())
    assert refused(unit.controls.RecallBudgetControlChange, recall, stranger).reason == "NOT_THE_PROPOSER"

    rejected = call_as(unit.controls.RejectBudgetControlChange, rejection, unit.token("budget_authority"))
    call_as(unit.controls.RecallBudgetControlChange, recall, unit.token("budget_officer"))

    again = refused(
        unit.controls.ApproveBudgetControlChange,
        unit.control_approval(rejected.budget_control_change),
        unit.token("budget_authority"),
    )
    assert rejected.budget_control_change.decision_reason == "tidak perlu"
    assert again.reason == "BUDGET_CONTROL_NOT_PROPOSED"
    assert unit.modes(line) == [HARD_STOP]


def test_the_changes_of_a_line_are_its_history(unit: Controlled):
    a, b = unit.lines_of(("5.1.02.01.01", 10), ("5.1.02.01.02", 10))
    first = unit.controlled((a, WARNING))
    unit.controlled((b, WARNING))
    second = unit.controlled((a, HARD_STOP))

    wanted = budget_control_pb2.ListBudgetControlChangesRequest(
        agency_id=str(unit.agency_id), budget_line_id=a, page_size=1
    )
    seen = []
    while True:
        page = call_as(unit.controls.ListBudgetControlChanges, wanted, unit.token("budget_officer"))
        seen += page.budget_control_changes
        if not page.next_page_token:
            break
        wanted.page_token = page.next_page_token

    assert [one.name for one in seen] == [second.name, first.name]
    assert [(one.items[0].control_mode_before, one.items[0].control_mode) for one in seen] == [
        (WARNING, HARD_STOP),
        (HARD_STOP, WARNING),
    ]
    assert seen[0].decided_by_person_id == str(unit.persons["budget_authority"])


def test_an_unchanged_mode_a_line_of_another_year_and_a_draft_are_refused(unit: Controlled):
    (line,) = unit.lines(100)
    draft = unit.imported(10, account="5.1.02.01.02").budget_line_ids[0]

    assert unit.not_proposed_control((line, HARD_STOP)).reason == "BUDGET_CONTROL_UNCHANGED"
    assert unit.not_proposed_control((line, WARNING), fiscal_year=YEAR + 1).reason == "BUDGET_LINE_NOT_USABLE"
    assert unit.not_proposed_control((draft, WARNING)).reason == "BUDGET_LINE_NOT_USABLE"
    assert unit.not_proposed_control((line, WARNING), (line, UNCONTROLLED)).reason == "BUDGET_CONTROL_INVALID"


def test_an_approval_is_repeated_byte_for_byte_and_told_once(unit: Controlled):
    (line,) = unit.lines(100)
    proposed = unit.proposed_control((line, WARNING))
    approval, token = unit.control_approval(proposed), unit.token("budget_authority")

    first = call_as(unit.controls.ApproveBudgetControlChange, approval, token)
    again = call_as(unit.controls.ApproveBudgetControlChange, approval, token)

    with psycopg.connect(unit.books.superuser_url) as connection:
        rows = connection.execute(
            "select body from outbox where key = %s order by sequence", [proposed.budget_control_change_id]
        ).fetchall()
    told = [budget_control_events_pb2.BudgetControlChanged.FromString(bytes(body)) for (body,) in rows]
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert [one.status for one in told] == [
        budget_control_pb2.BUDGET_CONTROL_CHANGE_STATUS_PROPOSED,
        budget_control_pb2.BUDGET_CONTROL_CHANGE_STATUS_APPROVED,
    ]


def test_a_line_of_another_agency_is_not_known(unit: Controlled, books: Books):
    (line,) = unit.lines(100)
    other = Controlled(books)

    assert other.not_proposed_control((line, WARNING)).code is grpc.StatusCode.NOT_FOUND
    got = refused(
        other.controls.GetBudgetControlChange,
        budget_control_pb2.GetBudgetControlChangeRequest(name=unit.proposed_control((line, WARNING)).name),
        other.token("budget_officer"),
    )
    assert got.code is grpc.StatusCode.NOT_FOUND


def test_reservations_at_once_with_a_new_hard_stop_are_before_it_or_refused_by_it(unit: Controlled):
    node, a, b = unit.tree()
    unit.controlled((node, WARNING), (a, WARNING), (b, WARNING))
    change = unit.proposed_control((node, HARD_STOP), (a, UNCONTROLLED), (b, UNCONTROLLED))
    gate = Barrier(9)
    officer, authority = unit.token("budget_officer"), unit.token("budget_authority")

    def reserve(nth: int) -> str:
        gate.wait(10)
        try:
            call_as(unit.budget.ReserveFunds, unit.funds("ReserveFunds", [an_item(a if nth % 2 else b, 25)]), officer)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "RESERVED"

    def approve() -> str:
        gate.wait(10)
        try:
            call_as(unit.controls.ApproveBudgetControlChange, unit.control_approval(change), authority)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "APPROVED"

    with ThreadPoolExecutor(9) as pool:
        approval = pool.submit(approve)
        reserved = list(pool.map(reserve, range(8)))

    # 8 times 25 is twice what the node has.
    available = unit.figures(node)[-1]
    assert set(reserved) <= {"RESERVED", "BUDGET_EXCEEDED"}
    if approval.result() == "APPROVED":
        assert available >= 0
        assert unit.modes(node) == [HARD_STOP]
    else:
        assert approval.result() == "BUDGET_CONTROL_BELOW_ZERO"
        assert unit.modes(node) == [WARNING]
    assert unit.control_problems() == []
