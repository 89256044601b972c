"""Appropriations and budget requests on their routes: what grows or comes again begins anew, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import call_as, refused
from cli.verify import acknowledged
from kelola.finance.v1 import approval_pb2, budget_pb2
from kelola.finance.v1 import budget_preparation_pb2 as pb
from tests.integration.finance.books import Books, rid, rupiah
from tests.integration.finance.funds import Unit, activation, new_line
from tests.integration.finance.preparing import FINAL, Preparing, asked, head
from tests.integration.finance.routed import INSURANCE, OBJECT, OFFICE
from tests.integration.finance.routing import HEAD, Routes, under
from tests.integration.finance.test_document_status import problems


@pytest.fixture
def ruled(books: Books) -> Iterator[Callable[[str], None]]:
    """Adds a rule for these tests' accounts that ends with the test."""
    routes, added = Routes.of(Unit(books)), []

    def add(document_kind: str, amount: int = 0) -> None:
        added.append(routes.rule(document_kind, HEAD, nodes=under(account=OBJECT), amount_from=rupiah(amount)))

    yield add
    for rule in added:
        routes.ended(rule)


def test_each_batch_of_an_appropriation_begins_its_route_anew(ruled: Callable[[str], None], books: Books):
    ruled("APPROPRIATION")
    unit = Unit(books)
    here, person = Routes.of(unit), uuid4()
    as_head = here.token(HEAD, person_id=person)
    draft = unit.imported(1_000, account=OFFICE).appropriation
    document_id = draft.appropriation_id

    on_desk = here.desk(as_head)
    here.approved(document_id, as_head)
    more = unit.import_request([new_line(500, account=INSURANCE)], appropriation_id=document_id)
    grown = call_as(unit.budget.ImportAppropriation, more, unit.token("budget_officer")).appropriation
    early = refused(unit.budget.ActivateAppropriation, activation(grown), unit.token("budget_authority"))
    route = here.route(document_id)
    on_desk_again = here.desk(as_head)
    unnamed = here.not_approved(document_id, as_head)
    named = here.approved(document_id, as_head, approval_step_id=route.steps[0].approval_step_id)
    waits_for_the_authority = here.desk(unit.token("budget_authority"))
    unit.activated(grown)

    assert on_desk == on_desk_again == [document_id] == waits_for_the_authority
    assert early.reason == "APPROVAL_ROUTE_OPEN"
    assert (route.round_number, route.amount.units, route.status) == (2, 1_500, approval_pb2.APPROVAL_STATUS_PENDING)
    assert unnamed.reason == "APPROVAL_OUT_OF_TURN"
    assert route.steps[0].approval_step_id in unnamed.metadata["open_steps"]
    assert named.status == approval_pb2.APPROVAL_STATUS_APPROVED
    assert [act.act for act in here.history(document_id).document_acts] == [
        *("ImportAppropriation", "ImportAppropriation", "ApproveStep", "ImportAppropriation", "ApproveStep"),
        "ActivateAppropriation",
    ]
    assert problems(books, document_id) == []


def test_a_batch_that_brings_an_appropriation_to_the_amount_of_a_rule_begins_its_route(
    ruled: Callable[..., None], books: Books
):
    ruled("APPROPRIATION", 1_200)
    unit = Unit(books)
    here = Routes.of(unit)
    draft = unit.imported(1_000, account=OFFICE).appropriation

    below = refused(
        here.approvals.GetApproval,
        approval_pb2.GetApprovalRequest(name=f"approvals/{draft.appropriation_id}"),
        here.token(HEAD),
    )
    more = unit.import_request([new_line(200, account=INSURANCE)], appropriation_id=draft.appropriation_id)
    call_as(unit.budget.ImportAppropriation, more, unit.token("budget_officer"))

    assert below.code.name == "NOT_FOUND"
    assert here.route(draft.appropriation_id).round_number == 1


def test_who_brought_lines_in_or_wrote_in_the_request_decides_on_no_route_of_it(
    ruled: Callable[[str], None], books: Books
):
    ruled("APPROPRIATION")
    unit = Preparing(books)
    unit.ceiling(head(1_000))
    here = Routes.of(unit)
    document_id = unit.appropriated(unit.final(asked(1_000, account=OFFICE))).appropriation_id

    def why(label: str, role: str = HEAD) -> str:
        return here.not_approved(document_id, here.token(role, person_id=unit.persons[label])).reason

    reasons = [why("budget_officer"), why("budget_user"), why("verifier", "finance.verifier")]
    excluded = set(here.status(document_id).holders[0].excluded_person_ids)

    assert reasons == ["SAME_PERSON", "SAME_PERSON", "APPROVAL_ROLE_NOT_HELD"]
    assert excluded == {str(unit.persons["budget_officer"]), str(unit.persons["budget_user"])}


def test_a_budget_request_that_was_rejected_is_returned_and_its_next_version_takes_a_route_of_its_own(
    ruled: Callable[[str], None], books: Books
):
    ruled("BUDGET_REQUEST")
    unit = Preparing(books)
    unit.ceiling(head(1_000))
    here, person = Routes.of(unit), uuid4()
    as_head = here.token(HEAD, person_id=person)
    request = unit.submitted(unit.opened(asked(1_000, account=OFFICE)))
    document_id = request.budget_request_id

    on_desk = here.desk(as_head)
    here.rejected(document_id, as_head)
    as_reviewer = unit.token("budget_officer", person_id=person)
    review = pb.ReviewBudgetRequestRequest(name=request.name, remark="sesuai", request_id=rid())
    by_the_decider = refused(unit.preparation.ReviewBudgetRequest, review, as_reviewer)
    reviewed = unit.reviewed(request)
    ended = refused(unit.preparation.ApproveBudgetRequest, unit.approving(reviewed), unit.token("budget_authority"))
    rejected = here.status(document_id)
    unit.returned(reviewed)
    draft = unit.written(unit.next_version(reviewed, FINAL), asked(900, account=OFFICE))
    being_written = here.status(document_id)
    again = unit.submitted(draft)
    route = here.route(document_id)
    here.approved(document_id, as_head, approval_step_id=route.steps[0].approval_step_id)
    decider = unit.token("budget_authority", person_id=person)
    unit.reviewed(again)
    by_him = refused(unit.preparation.ApproveBudgetRequest, unit.approving(again), decider)
    approved = unit.approved(again)

    assert on_desk == [document_id]
    assert (by_the_decider.reason, ended.reason) == ("SAME_PERSON", "APPROVAL_ROUTE_ENDED")
    assert [one.display_name for one in rejected.holders] == ["ReturnBudgetRequest"]
    assert [one.display_name for one in being_written.holders] == ["SetBudgetRequestLines", "SubmitBudgetRequest"]
    assert (route.round_number, route.amount.units) == (2, 900)
    assert by_him.reason == "SAME_PERSON"
    assert approved.latest_version.status == pb.BUDGET_REQUEST_STATUS_APPROVED
    assert problems(books, document_id) == []


def test_a_rejected_appropriation_is_withdrawn_and_its_request_may_become_another(
    ruled: Callable[[str], None], books: Books
):
    ruled("APPROPRIATION")
    unit = Preparing(books)
    unit.ceiling(head(1_000))
    here = Routes.of(unit)
    final = unit.final(asked(1_000, account=OFFICE))
    document_id = unit.appropriated(final).appropriation_id
    name = f"appropriations/{document_id}"

    here.rejected(document_id, here.token(HEAD))
    status = here.status(document_id)
    request = budget_pb2.WithdrawAppropriationRequest(name=name, reason="the wrong year", request_id=rid())
    by_another = refused(unit.budget.WithdrawAppropriation, request, unit.token("budget_user"))
    withdrawn = call_as(unit.budget.WithdrawAppropriation, request, unit.token("budget_officer")).appropriation
    late = [
        refused(unit.budget.ActivateAppropriation, activation(withdrawn), unit.token("budget_authority")).reason,
        refused(
            unit.budget.WithdrawAppropriation,
            budget_pb2.WithdrawAppropriationRequest(name=name, reason="again", request_id=rid()),
            unit.token("budget_officer"),
        ).reason,
    ]
    again = unit.appropriated(unit.now(final))
    here.approved(again.appropriation_id, here.token(HEAD))
    act = here.history(document_id).document_acts[-1]

    assert "WithdrawAppropriation" in {one.display_name for one in status.holders}
    assert by_another.metadata["permission"] == "finance.appropriation.import"
    assert withdrawn.status == budget_pb2.APPROPRIATION_STATUS_WITHDRAWN
    assert withdrawn.total.units == 1_000
    assert late == ["APPROPRIATION_NOT_DRAFT"] * 2
    assert again.line_count == 1
    assert (act.act, act.status, act.reason) == ("WithdrawAppropriation", "WITHDRAWN", "the wrong year")
    assert problems(books, document_id) == []
    assert not [one for one in unit.preparation_problems() if final.document_number in one]


def test_the_lines_of_a_withdrawn_draft_stay_on_record_and_their_keys_are_free(books: Books):
    unit = Unit(books)
    draft = unit.imported(1_000)
    (line,) = draft.budget_line_ids
    request = budget_pb2.WithdrawAppropriationRequest(
        name=draft.appropriation.name, reason="twice imported", request_id=rid()
    )

    call_as(unit.budget.WithdrawAppropriation, request, unit.token("budget_officer"))
    unit.lines(1_000)
    kept = unit.agency.row(
        "select line ->> 'original_minor' from withdrawn_budget_line where budget_line_id = %s", line
    )
    engine = create_engine(sqlalchemy_url(books.database.reader_url), poolclass=NullPool)
    with engine.connect() as connection:
        unacknowledged = [one.what for one in acknowledged.check(connection).problems if line in one.what]

    assert kept == ("100000",)
    assert unacknowledged == []


def test_only_the_lines_of_a_draft_are_ever_deleted(books: Books):
    unit = Unit(books)
    (line,) = unit.lines(1_000)

    with psycopg.connect(books.database.app_url) as connection:
        connection.execute("select set_config('kelola.agencies', %s, true)", (str(unit.agency_id),))
        deleted = connection.execute("delete from budget_line where budget_line_id = %s", (line,)).rowcount

    assert deleted == 0


def test_a_budget_request_that_is_recalled_takes_its_route_with_it(ruled: Callable[[str], None], books: Books):
    ruled("BUDGET_REQUEST")
    unit = Preparing(books)
    unit.ceiling(head(1_000))
    here = Routes.of(unit)
    request = unit.submitted(unit.opened(asked(1_000, account=OFFICE)))

    recall = pb.RecallBudgetRequestRequest(name=request.name, reason="a wrong sum", request_id=rid())
    call_as(unit.preparation.RecallBudgetRequest, recall, unit.token("budget_user"))

    assert here.route(request.budget_request_id).status == approval_pb2.APPROVAL_STATUS_RECALLED
    assert here.not_approved(request.budget_request_id, here.token(HEAD)).reason == "APPROVAL_OUT_OF_TURN"
