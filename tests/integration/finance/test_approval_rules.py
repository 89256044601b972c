"""Rules of the matrix come and end by two persons, on PostgreSQL; and no deputy is a way around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from chassis.local.databases import prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.migrate import sqlalchemy_url
from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    approval_pb2,
    approval_rule_change_events_pb2,
    approval_rule_change_pb2,
    budget_change_pb2,
)
from services.finance.approval import rule_store, verify
from services.finance.approval.domain import DocumentKind
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.changing import FREEZE, Changing, changed
from tests.integration.finance.routing import CHIEF, HEAD, OFFICER, Routes, under
from tests.integration.finance.test_document_status import migrated_before, problems

# An account of its own, so that the government-wide rules of these tests meet no other test's freezes; and a step of
# its own for each rule, since there is one of each content.
ACCOUNT = "5.2.04.03"
_steps = count(1)
PROPOSED, APPROVED, REJECTED, RECALLED = (
    approval_rule_change_pb2.ApprovalRuleChangeStatus.Value(f"APPROVAL_RULE_CHANGE_STATUS_{name}")
    for name in ("PROPOSED", "APPROVED", "REJECTED", "RECALLED")
)


def a_rule(matrix: Routes, **values: Any) -> approval_pb2.ApprovalRule:
    first = {"valid_from": to_date(datetime.now(UTC).date()), "step_number": next(_steps)}
    return matrix.a_rule("BUDGET_FREEZE", HEAD, nodes=under(account=ACCOUNT), **{**first, **values})


def rejection(
    change: approval_rule_change_pb2.ApprovalRuleChange,
) -> approval_rule_change_pb2.RejectApprovalRuleChangeRequest:
    return approval_rule_change_pb2.RejectApprovalRuleChangeRequest(name=change.name, reason="no", request_id=rid())


def recall(
    change: approval_rule_change_pb2.ApprovalRuleChange,
) -> approval_rule_change_pb2.RecallApprovalRuleChangeRequest:
    return approval_rule_change_pb2.RecallApprovalRuleChangeRequest(name=change.name, request_id=rid())


class Freezing(Changing):
    """A unit with one line under the account."""

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.line,) = self.lines(1_000, account=ACCOUNT)

    def frozen(self) -> str:
        """A freeze of the line, PROPOSED; its id."""
        return self.proposed(self.change(FREEZE, lines=[changed(self.line, 10)])).budget_change_id


@pytest.fixture
def unit(books: Books) -> Freezing:
    return Freezing(books)


@pytest.fixture
def matrix(unit: Freezing) -> Routes:
    return Routes.of(unit)


def routed(matrix: Routes, document_id: str) -> bool:
    """Whether the matrix gave the document a route."""
    return matrix.status(document_id).HasField("approval")


def test_a_rule_is_in_force_from_its_approval_by_another_person_and_ends_by_two_again(unit: Freezing, matrix: Routes):
    change = matrix.proposed(additions=[a_rule(matrix)])
    while_proposed = unit.frozen()
    approved = call_as(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(change), matrix.token(CHIEF))
    rule = approved.approval_rule_change.additions[0]
    while_in_force = unit.frozen()
    end = matrix.proposed(**matrix.ending(rule))
    while_ending = unit.frozen()
    call_as(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(end), matrix.token(CHIEF))
    after = unit.frozen()

    assert (change.status, change.additions[0].name) == (PROPOSED, "")
    assert rule.name == f"approvalRules/{rule.approval_rule_id}"
    assert [routed(matrix, one) for one in (while_proposed, while_in_force, while_ending, after)] == [
        *(False, True, True, False)
    ]
    assert matrix.route(while_in_force).status == approval_pb2.APPROVAL_STATUS_PENDING, "what was routed stays so"
    assert problems(unit.books, change.approval_rule_change_id) == []


def test_a_rule_that_begins_later_is_taken_by_no_document_before(unit: Freezing, matrix: Routes):
    next_month = datetime.now(UTC).date() + timedelta(days=30)
    matrix.changed(additions=[a_rule(matrix, valid_from=to_date(next_month))])

    assert not routed(matrix, unit.frozen())


@pytest.mark.parametrize("what", ["addition", "ending"])
def test_who_proposed_a_change_of_the_matrix_decides_nothing_of_it_whatever_roles_he_holds(matrix: Routes, what: str):
    both = matrix.token(OFFICER, CHIEF, person_id=uuid4())
    there = matrix.rule("BUDGET_FREEZE", amount_from=rupiah(9_999_999_999))
    change = matrix.proposed(both, **({"additions": [a_rule(matrix)]} if what == "addition" else matrix.ending(there)))

    approved = refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(change), both)
    rejected = refused(matrix.rules.RejectApprovalRuleChange, rejection(change), both)

    assert (approved.reason, rejected.reason) == ("SAME_PERSON", "SAME_PERSON")
    assert _now(matrix, change).status == PROPOSED


def test_only_who_holds_the_role_in_the_agency_proposes_or_approves(matrix: Routes):
    request = matrix.changing(additions=[a_rule(matrix)])
    elsewhere = matrix.books.token([uuid4()], OFFICER, CHIEF, person_id=uuid4())

    by_chief = refused(matrix.rules.CreateApprovalRuleChange, request, matrix.token(CHIEF))
    by_stranger = refused(matrix.rules.CreateApprovalRuleChange, request, elsewhere)
    change = matrix.proposed(additions=[a_rule(matrix)])
    by_officer = refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(change), matrix.token(OFFICER))
    by_other_chief = refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(change), elsewhere)

    assert by_chief.metadata["permission"] == "finance.approval_rule.create"
    assert by_officer.metadata["permission"] == "finance.approval_rule.approve"
    assert by_stranger.code is grpc.StatusCode.PERMISSION_DENIED
    assert by_other_chief.code is grpc.StatusCode.NOT_FOUND


def test_a_recalled_and_a_rejected_change_change_nothing_and_are_not_approved_any_more(matrix: Routes):
    proposer = matrix.token(OFFICER, person_id=uuid4())
    mine, refusable = (matrix.proposed(proposer, additions=[a_rule(matrix)]) for _ in range(2))

    by_another = refused(matrix.rules.RecallApprovalRuleChange, recall(mine), matrix.token(OFFICER))
    recalled = call_as(matrix.rules.RecallApprovalRuleChange, recall(mine), proposer).approval_rule_change
    rejected = call_as(
        matrix.rules.RejectApprovalRuleChange, rejection(refusable), matrix.token(CHIEF)
    ).approval_rule_change
    late = [
        refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(one), matrix.token(CHIEF))
        for one in (mine, refusable)
    ]

    assert by_another.reason == "NOT_THE_PROPOSER"
    assert (recalled.status, rejected.status, rejected.decision_reason) == (RECALLED, REJECTED, "no")
    assert {one.reason for one in late} == {"APPROVAL_RULE_CHANGE_NOT_PROPOSED"}
    assert all(one.additions[0].name == "" for one in (recalled, rejected))


def test_the_proposal_of_one_who_left_is_rejected_by_another_and_proposed_anew(matrix: Routes):
    """Nobody but he recalls it, so it would lie there; the checker ends it, and another officer takes the matter up."""
    left = matrix.proposed(additions=[a_rule(matrix)])
    call_as(matrix.rules.RejectApprovalRuleChange, rejection(left), matrix.token(CHIEF))

    same_number = refused(
        matrix.rules.CreateApprovalRuleChange,
        matrix.changing(additions=list(left.additions), document_number=left.document_number),
        matrix.token(OFFICER),
    )
    anew = matrix.changed(additions=list(left.additions))

    assert same_number.reason == "DOCUMENT_NUMBER_TAKEN"
    assert anew.status == APPROVED
    matrix.ended(*anew.additions)


def test_of_decisions_at_once_one_wins_and_it_is_told_once(matrix: Routes):
    change = matrix.proposed(additions=[a_rule(matrix)])

    def decide(nth: int) -> str:
        rpc = matrix.rules.RejectApprovalRuleChange if nth % 2 else matrix.rules.ApproveApprovalRuleChange
        try:
            call_as(rpc, rejection(change) if nth % 2 else matrix.approval_of(change), matrix.token(CHIEF))
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "decided"

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(decide, range(6)))

    with psycopg.connect(matrix.books.superuser_url) as connection:
        bodies = connection.execute(
            "select body from outbox where key = %s order by sequence", [change.approval_rule_change_id]
        ).fetchall()
    told = [approval_rule_change_events_pb2.ApprovalRulesChanged.FromString(bytes(body)) for (body,) in bodies]
    now = _now(matrix, change)
    assert answers == ["APPROVAL_RULE_CHANGE_NOT_PROPOSED"] * 5 + ["decided"]
    assert [one.status for one in told] == [PROPOSED, now.status]
    if now.status == APPROVED:
        matrix.ended(*now.additions)


def test_two_changes_of_one_rule_are_checked_again_when_they_are_approved(matrix: Routes):
    rule = a_rule(matrix, approvers=1)
    stricter = approval_pb2.ApprovalRule()
    stricter.CopyFrom(rule)
    stricter.approvers = 2
    first, second = matrix.proposed(additions=[rule]), matrix.proposed(additions=[stricter])
    approved = call_as(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(first), matrix.token(CHIEF))
    (there,) = approved.approval_rule_change.additions
    ends = [matrix.proposed(**matrix.ending(there)) for _ in range(2)]

    other = refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(second), matrix.token(CHIEF))
    call_as(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(ends[0]), matrix.token(CHIEF))
    twice = refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(ends[1]), matrix.token(CHIEF))
    again = refused(matrix.rules.CreateApprovalRuleChange, matrix.changing(additions=[rule]), matrix.token(OFFICER))

    assert (other.reason, other.metadata["approval_rule_id"]) == ("APPROVAL_RULE_EXISTS", there.approval_rule_id)
    assert twice.reason == "APPROVAL_RULE_ENDED"
    assert again.reason == "APPROVAL_RULE_EXISTS", "an ended rule is not silently taken for one in force"


def test_a_change_that_says_nothing_or_one_thing_twice_is_refused_by_its_field(matrix: Routes):
    rule = a_rule(matrix)
    unknown = approval_pb2.ApprovalRule(approval_rule_id=str(uuid4()))

    def why(**values: Any) -> tuple[str, ...]:
        return refused(matrix.rules.CreateApprovalRuleChange, matrix.changing(**values), matrix.token(OFFICER)).fields

    assert why() == ("approval_rule_change",)
    assert why(additions=[rule, rule]) == ("approval_rule_change.additions[1]",)
    assert why(endings=matrix.ending(unknown)["endings"] * 2) == ("approval_rule_change.endings[1].approval_rule_id",)
    missing = refused(
        matrix.rules.CreateApprovalRuleChange, matrix.changing(**matrix.ending(unknown)), matrix.token(OFFICER)
    )
    assert missing.code is grpc.StatusCode.NOT_FOUND


def test_a_change_waits_on_the_desk_of_who_may_approve_it_and_its_history_is_kept(matrix: Routes):
    change = matrix.proposed(additions=[a_rule(matrix)])
    chief, proposer = matrix.token(CHIEF), UUID(change.proposed_by_person_id)

    waiting = matrix.desk(chief)
    for_proposer = matrix.desk(matrix.token(OFFICER, CHIEF, person_id=proposer))
    call_as(matrix.rules.RejectApprovalRuleChange, rejection(change), chief)
    request = approval_rule_change_pb2.ListApprovalRuleChangesRequest(
        agency_id=str(matrix.agencies[0]), status=REJECTED, page_size=1
    )
    listed = call_as(matrix.rules.ListApprovalRuleChanges, request, chief).approval_rule_changes

    assert change.approval_rule_change_id in waiting
    assert change.approval_rule_change_id not in for_proposer
    assert [one.name for one in listed] == [change.name]
    acts = matrix.history(change.approval_rule_change_id).document_acts
    assert [one.act for one in acts] == ["CreateApprovalRuleChange", "RejectApprovalRuleChange"]
    assert acts[1].reason == "no"


def test_a_delegation_lets_nobody_approve_his_own_paper_nor_take_a_second_part(unit: Freezing, matrix: Routes):
    (rule,) = matrix.changed(additions=[a_rule(matrix)]).additions
    document_id = unit.frozen()
    maker, absent, deputy = unit.persons["budget_officer"], uuid4(), uuid4()
    # The maker borrows the approver's role; the maker, who holds it too, lends it to a friend.
    matrix.delegated(HEAD, absent, maker)
    matrix.delegated(HEAD, maker, deputy)

    as_maker = matrix.not_approved(document_id, matrix.token(OFFICER, person_id=maker))
    for_maker = matrix.not_approved(document_id, matrix.token("finance.invoice_clerk", person_id=deputy))
    # A deputy of one who took no part decides, and is used up with him for the act that puts the paper in force.
    matrix.delegated(HEAD, absent, deputy)
    route = matrix.approved(document_id, matrix.token("finance.invoice_clerk", person_id=deputy))
    freeze = budget_change_pb2.BudgetChange(name=f"budgetChanges/{document_id}")
    force = [unit.not_approved(freeze, matrix.token(CHIEF, person_id=one)) for one in (deputy, absent)]

    assert (as_maker.reason, for_maker.reason) == ("SAME_PERSON", "SAME_PERSON")
    assert route.steps[0].decisions[0].on_behalf_of_person_id == str(absent)
    assert {one.reason for one in force} == {"SAME_PERSON"}
    matrix.ended(rule)


def test_a_delegation_is_ended_by_one_of_the_two_and_once(matrix: Routes):
    lender, deputy = uuid4(), uuid4()
    made = matrix.delegated(CHIEF, lender, deputy)
    end = approval_pb2.EndApprovalDelegationRequest(name=made.name, request_id=rid())

    by_another = refused(matrix.approvals.EndApprovalDelegation, end, matrix.token(CHIEF))
    ended = call_as(matrix.approvals.EndApprovalDelegation, end, matrix.token(HEAD, person_id=deputy))
    end.request_id = rid()
    again = refused(matrix.approvals.EndApprovalDelegation, end, matrix.token(CHIEF, person_id=lender))

    assert by_another.reason == "DELEGATION_NOT_YOURS"
    assert ended.approval_delegation.HasField("ended_at")
    assert again.reason == "DELEGATION_ENDED"


def test_a_delegated_role_is_lent_on_to_nobody_and_approves_no_change_of_the_matrix(matrix: Routes):
    chief, deputy = uuid4(), uuid4()
    matrix.delegated(CHIEF, chief, deputy)
    as_deputy = matrix.token("finance.invoice_clerk", person_id=deputy)
    change = matrix.proposed(additions=[a_rule(matrix)])
    on = approval_pb2.CreateApprovalDelegationRequest(
        approval_delegation=approval_pb2.ApprovalDelegation(
            agency_id=str(matrix.agencies[0]),
            role=CHIEF,
            to_person_id=str(uuid4()),
            valid_from=to_date(date(YEAR, 1, 1)),
            valid_until=to_date(datetime.now(UTC).date()),
            explanation="leave",
        ),
        request_id=rid(),
    )

    approved = refused(matrix.rules.ApproveApprovalRuleChange, matrix.approval_of(change), as_deputy)
    lent_on = refused(matrix.approvals.CreateApprovalDelegation, on, as_deputy)

    assert approved.metadata["permission"] == "finance.approval_rule.approve"
    assert lent_on.reason == "DELEGATION_NOT_YOURS"


@pytest.mark.parametrize(
    ("invariant", "hand"),
    [
        ("M1", "update approval_rule set role = 'finance.invoice_clerk' where approval_rule_id = %(id)s"),
        (
            "M1",
            "update approval_rule_change set status = 'PROPOSED', decided_by_person_id = null"
            " where approval_rule_change_id = (select approval_rule_change_id from approval_rule"
            " where approval_rule_id = %(id)s)",
        ),
        ("M2", "update approval_rule set valid_to = valid_from where approval_rule_id = %(id)s"),
    ],
)
def test_verify_finds_a_rule_that_one_hand_changed(matrix: Routes, invariant: str, hand: str):
    (rule,) = matrix.changed(additions=[a_rule(matrix)]).additions
    engine = create_engine(sqlalchemy_url(matrix.books.database.reader_url), poolclass=NullPool)

    def broken() -> list[str]:
        with engine.connect() as connection:
            return [one.invariant for one in verify.problems(connection) if rule.approval_rule_id in one.what]

    with psycopg.connect(matrix.books.superuser_url, autocommit=True) as connection:
        whole = broken()
        connection.execute(hand, {"id": rule.approval_rule_id})
        found = broken()
        connection.execute("delete from approval_rule where approval_rule_id = %s", (rule.approval_rule_id,))

    assert (whole, found) == ([], [invariant])


def test_rules_from_before_changes_had_two_persons_stay_in_force(postgres: PostgresServer, tmp_path: Path):
    database = prepare(postgres, "finance", name="finance_before_rule_changes")
    migrated_before(database, "0027", tmp_path)
    rule_id = uuid4()
    with psycopg.connect(postgres.url("finance_before_rule_changes"), autocommit=True) as connection:
        connection.execute(
            "insert into approval_rule (approval_rule_id, document_kind, step_number, display_name, role, approvers,"
            " amount_currency, amount_from_minor, node_segments, node_codes, deadline_days, escalation_role,"
            " legal_source, valid_from) values (%s, 'VIREMENT', 1, 'x', %s, 1, 'IDR', 0, '{}', '{}', 0, '', 'x',"
            " '2025-01-01')",
            (rule_id, HEAD),
        )
    upgrade(database.settings())

    with Session(create_engine(sqlalchemy_url(database.app_url), poolclass=NullPool)) as session:
        found = rule_store.rules_on(session, DocumentKind.VIREMENT, date(YEAR, 6, 1))
        problems_found = verify.problems(session.connection())

    assert [(one.approval_rule_id, one.role, one.valid_to) for one in found] == [(rule_id, HEAD, None)]
    assert problems_found == []


def _now(
    matrix: Routes, change: approval_rule_change_pb2.ApprovalRuleChange
) -> approval_rule_change_pb2.ApprovalRuleChange:
    request = approval_rule_change_pb2.GetApprovalRuleChangeRequest(name=change.name)
    return call_as(matrix.rules.GetApprovalRuleChange, request, matrix.token(HEAD))
