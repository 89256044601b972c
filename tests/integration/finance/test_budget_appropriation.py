"""Lines come in, another person puts them in force, and releases them: on PostgreSQL, over gRPC."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc
import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, budget_pb2, ledger_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import (
    GOODS,
    OFFICERS,
    Unit,
    a_document,
    activation,
    an_item,
    new_line,
    quantity,
)


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_imported_lines_are_drafts_and_cannot_be_used(unit: Unit):
    draft = unit.imported(20_000_000)
    (line_id,) = draft.budget_line_ids

    refusal = unit.refused("ReserveFunds", [an_item(line_id, 1)])

    assert draft.appropriation.status == budget_pb2.APPROPRIATION_STATUS_DRAFT
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "BUDGET_LINE_NOT_ACTIVE"


def test_activation_posts_estimated_change_of_sal_against_the_appropriation(unit: Unit):
    active = unit.activated(unit.imported(20_000_000, 5_000_000).appropriation)

    balances = unit.agency.balances(basis=account_pb2.BASIS_BUDGET)
    assert active.status == budget_pb2.APPROPRIATION_STATUS_ACTIVE
    assert balances == {"3.1.02.05": 25_000_000_00, "3.1.02.03": -25_000_000_00}
    entry = call_as(
        unit.books.ledger.GetJournalEntry,
        ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{active.journal_entry_id}"),
        unit.agency.accountant,
    )
    assert entry.source_id == active.appropriation_id


def test_batches_add_up_in_one_appropriation_and_a_repeat_adds_nothing(unit: Unit):
    first = unit.import_request([new_line(1_000, line_no=1)])
    token = unit.token("budget_officer")
    draft = call_as(unit.budget.ImportAppropriation, first, token)
    more = unit.import_request(
        [new_line(2_000, line_no=2), new_line(0, line_no=3)],
        appropriation_id=draft.appropriation.appropriation_id,
    )
    second = call_as(unit.budget.ImportAppropriation, more, token)
    again = call_as(unit.budget.ImportAppropriation, more, token)

    assert again == second
    assert second.appropriation.line_count == 3
    assert minor(second.appropriation.total) == 3_000_00


def test_lines_that_do_not_add_up_to_the_control_total_are_refused_whole(unit: Unit):
    request = unit.import_request([new_line(1_000)], control_total=rupiah(999))

    refusal = refused(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))

    assert refusal.reason == "CONTROL_TOTAL_MISMATCH"
    assert refusal.metadata["total"] == "IDR 1 000"
    found = call_as(
        unit.budget.ListBudgetLines,
        budget_pb2.ListBudgetLinesRequest(agency_id=str(unit.agency_id)),
        unit.token("budget_officer"),
    )
    assert not found.budget_lines


def test_account_codes_that_the_chart_lacks_are_all_named(unit: Unit):
    request = unit.import_request(
        [new_line(1, line_no=1, account="5.9.99"), new_line(1, line_no=2, account="5.9.98"), new_line(1, line_no=3)]
    )

    refusal = refused(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))

    assert refusal.reason == "ACCOUNT_UNKNOWN"
    assert refusal.metadata["account_codes"] == "5.9.98,5.9.99"


def test_a_budget_line_is_keyed_on_expenditure_and_never_on_an_expense(unit: Unit):
    request = unit.import_request([new_line(1, account="8.1.02.01")])

    refusal = refused(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))

    assert refusal.reason == "ACCOUNT_UNKNOWN"


def test_equal_segments_need_line_numbers_of_their_own(unit: Unit):
    request = unit.import_request([new_line(1, line_no=7), new_line(2, line_no=7)])

    refusal = refused(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))

    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.metadata == {"organisation_code": "1.02.01", "account_code": GOODS, "line_no": "7"}


def test_whoever_imported_may_neither_activate_nor_release(unit: Unit):
    draft = unit.imported(1_000).appropriation
    same = unit.books.token(
        [unit.agency_id],
        OFFICERS["budget_officer"],
        OFFICERS["budget_authority"],
        person_id=unit.persons["budget_officer"],
    )

    activating = refused(unit.budget.ActivateAppropriation, activation(draft), same)
    unit.activated(draft)
    request = budget_pb2.AllotFundsRequest(
        agency_id=str(unit.agency_id),
        fiscal_year=YEAR,
        document_number="SPD/1",
        month_from=1,
        month_to=3,
        cumulative_share=quantity("0.25"),
        effective_on=to_date(date(YEAR, 1, 2)),
        request_id=rid(),
    )
    releasing = refused(unit.budget.AllotFunds, request, same)

    assert (activating.reason, releasing.reason) == ("SAME_PERSON", "SAME_PERSON")


def test_an_activation_with_other_totals_is_refused(unit: Unit):
    draft = unit.imported(1_000).appropriation

    refusal = refused(
        unit.budget.ActivateAppropriation, activation(draft, control_line_count=2), unit.token("budget_authority")
    )

    assert refusal.reason == "CONTROL_TOTAL_MISMATCH"


def test_quarters_release_cumulative_shares_and_the_last_takes_the_rest(unit: Unit):
    (line_id,) = unit.lines(1_001)

    totals = [
        minor(unit.allotted(share, months).total)
        for share, months in (("0.25", (1, 3)), ("0.5", (4, 6)), ("0.75", (7, 9)), ("1", (10, 12)))
    ]

    assert totals == [250_25, 250_25, 250_25, 250_25]
    assert minor(unit.line(line_id).figures.released) == 1_001_00


def test_a_year_may_be_released_month_by_month(unit: Unit):
    (line_id,) = unit.lines(1_000)

    totals = [minor(unit.allotted(share, (month, month)).total) for month, share in ((1, "0.1"), (2, "0.15"), (3, "1"))]

    assert totals == [100_00, 50_00, 850_00]
    assert unit.agency.row(
        "select array_agg(month_from order by month_from) from allotment where budget_line_id = %s", line_id
    ) == ([1, 2, 3],)


def test_single_lines_are_released_up_to_their_revised_amount(unit: Unit):
    (line_id,) = unit.lines(1_000)

    def release(amount: int, number: str) -> budget_pb2.AllotFundsRequest:
        return budget_pb2.AllotFundsRequest(
            agency_id=str(unit.agency_id),
            fiscal_year=YEAR,
            document_number=number,
            month_from=1,
            month_to=3,
            lines=[budget_pb2.AllotmentLine(budget_line_id=line_id, amount=rupiah(amount))],
            effective_on=to_date(date(YEAR, 1, 2)),
            request_id=rid(),
        )

    token = unit.token("budget_authority")
    call_as(unit.budget.AllotFunds, release(900, "SPD/A"), token)
    above = refused(unit.budget.AllotFunds, release(101, "SPD/B"), token)
    twice = refused(unit.budget.AllotFunds, release(1, "SPD/A"), token)

    assert above.reason == "ALLOTMENT_ABOVE_BUDGET"
    assert twice.reason == "DOCUMENT_NUMBER_TAKEN"
    assert minor(unit.line(line_id).figures.released) == 900_00


def test_a_controlling_parent_controls_its_children_in_the_database_too(unit: Unit):
    token = unit.token("budget_officer")
    parent_request = unit.import_request([new_line(0, line_no=1)])
    draft = call_as(unit.budget.ImportAppropriation, parent_request, token)
    (parent_id,) = draft.budget_line_ids
    children = unit.import_request(
        [
            new_line(60, line_no=2, parent_budget_line_id=parent_id, uncontrolled=True),
            new_line(40, line_no=3, parent_budget_line_id=parent_id, uncontrolled=True),
        ],
        appropriation_id=draft.appropriation.appropriation_id,
    )
    full = call_as(unit.budget.ImportAppropriation, children, token)
    unit.activated(full.appropriation)
    a, b = full.budget_line_ids

    unit.did("ReserveFunds", [an_item(a, 70)])
    refusal = unit.refused("ReserveFunds", [an_item(b, 31)])
    unit.did("ReserveFunds", [an_item(b, 30)])
    on_the_node = unit.refused("ReserveFunds", [an_item(parent_id, 1)])

    assert minor(full.appropriation.total) == 100_00
    assert unit.figures(a)[-1] == -10
    assert unit.figures(parent_id) == (100, 0, 0, 0, 0, 0)
    assert refusal.metadata["budget_line_id"] == parent_id
    assert refusal.metadata["short_by"] == "1"
    assert on_the_node.reason == "BUDGET_LINE_NOT_ACTIVE"


def test_the_execution_report_adds_up_by_unit_and_account_and_pages_through_lines(unit: Unit):
    line_ids = unit.lines(*range(1_000, 1_007))
    unit.allotted("0.5", (1, 6))
    unit.did("ReserveFunds", [an_item(line_ids[0], 100)])
    unit.did("ObligateFunds", [an_item(line_ids[1], 200)], document=a_document(2))
    token = unit.token("budget_officer")

    def report(**values) -> budget_pb2.GetExecutionReportResponse:
        request = budget_pb2.GetExecutionReportRequest(agency_id=str(unit.agency_id), fiscal_year=YEAR, **values)
        return call_as(unit.budget.GetExecutionReport, request, token)

    rows, page = [], report(page_size=3)
    while True:
        rows += page.rows
        if not page.next_page_token:
            break
        page = report(page_size=3, page_token=page.next_page_token)
    by_account = report(level=budget_pb2.EXECUTION_REPORT_LEVEL_UNIT_AND_ACCOUNT, account_segments=3)

    assert [row.budget_line_id for row in rows] == sorted(line_ids)
    (row,) = by_account.rows
    assert (row.organisation_code, row.account_code, row.line_count) == ("1.02.01", "5.1.02", 7)
    assert row.figures == by_account.totals
    original = sum(range(1_000, 1_007)) * 100
    assert minor(row.figures.original) == minor(row.figures.revised) == original
    assert minor(row.figures.released) == original // 2
    assert (minor(row.figures.reserved), minor(row.figures.obligated)) == (100_00, 200_00)
    assert minor(row.figures.available) == original - 300_00


def test_lists_filter_by_account_prefix_in_whole_segments(unit: Unit):
    unit.lines(1_000)
    token = unit.token("budget_officer")

    def count(prefix: str) -> int:
        request = budget_pb2.ListBudgetLinesRequest(agency_id=str(unit.agency_id), account_prefix=prefix)
        return len(call_as(unit.budget.ListBudgetLines, request, token).budget_lines)

    assert (count("5.1.02"), count("5.1.02."), count("5.1.0"), count(GOODS)) == (1, 1, 0, 1)


def test_another_agencys_lines_are_not_seen(unit: Unit, books: Books):
    (line_id,) = unit.lines(1_000)
    stranger = books.token([uuid4()], "finance.budget_officer")

    refusal = refused(
        unit.budget.GetBudgetLine, budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{line_id}"), stranger
    )

    assert refusal.code is grpc.StatusCode.NOT_FOUND


def test_authority_counts_in_the_month_in_which_its_entry_stands(unit: Unit):
    unit.agency.close(1, hard=True)
    unit.lines(100)

    days = unit.agency.row(
        "select m.accounting_on, e.accounting_on from funds_movement m join journal_entry e using (journal_entry_id)"
        " where m.agency_id = %s",
        unit.agency_id,
    )

    assert days == (date(YEAR, 2, 1), date(YEAR, 2, 1)), "January is closed for good"
