"""Releases to date at the steps of an agency (F3), and what-if, on PostgreSQL over gRPC."""

from __future__ import annotations

from datetime import date

import grpc
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.changing import MATERIALS, SUPPLIES, Changing
from tests.integration.finance.funds import a_document, an_item, new_line, quantity

ORDER = budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER
RESERVE, OBLIGATE = budget_pb2.PERIOD_LIMIT_STEP_RESERVE, budget_pb2.PERIOD_LIMIT_STEP_OBLIGATE
JANUARY, MARCH = to_date(date(YEAR, 1, 15)), to_date(date(YEAR, 3, 10))


@pytest.fixture
def unit(books: Books) -> Changing:
    return Changing(books)


def limited(unit: Changing, *steps: int, **values) -> budget_pb2.BatchCreatePeriodLimitsRequest:
    return budget_pb2.BatchCreatePeriodLimitsRequest(
        period_limits=[
            budget_pb2.PeriodLimit(
                **{
                    "agency_id": str(unit.agency_id),
                    "step": step,
                    "legal_source": "a test's own law",
                    "valid_from": to_date(date(YEAR, 1, 1)),
                    **values,
                }
            )
            for step in steps
        ],
        request_id=rid(),
    )


def with_limits(unit: Changing, *steps: int) -> None:
    call_as(unit.budget.BatchCreatePeriodLimits, limited(unit, *steps), unit.token("budget_authority"))


def due(**months: int) -> list[budget_pb2.PeriodShare]:
    names = "jan feb mar apr may jun jul aug sep oct nov dec".split()
    return [
        budget_pb2.PeriodShare(year=YEAR, month=names.index(name) + 1, amount=rupiah(amount))
        for name, amount in months.items()
    ]


def each_month(amount: int) -> list[budget_pb2.PeriodShare]:
    return [budget_pb2.PeriodShare(year=YEAR, month=month, amount=rupiah(amount)) for month in range(1, 13)]


def test_f3_a_phased_order_of_the_year_passes_and_one_due_in_the_quarter_does_not(unit: Changing):
    with_limits(unit, OBLIGATE)
    phased, due_in_march = unit.lines_of((SUPPLIES, 1_200), (MATERIALS, 1_200))
    unit.allotted("0.25", (1, 3))

    unit.did(
        "ObligateFunds",
        [an_item(phased, 1_200, schedule=each_month(100))],
        document=a_document(ORDER),
        effective_on=JANUARY,
    )
    short = unit.refused(
        "ObligateFunds",
        [an_item(due_in_march, 301, schedule=due(mar=301))],
        document=a_document(ORDER),
        effective_on=JANUARY,
    )
    unit.did(
        "ObligateFunds",
        [an_item(due_in_march, 300, schedule=due(mar=300))],
        document=a_document(ORDER),
        effective_on=JANUARY,
    )

    assert short.reason == "ALLOTMENT_EXCEEDED"
    assert [short.metadata[name] for name in ("step", "month", "released", "reached", "asked", "short_by")] == [
        "OBLIGATE",
        "3",
        "IDR 300",
        "IDR 0",
        "IDR 301",
        "IDR 1",
    ]
    assert unit.figures(phased)[1] == 1_200
    assert unit.problems() == []


def test_what_is_phased_to_months_not_released_yet_is_checked_when_they_are(unit: Changing):
    with_limits(unit, OBLIGATE)
    (line,) = unit.lines_of((SUPPLIES, 1_200))
    unit.allotted("0.25", (1, 3))
    unit.did("ObligateFunds", [an_item(line, 900, schedule=due(mar=300, apr=600))], effective_on=JANUARY)

    short = unit.refused("ObligateFunds", [an_item(line, 1, schedule=due(mar=1))], effective_on=JANUARY)
    later = unit.refused(
        "ObligateFunds", [an_item(line, 1, schedule=due(apr=1))], effective_on=to_date(date(YEAR, 4, 1))
    )

    assert (short.metadata["month"], later.metadata["month"]) == ("3", "4")
    assert later.metadata["short_by"] == "IDR 601"
    assert "REQUISITION" in later.metadata["biggest_users"]


def test_what_was_delivered_and_paid_still_counts_to_date(unit: Changing):
    with_limits(unit, OBLIGATE)
    (line,) = unit.lines_of((SUPPLIES, 1_200))
    unit.allotted("0.25", (1, 3))
    order = an_item(line, 250, schedule=due(jan=250))
    unit.did("ObligateFunds", [order], document=a_document(ORDER), effective_on=JANUARY)
    delivered = an_item(line, 250, liquidates_document_line_id=order.document_line_id)
    unit.did(
        "ExpendFunds",
        [delivered],
        by="budget_user",
        document=a_document(budget_pb2.FUNDS_DOCUMENT_KIND_SERVICE_ACCEPTANCE),
        effective_on=MARCH,
    )

    short = unit.refused("ObligateFunds", [an_item(line, 51)], effective_on=MARCH)
    unit.did("ObligateFunds", [an_item(line, 50)], effective_on=MARCH)

    assert (short.metadata["reached"], short.metadata["short_by"]) == ("IDR 250", "IDR 1")


def test_a_reservation_is_no_obligation_but_a_limit_at_reserve_counts_both(unit: Changing):
    with_limits(unit, OBLIGATE)
    (line,) = unit.lines_of((SUPPLIES, 1_200))
    unit.allotted("0.25", (1, 3))
    requisition = an_item(line, 400)
    unit.did("ReserveFunds", [requisition], effective_on=MARCH)

    with_limits(unit, OBLIGATE, RESERVE)
    asked = unit.refused("ReserveFunds", [an_item(line, 1)], effective_on=MARCH)
    # An order that uses the reservation up adds nothing at RESERVE, and 300 at OBLIGATE.
    unit.did(
        "ObligateFunds",
        [an_item(line, 300, liquidates_document_line_id=requisition.document_line_id)],
        document=a_document(ORDER),
        effective_on=MARCH,
    )

    assert (asked.metadata["step"], asked.metadata["reached"]) == ("RESERVE", "IDR 400")


def test_a_cancellation_is_never_stopped_by_a_release(unit: Changing):
    (line,) = unit.lines_of((SUPPLIES, 1_200))
    requisition = an_item(line, 30, 3)
    unit.did("ReserveFunds", [requisition], effective_on=MARCH)
    document = a_document(ORDER)
    order = an_item(
        line, 30, 3, liquidates_document_line_id=requisition.document_line_id, liquidated_quantity=quantity(3)
    )
    unit.did("ObligateFunds", [order], document=document, effective_on=MARCH)
    with_limits(unit, RESERVE, OBLIGATE)

    whole = budget_pb2.FundsItem(document_line_id=order.document_line_id, budget_line_id=line, final=True)
    unit.did("ReleaseFunds", [whole], document=document, restore_liquidated=True, effective_on=MARCH)

    assert unit.figures(line)[:2] == (30, 0)


def test_without_a_limit_the_year_alone_counts(unit: Changing):
    (line,) = unit.lines_of((SUPPLIES, 1_200))

    unit.did("ObligateFunds", [an_item(line, 1_200)], document=a_document(ORDER), effective_on=JANUARY)

    assert unit.figures(line)[1] == 1_200


def test_limits_are_listed_taken_once_and_refused_where_days_overlap(unit: Changing):
    token = unit.token("budget_authority")
    call_as(unit.budget.BatchCreatePeriodLimits, limited(unit, OBLIGATE), token)

    again = call_as(unit.budget.BatchCreatePeriodLimits, limited(unit, OBLIGATE, RESERVE), token)
    clash = refused(
        unit.budget.BatchCreatePeriodLimits,
        limited(unit, OBLIGATE, valid_from=to_date(date(YEAR, 6, 1))),
        token,
    )
    listed = call_as(
        unit.budget.ListPeriodLimits,
        budget_pb2.ListPeriodLimitsRequest(agency_id=str(unit.agency_id), page_size=1),
        unit.token("budget_officer"),
    )

    assert again.existing_count == 1
    assert clash.reason == "PERIOD_LIMIT_EXISTS"
    assert [one.step for one in listed.period_limits] == [OBLIGATE]
    assert listed.next_page_token
    assert (
        refused(unit.budget.BatchCreatePeriodLimits, limited(unit, RESERVE), unit.token("budget_officer")).code
        is grpc.StatusCode.PERMISSION_DENIED
    )


# --- what-if ---------------------------------------------------------------------------------------------------


def tried(
    unit: Changing, items: list[budget_pb2.FundsItem], step: int = RESERVE, **values
) -> budget_pb2.CheckFundsRequest:
    return budget_pb2.CheckFundsRequest(
        **{
            "agency_id": str(unit.agency_id),
            "document": a_document(),
            "items": items,
            "effective_on": MARCH,
            "step": step,
            **values,
        }
    )


def checked(unit: Changing, *items: budget_pb2.FundsItem, step: int = RESERVE) -> budget_pb2.CheckFundsResponse:
    return call_as(unit.budget.CheckFunds, tried(unit, list(items), step), unit.token("invoice_clerk"))


def test_what_if_answers_as_the_act_would_and_moves_nothing(unit: Changing):
    (line,) = unit.lines_of((SUPPLIES, 1_000))
    unit.did("ReserveFunds", [an_item(line, 600)], document=a_document(document_number="REQ/big"))

    fits, short = checked(unit, an_item(line, 400)), checked(unit, an_item(line, 401))
    really = unit.refused("ReserveFunds", [an_item(line, 401)])

    assert (fits.fits, short.fits) == (True, False)
    (node,) = short.nodes
    assert (minor(node.asked), minor(node.available_after), minor(node.short_by)) == (401_00, -1_00, 1_00)
    assert minor(node.budget_line.figures.reserved) == 600_00
    assert [(user.document.document_number, minor(user.amount)) for user in node.biggest_users] == [("REQ/big", 600_00)]
    assert really.metadata["short_by"] == "1"
    assert len(unit.movements(line)) == 2
    assert unit.figures(line) == (600, 0, 0, 0, 0, 400)


def test_what_if_shows_every_node_above_and_which_of_them_stops(unit: Changing):
    parent = call_as(
        unit.budget.ImportAppropriation, unit.import_request([new_line(0, line_no=9)]), unit.token("budget_officer")
    )
    node = parent.budget_line_ids[0]
    child = call_as(
        unit.budget.ImportAppropriation,
        unit.import_request(
            [new_line(60, parent_budget_line_id=node, uncontrolled=True)],
            appropriation_id=parent.appropriation.appropriation_id,
        ),
        unit.token("budget_officer"),
    )
    unit.activated(child.appropriation)

    reply = checked(unit, an_item(child.budget_line_ids[0], 61))

    shown = {one.budget_line.budget_line_id: (minor(one.available_after), minor(one.short_by)) for one in reply.nodes}
    assert shown == {node: (-1_00, 1_00), child.budget_line_ids[0]: (-1_00, 0)}
    assert not reply.fits


def test_what_if_says_what_is_not_released_and_what_would_only_warn(unit: Changing):
    request = unit.import_request([new_line(100, control_mode=budget_pb2.BUDGET_CONTROL_MODE_WARNING)])
    draft = call_as(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))
    unit.activated(draft.appropriation)
    (line,) = draft.budget_line_ids

    warned = checked(unit, an_item(line, 130), step=OBLIGATE)
    with_limits(unit, OBLIGATE)
    unreleased = checked(unit, an_item(line, 90), step=OBLIGATE)

    assert warned.fits
    assert minor(warned.nodes[0].over_by) == 30_00
    assert not unreleased.fits
    (shortage,) = unreleased.release_shortages
    assert (shortage.month, minor(shortage.released), minor(shortage.short_by)) == (3, 0, 90_00)


def test_what_if_sees_an_override_until_its_last_day(unit: Changing):
    (line,) = unit.lines_of((SUPPLIES, 100))
    unit.opened(unit.override((line, 20)))

    in_time = checked(unit, an_item(line, 120))
    late = call_as(
        unit.budget.CheckFunds,
        tried(unit, [an_item(line, 120)], effective_on=to_date(date(YEAR, 7, 1))),
        unit.token("invoice_clerk"),
    )

    assert (in_time.fits, late.fits) == (True, False)


def test_what_if_of_a_request_that_is_wrong_in_itself_is_refused(unit: Changing):
    (line,) = unit.lines_of((SUPPLIES, 100))
    item = an_item(line, 10)
    unit.did("ReserveFunds", [item])

    refusal = refused(unit.budget.CheckFunds, tried(unit, [item]), unit.token("invoice_clerk"))

    assert refusal.reason == "DOCUMENT_LINE_OPEN"


def test_what_if_uses_a_reservation_as_the_order_would(unit: Changing):
    (line,) = unit.lines_of((SUPPLIES, 1_000))
    requisition = an_item(line, 900, 10)
    unit.did("ReserveFunds", [requisition])
    order = an_item(
        line, 1_000, 10, liquidates_document_line_id=requisition.document_line_id, liquidated_quantity=quantity(10)
    )

    reply = checked(unit, order, step=OBLIGATE)

    assert reply.fits
    assert minor(reply.nodes[0].asked) == 100_00
