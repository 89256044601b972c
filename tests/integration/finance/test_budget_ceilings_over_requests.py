"""Requests under ceilings, through the public API: who gets what, and many at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import grpc
import pytest

from chassis.money import Money
from chassis.testing import call_as, refusal, refused
from kelola.finance.v1 import budget_preparation_pb2 as pb
from tests.integration.finance.books import Books, minor, rid
from tests.integration.finance.preparing import NEXT_YEAR, TRAVEL, Preparing, asked, head


@pytest.fixture
def unit(books: Books) -> Preparing:
    """An agency with a ceiling of 1 000 on everything."""
    made = Preparing(books)
    made.ceiling(head(1_000))
    return made


def test_lines_beyond_the_ceiling_are_refused_with_every_figure(unit: Preparing):
    taken = unit.submitted(unit.opened(asked(700)))
    draft = unit.opened(asked(300))

    refusal = unit.not_written(draft, asked(301))

    assert refusal.reason == "BUDGET_CEILING_EXCEEDED"
    shown = [refusal.metadata[name] for name in ("ceiling", "others", "asked", "over")]
    assert shown == [str(Money(amount * 100, "IDR")) for amount in (1_000, 700, 301, 1)]
    assert refusal.metadata["year"] == str(NEXT_YEAR)
    assert taken.document_number in refusal.metadata["used_by"]
    assert [minor(one.amount) for one in unit.lines_of(draft)] == [300_00]


def test_every_head_over_a_line_binds(unit: Preparing):
    unit.ceiling(head(100, account_code="5.1.02.04"), head(900, organisation_code="1.02"))
    draft = unit.opened(asked(800))

    beyond_account = unit.not_written(draft, asked(101, account=TRAVEL))
    beyond_unit = unit.not_written(draft, asked(801), asked(100, account=TRAVEL))

    assert beyond_account.metadata["account_code"] == "5.1.02.04"
    assert beyond_unit.metadata["organisation_code"] == "1.02"
    assert unit.written(draft, asked(100, account=TRAVEL)).latest_version.line_count == 2


def test_a_line_under_no_ceiling_is_refused(books: Books):
    unit = Preparing(books)
    unit.ceiling(head(100, account_code="5.1.02.04"))

    assert unit.not_written(unit.opened(), asked(1)).reason == "BUDGET_CEILING_MISSING"


def test_a_medium_term_year_has_its_own_ceiling_where_one_is_set(books: Books):
    unit = Preparing(books)
    unit.ceiling(head(100, 50))

    refusal = unit.not_written(unit.opened(), asked(1, 51))

    assert (refusal.reason, refusal.metadata["year"]) == ("BUDGET_CEILING_EXCEEDED", str(NEXT_YEAR + 1))


def test_what_is_returned_leaves_its_room_to_others(unit: Preparing):
    first = unit.submitted(unit.opened(asked(1_000)))
    assert unit.left() == [0]

    unit.returned(first)

    unit.submitted(unit.opened(asked(1_000)))
    assert unit.left() == [0]


def test_what_is_recalled_leaves_its_room_to_others_and_is_followed_by_a_copy(unit: Preparing):
    submitted = unit.submitted(unit.opened(asked(1_000)))
    recall = pb.RecallBudgetRequestRequest(name=submitted.name, reason="salah hitung", request_id=rid())
    stranger = unit.token("budget_user", person_id=uuid4())
    assert refused(unit.preparation.RecallBudgetRequest, recall, stranger).reason == "NOT_THE_PROPOSER"

    recalled = call_as(unit.preparation.RecallBudgetRequest, recall, unit.token("budget_user")).budget_request

    assert recalled.latest_version.decision_reason == "salah hitung"
    assert unit.left() == [1_000]
    assert unit.through(unit.next_version(recalled)).latest_version.version_number == 2


def test_an_approved_version_and_its_follower_take_the_room_of_the_greater_one(unit: Preparing):
    approved = unit.through(unit.opened(asked(600)))
    lower = unit.submitted(unit.written(unit.next_version(approved), asked(400)))

    assert unit.left() == [400]
    assert unit.not_written(unit.opened(), asked(401)).reason == "BUDGET_CEILING_EXCEEDED"

    unit.approved(unit.reviewed(lower))
    assert unit.left() == [600]


def test_an_approval_is_refused_when_the_ceiling_was_lowered_below_it(unit: Preparing):
    reviewed = unit.reviewed(unit.submitted(unit.opened(asked(600))))
    unit.ceiling(head(500))

    refusal = refused(
        unit.preparation.ApproveBudgetRequest,
        unit.approving(reviewed),
        unit.token("budget_authority", person_id=unit.approver_id),
    )

    assert refusal.reason == "BUDGET_CEILING_EXCEEDED"
    assert unit.left() == [-100]
    lower = unit.written(unit.next_version(unit.returned(reviewed)), asked(500))
    assert unit.through(lower).latest_version.status == pb.BUDGET_REQUEST_STATUS_APPROVED
    assert unit.preparation_problems() == []


def test_two_requests_at_once_never_pass_one_ceiling_together(unit: Preparing):
    drafts = [unit.opened(asked(600)), unit.opened(asked(600, line_no=2))]
    gate = Barrier(2)

    def hand_in(draft) -> str:
        gate.wait(10)
        try:
            unit.submitted(draft)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "SUBMITTED"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(hand_in, drafts))

    assert outcomes == ["BUDGET_CEILING_EXCEEDED", "SUBMITTED"]
    assert unit.left() == [400]


def test_12_requests_at_once_fill_a_ceiling_and_never_pass_it(unit: Preparing, seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    drafts = [unit.opened(asked(rng.randint(50, 300), line_no=number)) for number in range(1, 13)]

    reasons: list[str] = []

    def hand_in(draft) -> int:
        try:
            unit.submitted(draft)
        except grpc.RpcError as failure:
            reasons.append(refusal(failure).reason)
            return 0
        return minor(draft.latest_version.total) // 100

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(hand_in, drafts))

    assert 0 < taken <= 1_000
    assert set(reasons) <= {"BUDGET_CEILING_EXCEEDED"}
    assert unit.left() == [1_000 - taken]
    assert unit.preparation_problems() == []
