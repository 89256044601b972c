"""Ceilings through the public API: two persons, versions by day, and what is left."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_preparation_events_pb2
from kelola.finance.v1 import budget_preparation_pb2 as pb
from tests.integration.finance.books import Books, minor, rid
from tests.integration.finance.funds import UNIT
from tests.integration.finance.preparing import NEXT_YEAR, SINCE, Preparing, asked, head


@pytest.fixture
def unit(books: Books) -> Preparing:
    """An agency without ceilings."""
    return Preparing(books)


def tomorrow() -> date:
    """A day on which a ceiling is still to come."""
    return datetime.now(UTC).date() + timedelta(days=2)


def test_a_proposed_ceiling_allows_nothing_until_another_person_approves_it(unit: Preparing):
    unit.proposed_ceiling(head(1_000))
    assert unit.not_written(unit.opened(), asked(1)).reason == "BUDGET_CEILING_MISSING"
    assert unit.figures() == []

    unit.ceiling(head(1_000))

    assert unit.written(unit.opened(), asked(1_000)).latest_version.line_count == 1


@pytest.mark.parametrize("act", ["ApproveBudgetCeiling", "RejectBudgetCeiling"])
def test_whoever_proposed_a_ceiling_does_not_decide_on_it(unit: Preparing, act: str):
    proposed = unit.proposed_ceiling(head(1_000))
    message = getattr(pb, f"{act}Request")(name=proposed.name, request_id=rid())
    if act == "RejectBudgetCeiling":
        message.reason = "uji"
    maker = unit.token("budget_authority", person_id=unit.persons["budget_officer"])

    assert refused(getattr(unit.preparation, act), message, maker).reason == "SAME_PERSON"


def test_a_recall_is_the_proposers_own_and_what_has_ended_stays_so(unit: Preparing):
    proposed = unit.proposed_ceiling(head(1_000))
    recall = pb.RecallBudgetCeilingRequest(name=proposed.name, reason="salah", request_id=rid())
    stranger = unit.token("budget_officer", person_id=uuid4())
    assert refused(unit.preparation.RecallBudgetCeiling, recall, stranger).reason == "NOT_THE_PROPOSER"

    recalled = call_as(unit.preparation.RecallBudgetCeiling, recall, unit.token("budget_officer")).budget_ceiling

    approval = pb.ApproveBudgetCeilingRequest(name=proposed.name, request_id=rid())
    again = refused(unit.preparation.ApproveBudgetCeiling, approval, unit.token("budget_authority"))
    assert recalled.status == pb.BUDGET_CEILING_STATUS_RECALLED
    assert again.reason == "BUDGET_CEILING_NOT_PROPOSED"
    assert unit.figures() == []


def test_a_rejection_keeps_its_reason(unit: Preparing):
    proposed = unit.proposed_ceiling(head(1_000))
    rejection = pb.RejectBudgetCeilingRequest(name=proposed.name, reason="belum disepakati", request_id=rid())

    call_as(unit.preparation.RejectBudgetCeiling, rejection, unit.token("budget_authority"))

    kept = call_as(
        unit.preparation.GetBudgetCeiling,
        pb.GetBudgetCeilingRequest(name=proposed.name),
        unit.token("budget_officer"),
    )
    assert (kept.status, kept.decision_reason) == (pb.BUDGET_CEILING_STATUS_REJECTED, "belum disepakati")


def test_an_approval_is_the_next_version_of_each_place(unit: Preparing):
    unit.ceiling(head(1_000), head(300, organisation_code=UNIT))

    second = unit.ceiling(head(900), head(50, account_code="5.1.02"))

    assert [one.version_number for one in second.heads] == [2, 1]
    shown = [
        (one.organisation_code, one.account_code, one.version_number, minor(one.years[0].ceiling) // 100)
        for one in unit.figures()
    ]
    assert shown == [("", "", 2, 900), ("", "5.1.02", 1, 50), (UNIT, "", 1, 300)]


def test_a_ceiling_that_is_to_come_binds_what_is_asked_for_today(unit: Preparing):
    unit.ceiling(head(1_000))
    unit.ceiling(head(600), effective_on=to_date(tomorrow()))

    assert [minor(one.years[0].ceiling) // 100 for one in unit.figures()] == [1_000, 600]
    assert [minor(one.years[0].ceiling) // 100 for one in unit.figures(on=to_date(tomorrow()))] == [600]
    assert unit.not_written(unit.opened(), asked(601)).reason == "BUDGET_CEILING_EXCEEDED"


def test_the_day_of_a_version_is_not_before_the_one_before_it(unit: Preparing):
    unit.ceiling(head(1_000))
    earlier = unit.ceiling_request(head(900), effective_on=to_date(SINCE - timedelta(days=1)))

    refusal = refused(unit.preparation.CreateBudgetCeiling, earlier, unit.token("budget_officer"))

    assert refusal.reason == "BUDGET_CEILING_OUT_OF_ORDER"


def test_a_ceiling_is_never_lowered_below_what_is_approved(unit: Preparing):
    unit.ceiling(head(1_000))
    waiting = unit.proposed_ceiling(head(599))
    unit.through(unit.opened(asked(600)))

    at_once = refused(
        unit.preparation.CreateBudgetCeiling, unit.ceiling_request(head(599)), unit.token("budget_officer")
    )
    approval = pb.ApproveBudgetCeilingRequest(name=waiting.name, request_id=rid())
    later = refused(unit.preparation.ApproveBudgetCeiling, approval, unit.token("budget_authority"))

    assert {at_once.reason, later.reason} == {"BUDGET_CEILING_BELOW_APPROVED"}
    assert unit.left() == [400]


def test_what_is_left_is_shown_by_place_and_year_a_page_at_a_time(unit: Preparing):
    unit.ceiling(head(1_000, 500), head(700, organisation_code=UNIT))
    unit.through(unit.opened(asked(100, 40)))
    unit.submitted(unit.opened(asked(200, 60)))

    wanted = pb.ListBudgetCeilingFiguresRequest(
        agency_id=str(unit.agency_id), fiscal_year=NEXT_YEAR, currency_code="IDR", page_size=1
    )
    seen = []
    while True:
        page = call_as(unit.preparation.ListBudgetCeilingFigures, wanted, unit.token("budget_officer"))
        seen += page.budget_ceiling_figures
        if not page.next_page_token:
            break
        wanted.page_token = page.next_page_token

    shown = [
        (one.organisation_code, year.fiscal_year, *(minor(getattr(year, name)) // 100 for name in names))
        for names in [("ceiling", "requested", "approved", "left")]
        for one in seen
        for year in one.years
    ]
    assert shown == [
        ("", NEXT_YEAR, 1_000, 300, 100, 700),
        ("", NEXT_YEAR + 1, 500, 100, 40, 400),
        (UNIT, NEXT_YEAR, 700, 300, 100, 400),
    ]


@pytest.mark.parametrize(
    "heads",
    [
        [head(1), head(2)],
        [head(-1)],
        [pb.BudgetCeilingHead(amount=head(1).amount, medium_term_amounts=[head(1).amount] * 2)],
    ],
    ids=["twice", "negative", "years"],
)
def test_a_ceiling_that_says_nothing_sensible_is_refused(unit: Preparing, heads: list[pb.BudgetCeilingHead]):
    refusal = refused(unit.preparation.CreateBudgetCeiling, unit.ceiling_request(*heads), unit.token("budget_officer"))

    assert refusal.reason == "BUDGET_CEILING_INVALID"


def test_the_number_of_a_ceiling_is_given_once_a_year(unit: Preparing):
    unit.proposed_ceiling(head(1), document_number="PPAS/once")

    again = refused(
        unit.preparation.CreateBudgetCeiling,
        unit.ceiling_request(head(1), document_number="PPAS/once"),
        unit.token("budget_officer"),
    )

    assert again.reason == "DOCUMENT_NUMBER_TAKEN"


def test_an_approval_is_repeated_byte_for_byte_and_told_once(unit: Preparing):
    proposed = unit.proposed_ceiling(head(1_000))
    approval = pb.ApproveBudgetCeilingRequest(name=proposed.name, request_id=rid())
    token = unit.token("budget_authority")

    first = call_as(unit.preparation.ApproveBudgetCeiling, approval, token)
    again = call_as(unit.preparation.ApproveBudgetCeiling, approval, token)

    with psycopg.connect(unit.books.superuser_url) as connection:
        rows = connection.execute(
            "select body from outbox where key = %s order by sequence", [proposed.budget_ceiling_id]
        ).fetchall()
    told = [budget_preparation_events_pb2.BudgetCeilingChanged.FromString(bytes(body)) for (body,) in rows]
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert [one.status for one in told] == [pb.BUDGET_CEILING_STATUS_PROPOSED, pb.BUDGET_CEILING_STATUS_APPROVED]
    assert [one.heads[0].version_number for one in told] == [0, 1]


def test_ceilings_are_listed_newest_first_by_state_and_only_to_their_agency(unit: Preparing):
    made = [unit.proposed_ceiling(head(1)).name for _ in range(3)]
    in_force = unit.ceiling(head(1))

    def names(token: str, **values) -> list[str]:
        wanted = pb.ListBudgetCeilingsRequest(page_size=2, **values)
        seen = []
        while True:
            page = call_as(unit.preparation.ListBudgetCeilings, wanted, token)
            seen += [one.name for one in page.budget_ceilings]
            if not page.next_page_token:
                return seen
            wanted.page_token = page.next_page_token

    own = unit.token("budget_officer")
    assert names(own, agency_id=str(unit.agency_id)) == [in_force.name, *made[::-1]]
    assert names(own, agency_id=str(unit.agency_id), status=pb.BUDGET_CEILING_STATUS_APPROVED) == [in_force.name]
    assert names(unit.books.token([uuid4()], "finance.budget_officer")) == []


@pytest.mark.parametrize("method", ["CreateBudgetCeiling", "SetBudgetRequestLines", "ApproveBudgetRequest"])
def test_roles_without_the_permission_prepare_nothing(unit: Preparing, method: str):
    request = {
        "CreateBudgetCeiling": unit.ceiling_request(head(1)),
        "SetBudgetRequestLines": pb.SetBudgetRequestLinesRequest(name="budgetRequests/x", request_id=rid()),
        "ApproveBudgetRequest": pb.ApproveBudgetRequestRequest(name="budgetRequests/x", request_id=rid()),
    }[method]

    assert refused(getattr(unit.preparation, method), request, unit.token("invoice_clerk")).code is (
        grpc.StatusCode.PERMISSION_DENIED
    )
