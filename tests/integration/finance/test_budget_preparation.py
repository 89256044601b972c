"""Budget requests through the public API: written, handed in, reviewed, approved, and turned into a budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import uuid4

import grpc
import psycopg
import pytest

from chassis.money import Money
from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2, budget_preparation_events_pb2
from kelola.finance.v1 import budget_preparation_pb2 as pb
from tests.integration.finance.books import Books, minor, rid, rupiah
from tests.integration.finance.funds import GOODS, activation
from tests.integration.finance.preparing import (
    AFTER_REVIEW,
    FINAL,
    NEXT_YEAR,
    TRAVEL,
    Preparing,
    asked,
    head,
)


@pytest.fixture
def unit(books: Books) -> Preparing:
    """An agency with a ceiling of 1 000 on everything."""
    made = Preparing(books)
    made.ceiling(head(1_000))
    return made


# --- one request -----------------------------------------------------------------------------------------------


def test_a_request_goes_from_the_first_version_to_a_budget_that_can_be_spent(unit: Preparing):
    final = unit.final(asked(600, 700), asked(100, 50, account=TRAVEL))

    made = unit.appropriated(final)
    draft = call_as(
        unit.budget.GetAppropriation,
        budget_pb2.GetAppropriationRequest(name=f"appropriations/{made.appropriation_id}"),
        unit.token("budget_officer"),
    )
    unit.agency.open_year(NEXT_YEAR)
    in_force = call_as(
        unit.budget.ActivateAppropriation,
        activation(draft, effective_on=to_date(date(NEXT_YEAR, 1, 1))),
        unit.token("budget_authority"),
    ).appropriation

    lines = call_as(
        unit.budget.ListBudgetLines,
        budget_pb2.ListBudgetLinesRequest(agency_id=str(unit.agency_id), fiscal_year=NEXT_YEAR),
        unit.token("budget_officer"),
    ).budget_lines
    assert draft.status == budget_pb2.APPROPRIATION_STATUS_DRAFT
    assert in_force.status == budget_pb2.APPROPRIATION_STATUS_ACTIVE
    assert (made.line_count, minor(made.total)) == (2, 700_00)
    assert [(one.account_code, minor(one.figures.available)) for one in lines] == [
        (GOODS, 600_00),
        (TRAVEL, 100_00),
    ]
    assert unit.now(final).appropriation_id == made.appropriation_id
    assert unit.preparation_problems() == []


def test_lines_carry_the_medium_term_years_of_the_country_pack(unit: Preparing):
    draft = unit.opened(asked(10, 11), asked(20, 22, line_no=2))

    assert draft.medium_term_years == 1
    assert [minor(one) for one in draft.latest_version.medium_term_totals] == [33_00]
    assert [minor(one.medium_term_amounts[0]) for one in unit.lines_of(draft)] == [11_00, 22_00]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (asked(10, medium_term_amounts=[]), "medium-term"),
        (asked(10, medium_term_amounts=[rupiah(1), rupiah(2)]), "medium-term"),
        (asked(0, 0), "above zero"),
        (asked(-1), "zero or more"),
        (asked(1, organisation_code="1.03.01"), "1.02.01"),
    ],
)
def test_a_line_that_no_version_could_take_is_refused(unit: Preparing, line, word: str):
    refusal = unit.not_written(unit.opened(), line)

    assert refusal.reason == "BUDGET_REQUEST_INVALID"
    assert word in refusal.message


def test_a_line_on_an_account_that_the_chart_lacks_is_refused_as_an_import_would_be(unit: Preparing):
    assert unit.not_written(unit.opened(), asked(1, account="5.9.99")).reason == "ACCOUNT_UNKNOWN"


def test_a_line_in_another_currency_is_refused(unit: Preparing):
    line = asked(1)
    line.amount.currency_code = line.medium_term_amounts[0].currency_code = "USD"

    assert unit.not_written(unit.opened(), line).reason == "CURRENCY_MISMATCH"


def test_a_line_written_again_is_replaced_and_a_removed_one_is_gone(unit: Preparing):
    draft = unit.opened(asked(10), asked(20, line_no=2))
    second = unit.lines_of(draft)[1]

    draft = unit.written(draft, asked(15), removed=[second.budget_request_line_id])

    assert [(one.line_no, minor(one.amount)) for one in unit.lines_of(draft)] == [(1, 15_00)]
    assert (draft.latest_version.line_count, minor(draft.latest_version.total)) == (1, 15_00)


def test_a_line_of_another_request_cannot_be_removed(unit: Preparing):
    other = unit.lines_of(unit.opened(asked(10)))[0].budget_request_line_id
    draft = unit.opened(asked(10))

    refusal = refused(
        unit.preparation.SetBudgetRequestLines, unit.writing(draft, [], [other]), unit.token("budget_user")
    )

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert len(unit.lines_of(draft)) == 1


def test_a_submission_needs_the_totals_that_the_caller_has_read(unit: Preparing):
    draft = unit.opened(asked(10))

    wrong = refused(
        unit.preparation.SubmitBudgetRequest,
        unit.submission(draft, control_total=rupiah(11)),
        unit.token("budget_user"),
    )

    assert wrong.reason == "CONTROL_TOTAL_MISMATCH"
    assert wrong.metadata["total"] == str(Money(10_00, "IDR"))


# --- persons ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["ReviewBudgetRequest", "ReturnBudgetRequest", "ApproveBudgetRequest"])
def test_whoever_wrote_in_a_request_neither_reviews_nor_returns_nor_approves_it(unit: Preparing, act: str):
    request = unit.submitted(unit.opened(asked(10)))
    if act == "ApproveBudgetRequest":
        request = unit.reviewed(request)
    message = getattr(pb, f"{act}Request")(name=request.name, request_id=rid())
    if act == "ReturnBudgetRequest":
        message.reason = "uji"
    maker = unit.books.token(
        [unit.agency_id],
        "finance.budget_officer",
        "finance.budget_authority",
        person_id=unit.persons["budget_user"],
    )

    assert refused(getattr(unit.preparation, act), message, maker).reason == "SAME_PERSON"


def test_the_makers_of_a_version_stay_makers_of_the_one_that_is_copied_from_it(unit: Preparing):
    first = unit.returned(unit.submitted(unit.opened(asked(10))))
    second_person = uuid4()
    token = unit.token("budget_user", person_id=second_person)
    opening = pb.OpenBudgetRequestVersionRequest(name=first.name, stage=AFTER_REVIEW, request_id=rid())
    draft = call_as(unit.preparation.OpenBudgetRequestVersion, opening, token).budget_request
    call_as(unit.preparation.SubmitBudgetRequest, unit.submission(draft), token)

    review = pb.ReviewBudgetRequestRequest(name=draft.name, request_id=rid())
    maker = unit.books.token([unit.agency_id], "finance.budget_officer", person_id=unit.persons["budget_user"])

    assert refused(unit.preparation.ReviewBudgetRequest, review, maker).reason == "SAME_PERSON"


def test_the_reviewer_does_not_approve(unit: Preparing):
    reviewed = unit.reviewed(unit.submitted(unit.opened(asked(10))))
    reviewer = unit.books.token([unit.agency_id], "finance.budget_authority", person_id=unit.persons["budget_officer"])

    assert refused(unit.preparation.ApproveBudgetRequest, unit.approving(reviewed), reviewer).reason == "SAME_PERSON"


def test_whoever_wrote_in_a_request_does_not_activate_its_appropriation(unit: Preparing):
    made = unit.appropriated(unit.final(asked(10)))
    draft = call_as(
        unit.budget.GetAppropriation,
        budget_pb2.GetAppropriationRequest(name=f"appropriations/{made.appropriation_id}"),
        unit.token("budget_officer"),
    )
    maker = unit.token("budget_authority", person_id=unit.persons["budget_user"])

    refusal = refused(
        unit.budget.ActivateAppropriation, activation(draft, effective_on=to_date(date(NEXT_YEAR, 1, 1))), maker
    )

    assert refusal.reason == "SAME_PERSON"


# --- versions --------------------------------------------------------------------------------------------------


def test_a_submitted_version_is_never_edited(unit: Preparing):
    submitted = unit.submitted(unit.opened(asked(10)))

    assert unit.not_written(submitted, asked(11)).reason == "BUDGET_REQUEST_VERSION_STATUS"
    assert [minor(one.amount) for one in unit.lines_of(submitted)] == [10_00]


def test_the_database_itself_refuses_to_edit_a_submitted_version(unit: Preparing):
    submitted = unit.submitted(unit.opened(asked(10)))
    where = f"where budget_request_id = '{submitted.budget_request_id}'"

    for statement in (
        f"update budget_request_line set amounts_minor = '{{1,1}}' {where}",
        f"delete from budget_request_line {where}",
    ):
        with (
            psycopg.connect(unit.books.superuser_url) as connection,
            pytest.raises(psycopg.errors.CheckViolation, match="never edited"),
        ):
            connection.execute(statement)


def test_a_returned_version_is_followed_by_a_copy_and_keeps_its_reason(unit: Preparing):
    first = unit.returned(unit.submitted(unit.opened(asked(10), asked(20, account=TRAVEL))), "kurangi perjalanan")

    second = unit.written(unit.next_version(first, AFTER_REVIEW), asked(15, account=TRAVEL))
    unit.through(second)

    reply = call_as(
        unit.preparation.ListBudgetRequestVersions,
        pb.ListBudgetRequestVersionsRequest(budget_request=first.name),
        unit.token("budget_officer"),
    )
    shown = [
        (one.version_number, one.stage, one.status, minor(one.total), one.decision_reason)
        for one in reply.budget_request_versions
    ]
    assert shown == [
        (1, pb.BUDGET_REQUEST_STAGE_FIRST, pb.BUDGET_REQUEST_STATUS_RETURNED, 30_00, "kurangi perjalanan"),
        (2, AFTER_REVIEW, pb.BUDGET_REQUEST_STATUS_APPROVED, 25_00, ""),
    ]
    assert [minor(one.amount) for one in unit.lines_of(first, 1)] == [10_00, 20_00]


def test_an_approved_version_supersedes_the_one_before_it(unit: Preparing):
    final = unit.final(asked(10))

    versions = call_as(
        unit.preparation.ListBudgetRequestVersions,
        pb.ListBudgetRequestVersionsRequest(budget_request=final.name),
        unit.token("budget_officer"),
    ).budget_request_versions

    assert [one.status for one in versions] == [
        pb.BUDGET_REQUEST_STATUS_SUPERSEDED,
        pb.BUDGET_REQUEST_STATUS_APPROVED,
    ]
    assert unit.left() == [990]


def test_a_version_cannot_be_opened_while_one_is_under_way_nor_go_back_a_stage(unit: Preparing):
    def opening(stage: int):
        act = pb.OpenBudgetRequestVersionRequest(name=request.name, stage=stage, request_id=rid())
        return refused(unit.preparation.OpenBudgetRequestVersion, act, unit.token("budget_user")).reason

    request = unit.submitted(unit.opened(asked(10)))
    assert opening(FINAL) == "BUDGET_REQUEST_VERSION_STATUS"

    unit.returned(unit.submitted(unit.next_version(unit.returned(request))))
    assert opening(AFTER_REVIEW) == "BUDGET_REQUEST_STAGE"


def test_two_versions_are_compared_line_by_line_a_page_at_a_time(unit: Preparing):
    before = unit.returned(
        unit.submitted(unit.opened(asked(10), asked(20, line_no=2), asked(30, account=TRAVEL), asked(5, line_no=4)))
    )
    draft = unit.next_version(before, AFTER_REVIEW)
    travel = next(one for one in unit.lines_of(draft) if one.account_code == TRAVEL)
    unit.written(
        draft,
        asked(10, 7),
        asked(20, line_no=2, display_name="Kertas"),
        asked(40, line_no=3),
        removed=[travel.budget_request_line_id],
    )

    wanted = pb.ListBudgetRequestDifferencesRequest(
        budget_request=before.name, from_version_number=1, to_version_number=2, page_size=1
    )
    seen = []
    while True:
        page = call_as(unit.preparation.ListBudgetRequestDifferences, wanted, unit.token("budget_officer"))
        assert len(page.budget_request_differences) == 1
        seen += page.budget_request_differences
        if not page.next_page_token:
            break
        wanted.page_token = page.next_page_token

    kinds = pb.BudgetRequestDifferenceKind
    shown = [
        (kinds.Name(one.kind).rpartition("_")[2], (one.after or one.before).account_code, one.after.line_no)
        for one in seen
    ]
    assert shown == [
        ("CHANGED", GOODS, 1),
        ("CHANGED", GOODS, 2),
        ("ADDED", GOODS, 3),
        ("REMOVED", "", 0),
    ]
    assert (minor(seen[0].before.medium_term_amounts[0]), minor(seen[0].after.medium_term_amounts[0])) == (0, 7_00)
    assert seen[1].after.display_name == "Kertas"
    assert not seen[2].HasField("before")
    assert seen[3].before.account_code == TRAVEL


# --- into a budget ---------------------------------------------------------------------------------------------


def test_only_an_approved_final_version_becomes_an_appropriation(unit: Preparing):
    first = unit.through(unit.opened(asked(10)))

    def outcome(request) -> str:
        return refused(
            unit.preparation.AppropriateBudgetRequest, unit.appropriating(request), unit.token("budget_officer")
        ).reason

    assert outcome(first) == "BUDGET_REQUEST_NOT_FINAL"
    assert outcome(unit.reviewed(unit.submitted(unit.next_version(first)))) == "BUDGET_REQUEST_NOT_FINAL"


def test_a_final_version_becomes_an_appropriation_once_whoever_asks(unit: Preparing):
    final = unit.final(asked(10))
    request = unit.appropriating(final)
    token = unit.token("budget_officer")

    first = call_as(unit.preparation.AppropriateBudgetRequest, request, token)
    again = call_as(unit.preparation.AppropriateBudgetRequest, request, token)
    other = refused(unit.preparation.AppropriateBudgetRequest, unit.appropriating(final), token)

    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert (other.reason, other.metadata["appropriation_id"]) == (
        "BUDGET_REQUEST_APPROPRIATED",
        first.appropriation_id,
    )
    opening = pb.OpenBudgetRequestVersionRequest(name=final.name, stage=FINAL, request_id=rid())
    refusal = refused(unit.preparation.OpenBudgetRequestVersion, opening, unit.token("budget_user"))
    assert refusal.reason == "BUDGET_REQUEST_APPROPRIATED"


def test_two_calls_at_once_make_one_appropriation(unit: Preparing):
    final = unit.final(asked(10))

    def appropriate(_: int) -> str:
        try:
            return unit.appropriated(final).appropriation_id
        except grpc.RpcError as failure:
            return refusal(failure).reason

    with ThreadPoolExecutor(2) as pool:
        outcomes = set(pool.map(appropriate, range(2)))

    assert outcomes == {"BUDGET_REQUEST_APPROPRIATED", unit.now(final).appropriation_id}


def test_the_totals_of_the_appropriation_are_those_that_the_caller_has_read(unit: Preparing):
    final = unit.final(asked(10))

    refusal = refused(
        unit.preparation.AppropriateBudgetRequest,
        unit.appropriating(final, control_line_count=2),
        unit.token("budget_officer"),
    )

    assert refusal.reason == "CONTROL_TOTAL_MISMATCH"
    assert unit.now(final).appropriation_id == ""


# --- facts and walls -------------------------------------------------------------------------------------------


def test_each_act_is_told_once_in_order(unit: Preparing):
    final = unit.final(asked(10, 3))
    made = unit.appropriated(final)

    with psycopg.connect(unit.books.superuser_url) as connection:
        rows = connection.execute(
            "select body, sequence from outbox where key = %s order by sequence", [final.budget_request_id]
        ).fetchall()
    told = [budget_preparation_events_pb2.BudgetRequestChanged.FromString(bytes(body)) for body, _ in rows]

    name = pb.BudgetRequestStatus.Name
    assert [sequence for _, sequence in rows] == list(range(1, 10))
    assert [(one.version_number, name(one.status).rpartition("_")[2]) for one in told] == [
        (1, "DRAFT"),
        (1, "SUBMITTED"),
        (1, "REVIEWED"),
        (1, "APPROVED"),
        (2, "DRAFT"),
        (2, "SUBMITTED"),
        (2, "REVIEWED"),
        (2, "APPROVED"),
        (2, "APPROVED"),
    ]
    assert told[-1].appropriation_id == made.appropriation_id
    assert (minor(told[-1].total), minor(told[-1].medium_term_totals[0])) == (10_00, 3_00)


def test_requests_are_listed_newest_first_by_unit_and_state(unit: Preparing):
    made = [unit.opened(asked(1)) for _ in range(3)]
    unit.submitted(made[0])

    def names(**values) -> list[str]:
        wanted = pb.ListBudgetRequestsRequest(agency_id=str(unit.agency_id), page_size=2, **values)
        seen = []
        while True:
            page = call_as(unit.preparation.ListBudgetRequests, wanted, unit.token("budget_officer"))
            seen += [one.name for one in page.budget_requests]
            if not page.next_page_token:
                return seen
            wanted.page_token = page.next_page_token

    assert names() == [one.name for one in made[::-1]]
    assert names(status=pb.BUDGET_REQUEST_STATUS_SUBMITTED) == [made[0].name]
    assert names(organisation_code="9") == []
    assert names(fiscal_year=NEXT_YEAR + 1) == []


def test_lines_are_listed_in_the_order_of_their_keys_a_page_at_a_time(unit: Preparing):
    draft = unit.opened(*(asked(1, line_no=number) for number in (3, 1, 12, 2)), asked(1, account=TRAVEL))

    wanted = pb.ListBudgetRequestLinesRequest(budget_request=draft.name, page_size=2)
    seen = []
    while True:
        page = call_as(unit.preparation.ListBudgetRequestLines, wanted, unit.token("budget_officer"))
        seen += [(one.account_code, one.line_no) for one in page.budget_request_lines]
        if not page.next_page_token:
            break
        wanted.page_token = page.next_page_token

    assert seen == [(GOODS, 1), (GOODS, 2), (GOODS, 3), (GOODS, 12), (TRAVEL, 1)]


def test_a_request_of_another_agency_is_not_seen(unit: Preparing):
    draft = unit.opened(asked(1))
    stranger = unit.books.token([uuid4()], "finance.budget_user")

    got = refused(unit.preparation.GetBudgetRequest, pb.GetBudgetRequestRequest(name=draft.name), stranger)
    wrote = refused(unit.preparation.SetBudgetRequestLines, unit.writing(draft, [asked(2)]), stranger)

    assert {got.code, wrote.code} == {grpc.StatusCode.NOT_FOUND}


def test_the_number_of_a_request_is_given_once_a_year(unit: Preparing):
    unit.opened(document_number="RKA/once")

    again = refused(
        unit.preparation.CreateBudgetRequest, unit.opening(document_number="RKA/once"), unit.token("budget_user")
    )

    assert again.reason == "DOCUMENT_NUMBER_TAKEN"
