"""Budgets that outlive one year, on PostgreSQL over gRPC: a project's line over three fiscal years."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    account_pb2,
    budget_events_pb2,
    budget_pb2,
    budget_years_pb2_grpc,
    fiscal_calendar_pb2,
    year_end_pb2,
    year_end_pb2_grpc,
)
from tests.integration.finance.books import FUND, YEAR, Books, minor, rid, rupiah
from tests.integration.finance.changing import VIREMENT, moved
from tests.integration.finance.ending import NEXT, Ending
from tests.integration.finance.funds import GOODS, activation, an_item, new_line
from tests.integration.finance.purchase import Purchase
from tests.integration.finance.test_budget_years import Building
from tests.integration.finance.works import WORKS, Contract

LAST = YEAR + 2
APR, SAL, SAL_RESULT = "3.1.02.03", "3.1.02.05", "3.1.02.06"
FIGURES = ("original", "revised", "obligated", "advanced", "expended", "paid", "available")
# Line numbers of projects, so that no line of one year has the same key.
PROJECT = 71


class Projects(Ending):
    """A unit with projects from March of this year until before March of the year after next."""

    def project(self, *amounts: int, account: str = GOODS, **values: Any) -> list[str]:
        """Ids of active lines of a project, of these whole rupiah."""
        lines = [new_line(amount, line_no=PROJECT + nth, account=account) for nth, amount in enumerate(amounts)]
        request = self.import_request(lines, **{**span(), **values})
        draft = call_as(self.budget.ImportAppropriation, request, self.token("budget_officer"))
        call_as(
            self.budget.ActivateAppropriation,
            activation(draft.appropriation, effective_on=to_date(date(YEAR, 3, 1))),
            self.token("budget_authority"),
        )
        return list(draft.budget_line_ids)

    def line_after(self, amount: int = 0, *, account: str = GOODS) -> str:
        """An active line of the year after the span, with the first project's segments."""
        line = new_line(amount, line_no=PROJECT, account=account)
        request = self.import_request([line], fiscal_year=LAST + 1)
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

    def closed(self, year: int) -> year_end_pb2.FiscalYearClosing:
        """The ledger's year closed: its results and estimates. Its months are closed past the API, which takes longer
        and is tested elsewhere."""
        (months,) = self.agency.row(
            "with closed as (update fiscal_period set state = 'HARD_CLOSED'"
            " where agency_id = %s and year = %s and number <= 12 returning 1) select count(*) from closed",
            *(self.agency_id, year),
        )
        assert months
        opening = fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
            agency_id=str(self.agency_id), year=year, first_number=13, request_id=rid()
        )
        call_as(self.books.calendar.OpenFiscalPeriods, opening, self.agency.accountant)
        stub = year_end_pb2_grpc.YearEndServiceStub(self.books.service.channel)
        request = year_end_pb2.CloseFiscalYearRequest(agency_id=str(self.agency_id), year=year, request_id=rid())
        return call_as(stub.CloseFiscalYear, request, self.agency.authority()).fiscal_year_closing

    def books_of(self, year: int) -> dict[str, int]:
        """The trial balance of the BUDGET basis on the last day of a year, in whole rupiah, without empty accounts."""
        held = self.agency.balances(basis=account_pb2.BASIS_BUDGET, as_of=to_date(date(year, 12, 31)))
        return {code: amount // 100 for code, amount in held.items() if amount}

    def report(self, year: int, line: str, *, whole_span: bool = False) -> dict[str, int]:
        """What the execution report of a year says of a line, in whole rupiah."""
        request = budget_pb2.GetExecutionReportRequest(
            agency_id=str(self.agency_id), fiscal_year=year, whole_span=whole_span
        )
        rows = call_as(self.budget.GetExecutionReport, request, self.token("budget_officer")).rows
        (figures,) = [row.figures for row in rows if row.budget_line_id == line]
        return {name: minor(getattr(figures, name)) // 100 for name in FIGURES}


def span(**values: Any) -> dict[str, Any]:
    return {"valid_from": to_date(date(YEAR, 3, 1)), "valid_to": to_date(date(LAST, 3, 1)), **values}


def opened_to_the_end(unit: Any) -> Any:
    """The unit, with the years to the one after the span."""
    for agency in (unit.agency, unit.treasury):
        for year in (LAST, LAST + 1):
            agency.open_year(year)
    return unit


@pytest.fixture
def unit(books: Books) -> Projects:
    return opened_to_the_end(Projects(books))


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

    assert [tuple(one[name] for name in FIGURES) for one in years] == [
        (1_000, 1_000, 150, 0, 60, 200, 590),
        (800, 800, 150, 0, 0, 60, 590),
        (740, 740, 150, 0, 0, 0, 590),
    ]
    request = budget_pb2.ListBudgetLinesRequest(agency_id=str(unit.agency_id), fiscal_year=LAST)
    listed = call_as(unit.budget.ListBudgetLines, request, unit.token("budget_officer")).budget_lines
    assert [one.budget_line_id for one in listed] == [line]


def test_a_year_within_the_span_closes_what_it_realised_and_leaves_the_rest_of_the_estimate(unit: Projects):
    unit.lines(100)
    (line,) = unit.project(1_200, account=WORKS, valid_from=to_date(date(YEAR, 1, 1)))
    unit.released(line, 1_200, YEAR)
    contract = Contract(unit, 1_000, line=line)
    reports = []

    # Year 1: an advance of 200, which is spent in the year that pays it. Year 2: a bill of 400 recovers 80 of it.
    contract.paid(contract.prepaid(200).payable_id)
    reports.append(unit.report(YEAR, line))
    first = unit.closed(YEAR)
    assert unit.books_of(YEAR) == {APR: -1_000, SAL: 800, SAL_RESULT: 200}
    assert [(one.fund_code, minor(one.amount)) for one in first.open_estimates] == [(FUND, 1_000_00)]
    contract.paid(contract.certified(400, billed_on=to_date(date(NEXT, 3, 20))).bill.payable_id, date(NEXT, 5, 20))
    reports.append(unit.report(NEXT, line))
    unit.closed(NEXT)
    assert unit.books_of(NEXT) == {APR: -700, SAL: 200, SAL_RESULT: 500}
    assert unit.problems() == []

    # Year 3: the last bill. Its retention of 50 is owed under the next year's line; 200 lapse, and nothing stands on.
    last = contract.certified(600, final=True, billed_on=to_date(date(LAST, 1, 20)))
    contract.paid(last.bill.payable_id, date(LAST, 2, 20))
    reports.append(unit.report(LAST, line))
    span = unit.report(LAST, line, whole_span=True)
    unit.line_after(account=WORKS)
    ended = unit.ended(fiscal_year=LAST, opened_on=to_date(date(LAST + 1, 1, 2)))
    assert [minor(getattr(ended, name)) // 100 for name in ("paid", "lapsed", "carried")] == [950, 200, 50]
    third = unit.closed(LAST)
    assert (unit.books_of(LAST), list(third.open_estimates)) == ({SAL: -950, SAL_RESULT: 950}, [])
    assert unit.books_of(LAST + 1) == {APR: -50, SAL: -900, SAL_RESULT: 950}
    assert unit.problems() == []

    # IPSAS 24, each year and the span: what a year was given is what the years before left; actuals add up.
    assert [tuple(one[name] for name in FIGURES) for one in (*reports, span)] == [
        (1_200, 1_200, 800, 200, 0, 0, 200),
        (1_000, 1_000, 480, 0, 20, 300, 200),
        (700, 700, 0, 0, 50, 450, 200),
        (1_200, 1_200, 0, 0, 50, 950, 200),
    ]


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


# --- contracts of several years ------------------------------------------------------------------------------------


class Contracting(Projects):
    """A unit that signs contracts of several years on projects' lines."""

    contract, authorised = Building.contract, Building.authorised
    approve_request, now = Building.approve_request, Building.now

    @property
    def years(self) -> Any:
        return budget_years_pb2_grpc.MultiYearServiceStub(self.books.service.channel)


@pytest.fixture
def contracting(books: Books) -> Contracting:
    return opened_to_the_end(Contracting(books))


def test_a_contract_within_the_span_is_obligated_whole_and_stands_on_over_its_years(contracting: Contracting):
    unit = contracting
    (line,) = unit.project(1_000)
    unit.lines(100)
    unit.released(line, 300, YEAR)

    # One slice is enough: 900 of the three years at once. It begins in the second year as well as in the first.
    contract = unit.authorised(unit.contract(line, 600, effective_on=to_date(date(YEAR, 4, 1))))
    second = unit.contract(line, 300)
    second.multi_year_authorisation.effective_on.CopyFrom(to_date(date(NEXT, 4, 1)))
    second.multi_year_authorisation.slices[0].fiscal_year = NEXT
    unit.authorised(second)
    beyond = unit.contract(line, 101, effective_on=to_date(date(YEAR, 4, 1)))
    proposed = call_as(unit.years.CreateMultiYearAuthorisation, beyond, unit.token("budget_officer"))
    short = refused(
        unit.years.ApproveMultiYearAuthorisation, unit.approve_request(proposed), unit.token("budget_authority")
    )
    assert (unit.figures(line)[1], minor(contract.future)) == (900, 0)
    assert (short.reason, short.metadata["short_by"]) == ("BUDGET_EXCEEDED", "1")

    # Neither the year's end nor a delivery takes it away; at the end of the span N7 holds.
    unit.ended()
    assert unit.figures(line) == (0, 900, 0, 0, 0, 100)
    accepted = an_item(line, 250, liquidates_document_line_id=contract.slices[0].document_line_id)
    unit.did("ExpendFunds", [accepted], by="budget_user", effective_on=to_date(date(NEXT, 6, 1)))
    assert unit.figures(line) == (0, 650, 250, 0, 0, 100)
    assert unit.problems() == []
    opened = unit.line_after()
    last = unit.ended(fiscal_year=LAST, opened_on=to_date(date(LAST + 1, 1, 2)))
    assert [minor(getattr(last, name)) // 100 for name in ("paid", "lapsed", "carried")] == [0, 100, 900]
    assert unit.figures(opened) == (0, 650, 250, 0, 0, 0)
    assert unit.problems() == []


def test_slices_within_the_span_are_obligated_at_once_and_one_beyond_it_waits_for_its_year(contracting: Contracting):
    unit = contracting
    (line,) = unit.project(1_000)

    contract = unit.authorised(unit.contract(line, 300, 400, 150, 200, effective_on=to_date(date(YEAR, 4, 1))))

    assert (unit.figures(line)[1], minor(contract.future)) == (850, 200_00)
    assert [one.budget_line_id for one in contract.slices] == [line, line, line, ""]
    due = unit.agency.row(
        "select array_agg(array[year, period_number, amount_minor] order by year) from funds_schedule"
        " where budget_line_id = %s and amount_minor > 0",
        line,
    )
    assert due == ([[YEAR, 4, 300_00], [NEXT, 1, 400_00], [LAST, 1, 150_00]],)
    opened = unit.line_after(200)
    after = unit.now(contract)
    assert (after.slices[3].budget_line_id, minor(after.future)) == (opened, 0)
    assert unit.figures(opened)[1] == 200
    assert unit.problems() == []


def test_one_slice_on_a_line_of_one_year_is_no_contract_of_several(contracting: Contracting):
    (line,) = contracting.lines(100)

    why = refused(
        contracting.years.CreateMultiYearAuthorisation,
        contracting.contract(line, 100),
        contracting.token("budget_officer"),
    )

    assert why.reason == "MULTI_YEAR_AUTHORISATION_INVALID"
    assert f"ends with {YEAR}" in why.message
