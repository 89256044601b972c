"""Budgets that outlive one year, on PostgreSQL over gRPC: a project's line over three fiscal years."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_events_pb2, budget_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.changing import VIREMENT, moved
from tests.integration.finance.ending import NEXT, Ending
from tests.integration.finance.funds import activation, an_item, new_line
from tests.integration.finance.purchase import Purchase

LAST = YEAR + 2
# Line numbers of projects, so that no line of one year has the same key.
PROJECT = 71


class Projects(Ending):
    """A unit with projects from March of this year until before March of the year after next."""

    def project(self, *amounts: int, **values: Any) -> list[str]:
        """Ids of active lines of a project, of these whole rupiah."""
        lines = [new_line(amount, line_no=PROJECT + nth) for nth, amount in enumerate(amounts)]
        request = self.import_request(lines, **{**span(), **values})
        draft = call_as(self.budget.ImportAppropriation, request, self.token("budget_officer"))
        call_as(
            self.budget.ActivateAppropriation,
            activation(draft.appropriation, effective_on=to_date(date(YEAR, 3, 1))),
            self.token("budget_authority"),
        )
        return list(draft.budget_line_ids)

    def line_after(self) -> str:
        """An active line of the year after the span, with the first project's segments."""
        request = self.import_request([new_line(0, line_no=PROJECT)], fiscal_year=LAST + 1)
        draft = call_as(self.budget.ImportAppropriation, request, self.token("budget_officer"))
        day = to_date(date(LAST + 1, 1, 2))
        call_as(
            self.budget.ActivateAppropriation,
            activation(draft.appropriation, effective_on=day),
            self.token("budget_authority"),
        )
        return str(draft.budget_line_ids[0])

    def release(self, line: str, amount: int, year: int, months: tuple[int, int] = (1, 12)) -> Any:
        """The request to release whole rupiah of a line in a year."""
        return budget_pb2.AllotFundsRequest(
            agency_id=str(self.agency_id),
            fiscal_year=year,
            document_number=f"SPD/{uuid4().hex[:8]}",
            month_from=months[0],
            month_to=months[1],
            lines=[budget_pb2.AllotmentLine(budget_line_id=line, amount=rupiah(amount))],
            effective_on=to_date(date(year, 1, 2)),
            request_id=rid(),
        )

    def released(self, line: str, amount: int, year: int, months: tuple[int, int] = (1, 12)) -> None:
        """Released, by another person than who brought the line in."""
        call_as(self.budget.AllotFunds, self.release(line, amount, year, months), self.token("budget_authority"))

    def report(self, year: int, line: str) -> dict[str, int]:
        """What the execution report of a year says of a line, in whole rupiah."""
        request = budget_pb2.GetExecutionReportRequest(agency_id=str(self.agency_id), fiscal_year=year)
        rows = call_as(self.budget.GetExecutionReport, request, self.token("budget_officer")).rows
        (figures,) = [row.figures for row in rows if row.budget_line_id == line]
        names = ("original", "revised", "obligated", "expended", "paid", "available")
        return {name: minor(getattr(figures, name)) // 100 for name in names}


def span(**values: Any) -> dict[str, Any]:
    return {"valid_from": to_date(date(YEAR, 3, 1)), "valid_to": to_date(date(LAST, 3, 1)), **values}


@pytest.fixture
def unit(books: Books) -> Projects:
    projects = Projects(books)
    for agency in (projects.agency, projects.treasury):
        for year in (LAST, LAST + 1):
            agency.open_year(year)
    return projects


def told_appropriation(unit: Projects, appropriation_id: str) -> budget_events_pb2.AppropriationChanged:
    """The event of an appropriation that came into force."""
    (body,) = unit.agency.row("select body from outbox where key = %s", appropriation_id)
    return budget_events_pb2.AppropriationChanged.FromString(bytes(body))


def paid(unit: Projects, line: str, units: int, price: int, on: date) -> None:
    """Bought, accepted, invoiced, paid."""
    purchase = Purchase(unit, line, units, price).issued()
    purchase.accepted(units)
    payable = purchase.approved(purchase.invoiced(units, price))
    order = unit.ordered([payable.payable_id], on)
    unit.debited(order, value_date=to_date(on))


def test_a_project_stands_on_over_the_year_and_ends_with_its_span(unit: Projects):
    (line,) = unit.project(1_000)
    unit.lines(100)
    shown = unit.line(line)
    assert (shown.fiscal_year, shown.last_fiscal_year) == (YEAR, LAST)
    assert (shown.valid_from, shown.valid_to) == (to_date(date(YEAR, 3, 1)), to_date(date(LAST, 3, 1)))
    told = told_appropriation(unit, shown.appropriation_id)
    assert (told.valid_from, told.valid_to) == (shown.valid_from, shown.valid_to)
    unit.released(line, 300, YEAR)
    unit.did("ReserveFunds", [an_item(line, 50)])
    paid(unit, line, 2, 100, date(YEAR, 5, 20))
    unit.did("ObligateFunds", [an_item(line, 150)], effective_on=to_date(date(YEAR, 11, 1)))
    before = unit.figures(line)
    assert before == (50, 150, 0, 0, 200, 600)

    first = unit.ended()

    # The line of one year has ended; the project is as it was: nothing lapsed, nothing was carried.
    assert (first.line_count, minor(first.lapsed), minor(first.carried)) == (1, 100_00, 0)
    assert unit.figures(line) == before
    assert unit.line(line).status == budget_pb2.BUDGET_LINE_STATUS_ACTIVE
    assert unit.problems() == []

    unit.did("ReserveFunds", [an_item(line, 25)], effective_on=to_date(date(NEXT, 6, 1)))
    unit.agency.post(unit.agency.spending(line, 40, on=date(NEXT, 7, 1)))
    unit.released(line, 100, NEXT)
    paid(unit, line, 1, 60, date(NEXT, 8, 20))
    assert unit.figures(line) == (75, 150, 40, 0, 260, 475)
    assert unit.refused("ReserveFunds", [an_item(line, 476)]).reason == "BUDGET_EXCEEDED"

    # Its own last year ends it, as a year's end ends any line: R lapses, E is owed by the next year's line.
    opened = unit.line_after()
    last = unit.ended(fiscal_year=LAST, opened_on=to_date(date(LAST + 1, 1, 2)))
    assert [minor(getattr(last, name)) // 100 for name in ("paid", "lapsed", "carried")] == [260, 550, 190]
    assert unit.figures(opened) == (0, 150, 40, 0, 0, 0)
    assert unit.line(line).status == budget_pb2.BUDGET_LINE_STATUS_CLOSED
    assert unit.problems() == []


def test_each_years_report_shows_what_was_left_and_what_it_paid_itself(unit: Projects):
    (line,) = unit.project(1_000)
    unit.released(line, 1_000, YEAR)
    paid(unit, line, 2, 100, date(YEAR, 5, 20))
    unit.did("ObligateFunds", [an_item(line, 150)], effective_on=to_date(date(YEAR, 11, 1)))
    paid(unit, line, 1, 60, date(NEXT, 8, 20))

    years = [unit.report(year, line) for year in (YEAR, NEXT, LAST)]

    assert years == [
        {"original": 1_000, "revised": 1_000, "obligated": 150, "expended": 60, "paid": 200, "available": 590},
        {"original": 800, "revised": 800, "obligated": 150, "expended": 0, "paid": 60, "available": 590},
        {"original": 740, "revised": 740, "obligated": 150, "expended": 0, "paid": 0, "available": 590},
    ]
    request = budget_pb2.ListBudgetLinesRequest(agency_id=str(unit.agency_id), fiscal_year=LAST)
    listed = call_as(unit.budget.ListBudgetLines, request, unit.token("budget_officer")).budget_lines
    assert [one.budget_line_id for one in listed] == [line]


def test_outside_its_days_a_project_takes_nothing(unit: Projects):
    (line,) = unit.project(1_000)

    early = unit.refused("ReserveFunds", [an_item(line, 1)], effective_on=to_date(date(YEAR, 2, 28)))
    late = unit.refused("ReserveFunds", [an_item(line, 1)], effective_on=to_date(date(LAST, 3, 1)))
    by_hand = unit.agency.refused(unit.agency.spending(line, 1, on=date(LAST, 3, 1)))

    assert [early.reason, late.reason] == ["BUDGET_LINE_OUT_OF_SPAN"] * 2
    assert by_hand.reason == "BUDGET_LINE_UNKNOWN"
    unit.agency.post(unit.agency.spending(line, 1, on=date(LAST, 2, 28)))


def test_releases_of_a_project_are_to_date_over_its_span(unit: Projects):
    (line,) = unit.project(1_000)
    unit.released(line, 100, YEAR)
    paid(unit, line, 1, 100, date(YEAR, 5, 20))
    purchase = Purchase(unit, line, 2, 100).issued()
    purchase.accepted(2)
    payable = purchase.approved(purchase.invoiced(2, 100))

    # Released for the second year's second quarter: not before April, and not by a release of the first year.
    unit.released(line, 200, NEXT, (4, 6))
    spp = unit.payment_request([payable.payable_id], date(NEXT, 3, 31))
    early = refused(unit.payables.CreatePaymentRequest, spp, unit.token("expenditure_treasurer"))
    unit.requested([payable.payable_id], date(NEXT, 4, 1))

    assert (early.reason, early.metadata["month"], early.metadata["short_by"]) == (
        "ALLOTMENT_EXCEEDED",
        "15",
        "IDR 200",
    )
    assert unit.problems() == []
    beyond = refused(unit.budget.AllotFunds, unit.release(line, 701, LAST), unit.token("budget_authority"))
    outside = refused(unit.budget.AllotFunds, unit.release(line, 1, LAST + 1), unit.token("budget_authority"))
    assert (beyond.reason, outside.code.name) == ("ALLOTMENT_ABOVE_BUDGET", "NOT_FOUND")


def test_authority_moves_between_lines_of_the_same_years_alone(unit: Projects):
    first, second = unit.project(500, 500)
    (of_one_year,) = unit.lines(100)

    across = unit.not_proposed(unit.change(VIREMENT, transfers=[moved(first, of_one_year, 10)]))
    within = unit.change(VIREMENT, transfers=[moved(first, second, 10)], fiscal_year=NEXT, effective_on=DAY)
    unit.done(within, unit.as_role("finance.budget_user"))

    assert across.reason == "BUDGET_LINE_OF_ANOTHER_YEAR"
    assert (unit.figures(first)[-1], unit.figures(second)[-1]) == (490, 510)
    assert unit.problems() == []


DAY = to_date(date(NEXT, 4, 1))


def test_a_span_is_the_appropriations_and_reaches_into_a_later_year(unit: Projects):
    officer = unit.token("budget_officer")

    for values in (span(valid_to=to_date(date(YEAR + 1, 1, 1))), span(valid_from=to_date(date(NEXT, 1, 1)))):
        request = unit.import_request([new_line(1)], **values)
        assert refused(unit.budget.ImportAppropriation, request, officer).code.name == "INVALID_ARGUMENT"
    draft = call_as(unit.budget.ImportAppropriation, unit.import_request([new_line(1)], **span()), officer)
    other = unit.import_request(
        [new_line(1, line_no=2)],
        appropriation_id=draft.appropriation.appropriation_id,
        **span(valid_to=to_date(date(LAST, 6, 1))),
    )

    assert draft.appropriation.valid_to == to_date(date(LAST, 3, 1))
    assert refused(unit.budget.ImportAppropriation, other, officer).code.name == "INVALID_ARGUMENT"
