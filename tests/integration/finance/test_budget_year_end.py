"""The end of a budget year on PostgreSQL over gRPC: lapsed, cancelled, carried, and what goes on next year."""

from __future__ import annotations

from datetime import date

import grpc
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2, budget_year_end_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.ending import CANCEL, NEXT, POSITION, Ending
from tests.integration.finance.funds import a_document, an_item
from tests.integration.finance.purchase import Purchase
from tests.integration.finance.test_imprest import Cash


@pytest.fixture
def unit(books: Books) -> Ending:
    return Ending(books)


def lived(unit: Ending) -> tuple[str, Purchase]:
    """A line of 1 000 with P 600, E 50, O 200 and R 30: an order of 17 at 50, 13 accepted, 12 of them paid."""
    (line,) = unit.lines(1_000)
    unit.allotted()
    purchase = Purchase(unit, line, 17, 50).issued()
    purchase.accepted(13)
    payable = purchase.approved(purchase.invoiced(12, 50))
    unit.debited(unit.ordered([payable.payable_id]))
    unit.did("ReserveFunds", [an_item(line, 30)])
    assert unit.figures(line) == (30, 200, 50, 0, 600, 120)
    return line, purchase


def test_n07_reservations_lapse_and_obligation_and_debt_open_in_next_years_line(unit: Ending):
    line, purchase = lived(unit)
    (opened,) = unit.next_year(0)

    ended = unit.ended()

    assert [minor(getattr(ended, name)) for name in ("paid", "lapsed", "carried")] == [600_00, 150_00, 250_00]
    shown = unit.line(opened).figures
    assert (minor(shown.revised), unit.figures(opened)) == (250_00, (0, 200, 50, 0, 0, 0))
    assert unit.figures(line)[:5] == (0, 0, 0, 0, 600)
    assert unit.line(line).status == budget_pb2.BUDGET_LINE_STATUS_CLOSED
    assert unit.problems() == []
    # The order goes on: the rest is delivered and owed under next year's line, by its own shares.
    purchase.accepted(4)
    assert unit.figures(opened) == (0, 0, 250, 0, 0, 0)
    payable = purchase.approved(purchase.invoiced(5, 50))
    assert minor(payable.amount) == 250_00
    assert unit.problems() == []


def test_what_became_of_each_line_is_listed(unit: Ending):
    line, _ = lived(unit)
    (opened,) = unit.next_year(0)
    ended = unit.ended()

    reply = call_as(
        unit.ends.ListBudgetYearEndLines,
        budget_year_end_pb2.ListBudgetYearEndLinesRequest(budget_year_end=ended.name),
        unit.token("budget_officer"),
    )

    (one,) = reply.budget_year_end_lines
    assert (one.budget_line_id, one.next_budget_line_id) == (line, opened)
    assert [minor(getattr(one, name)) for name in ("revised", "paid", "lapsed", "carried")] == [
        1_000_00,
        600_00,
        150_00,
        250_00,
    ]


def test_a_payable_that_was_approved_is_paid_from_next_years_line(unit: Ending):
    (line,) = unit.lines(1_000)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 50).issued()
    purchase.accepted(10)
    payable = purchase.approved(purchase.invoiced(10, 50))
    (opened,) = unit.next_year(0)

    unit.ended()
    call_as(
        unit.budget.AllotFunds,
        budget_pb2.AllotFundsRequest(
            agency_id=str(unit.agency_id),
            fiscal_year=NEXT,
            document_number="SPD/next",
            month_from=1,
            month_to=12,
            lines=[budget_pb2.AllotmentLine(budget_line_id=opened, amount=payable.amount)],
            effective_on=to_date(date(NEXT, 1, 2)),
            request_id=rid(),
        ),
        unit.token("budget_authority"),
    )
    order = unit.ordered([payable.payable_id], date(NEXT, 1, 20))
    unit.debited(order, value_date=to_date(date(NEXT, 1, 21)))

    assert unit.figures(opened) == (0, 0, 0, 0, 500, 0)
    assert unit.figures(line)[:5] == (0, 0, 0, 0, 0)
    assert unit.problems() == []


def test_obligations_are_cancelled_by_default_or_one_by_one_and_those_of_posts_always(unit: Ending):
    kept, dropped, post = (an_item(line, 100) for line in unit.lines(500, 500, 500))
    for item in (kept, dropped):
        unit.did("ObligateFunds", [item], document=a_document(budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT))
    unit.did("ObligateFunds", [post], document=a_document(POSITION))
    opened = unit.next_year(0, 0, 0)
    decision = budget_year_end_pb2.DocumentLineDecision(
        document_line_id=dropped.document_line_id, budget_line_id=dropped.budget_line_id, decision=CANCEL
    )

    ended = unit.ended(decisions=[decision])

    assert [unit.figures(line)[1] for line in opened] == [100, 0, 0]
    assert (minor(ended.lapsed), minor(ended.carried)) == (1_400_00, 100_00)
    assert unit.problems() == []


def test_a_manual_debt_is_carried_with_its_liability(unit: Ending):
    (line,) = unit.lines(1_000)
    unit.agency.post(unit.agency.spending(line, 70))
    (opened,) = unit.next_year(10)

    unit.ended(default_decision=CANCEL)

    assert unit.figures(opened) == (0, 0, 70, 0, 0, 10)
    assert unit.problems() == []


def test_nothing_moves_on_a_year_that_ended_and_it_ends_once(unit: Ending):
    (line,) = unit.lines(1_000)
    unit.ended()

    after = unit.refused("ReserveFunds", [an_item(line, 1)])
    again = unit.not_ended()

    assert after.reason == "BUDGET_LINE_NOT_ACTIVE"
    assert again.code is grpc.StatusCode.NOT_FOUND


def test_what_stands_in_the_way_is_listed_before_and_at_the_approval(unit: Ending):
    (line,) = unit.lines(1_000)
    unit.allotted()
    proposed = unit.proposed_end()
    purchase = Purchase(unit, line, 10, 50).issued()
    purchase.accepted(2)
    payable = purchase.approved(purchase.invoiced(2, 50))
    unit.ordered([payable.payable_id])
    unit.opened(unit.override((line, 5)))

    request = budget_year_end_pb2.ApproveBudgetYearEndRequest(name=proposed.name, request_id=rid())
    blocked = refused(unit.ends.ApproveBudgetYearEnd, request, unit.token("budget_authority"))

    assert blocked.reason == "BUDGET_YEAR_END_BLOCKED"
    for word in ("ordered and not debited", "is ORDERED", "has its segments"):
        assert word in blocked.message
    assert blocked.metadata["blocker_count"] == "3"
    assert unit.figures(line)[1] == 400
    assert unit.problems() == []


def test_a_year_does_not_end_while_cash_of_an_imprest_is_out(unit: Ending):
    cash = Cash(unit, 20)
    proposed = unit.proposed_end()  # nothing has left the treasury yet
    cash.opened()

    approval = budget_year_end_pb2.ApproveBudgetYearEndRequest(name=proposed.name, request_id=rid())
    blocked = refused(unit.ends.ApproveBudgetYearEnd, approval, unit.token("budget_authority"))
    cash.settled()
    ended = call_as(unit.ends.ApproveBudgetYearEnd, approval, unit.token("budget_authority")).budget_year_end

    assert (blocked.reason, blocked.metadata["blocker_count"]) == ("BUDGET_YEAR_END_BLOCKED", "1")
    assert f"imprest {cash.imprest.imprest_id} (STANDING) of {YEAR} is not settled" in blocked.message
    assert ended.status == budget_year_end_pb2.BUDGET_YEAR_END_STATUS_APPROVED
    assert unit.problems() == []


def test_an_override_that_is_used_keeps_its_year_open(unit: Ending):
    (line,) = unit.lines(100)
    unit.opened(unit.override((line, 20)))
    unit.did("ReserveFunds", [an_item(line, 110)])

    blocked = unit.not_ended()

    assert "overrides of 1000 minor units are open" in blocked.metadata["blocker_1"]


def test_whoever_proposed_the_end_does_not_approve_it(unit: Ending):
    unit.lines(100)
    proposed = unit.proposed_end()
    same = unit.as_role("finance.budget_authority", unit.persons["budget_officer"])
    approval = budget_year_end_pb2.ApproveBudgetYearEndRequest(name=proposed.name, request_id=rid())
    recall = budget_year_end_pb2.RecallBudgetYearEndRequest(name=proposed.name, request_id=rid())

    assert refused(unit.ends.ApproveBudgetYearEnd, approval, same).reason == "SAME_PERSON"
    assert unit.not_ended().reason == "BUDGET_YEAR_END_EXISTS"
    call_as(unit.ends.RecallBudgetYearEnd, recall, unit.token("budget_officer"))
    assert unit.proposed_end().status == budget_year_end_pb2.BUDGET_YEAR_END_STATUS_PROPOSED


def test_a_role_without_the_permission_ends_no_year(unit: Ending):
    unit.lines(100)

    refusal = refused(unit.ends.CreateBudgetYearEnd, unit.end(), unit.token("invoice_clerk"))

    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
