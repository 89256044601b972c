"""Reports by COFOG and GFSM 2014 over the public API: nothing is lost between the chart and the classes."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date, to_timestamp
from cli.load.classes import class_mappings, reporting_classes
from kelola.finance.v1 import (
    budget_pb2,
    combination_rule_pb2,
    ledger_pb2,
    reporting_class_pb2,
    reporting_class_pb2_grpc,
)
from tests.integration.finance.books import ACCRUAL, YEAR, Agency, Books, line, minor, rid
from tests.integration.finance.funds import Unit, an_item, new_line

HEALTH, CULTURE = "06", "07.01"


class Classes:
    """The pack's classes and mappings, loaded as `kelola load chart` does."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.stub = reporting_class_pb2_grpc.ReportingClassServiceStub(books.service.channel)
        self.token = books.token([uuid4()])

    def load(self) -> None:
        classes = reporting_class_pb2.BatchCreateReportingClassesRequest(
            reporting_classes=reporting_classes(), request_id=rid()
        )
        call_as(self.stub.BatchCreateReportingClasses, classes, self.token)
        mappings = reporting_class_pb2.BatchCreateClassMappingsRequest(
            class_mappings=class_mappings(), request_id=rid()
        )
        call_as(self.stub.BatchCreateClassMappings, mappings, self.token)

    def execution(self, unit: Unit, scheme: str, **values: Any) -> reporting_class_pb2.GetExecutionByClassResponse:
        request = reporting_class_pb2.GetExecutionByClassRequest(
            **{"agency_id": str(unit.agency_id), "fiscal_year": YEAR, "scheme": scheme, **values}
        )
        return call_as(self.stub.GetExecutionByClass, request, unit.token("budget_officer"))

    def turnover(self, agency: Agency, scheme: str, **values: Any) -> reporting_class_pb2.GetTurnoverByClassResponse:
        request = reporting_class_pb2.GetTurnoverByClassRequest(
            **{"agency_id": str(agency.agency_id), "basis": ACCRUAL, "scheme": scheme, **values}
        )
        return call_as(self.stub.GetTurnoverByClass, request, agency.accountant)


@pytest.fixture(scope="module")
def classes(books: Books) -> Classes:
    made = Classes(books)
    made.load()
    return made


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def budgeted(unit: Unit) -> list[str]:
    """Health 100, culture 40, and 7 without a function: the last one on salaries."""
    lines = [
        new_line(100, function_code=HEALTH),
        new_line(40, line_no=2, function_code=CULTURE),
        new_line(7, line_no=3, account="5.1.01.01.01"),
    ]
    draft = call_as(unit.budget.ImportAppropriation, unit.import_request(lines), unit.token("budget_officer"))
    unit.activated(draft.appropriation)
    return list(draft.budget_line_ids)


def originals(report: reporting_class_pb2.GetExecutionByClassResponse) -> dict[str, int]:
    return {row.class_code: minor(row.figures.original) // 100 for row in report.rows}


def test_execution_by_function_is_the_unmapped_report_in_other_rows(classes: Classes, unit: Unit):
    lines = budgeted(unit)
    unit.did("ReserveFunds", [an_item(lines[0], 30)])

    report = classes.execution(unit, "COFOG")

    # Culture belongs where its parent belongs (COFOG 08); what has no function stands in a row of its own.
    assert originals(report) == {"": 7, "07": 100, "08": 40}
    assert {row.class_code: row.display_name for row in report.rows}["07"] == "Health"
    assert [minor(row.figures.reserved) // 100 for row in report.rows] == [0, 30, 0]
    request = budget_pb2.GetExecutionReportRequest(agency_id=str(unit.agency_id), fiscal_year=YEAR)
    plain = call_as(unit.budget.GetExecutionReport, request, unit.token("budget_officer"))
    assert list(report.totals) == [plain.totals]
    assert sum(row.line_count for row in report.rows) == plain.line_count


def test_execution_by_economic_class(classes: Classes, unit: Unit):
    budgeted(unit)

    assert originals(classes.execution(unit, "GFSM2014")) == {"21": 7, "22": 140}


def test_execution_adds_up_along_the_tree_of_any_segment(classes: Classes, unit: Unit):
    budgeted(unit)
    function = {"segment": combination_rule_pb2.CLASSIFICATION_SEGMENT_FUNCTION}
    account = {"segment": combination_rule_pb2.CLASSIFICATION_SEGMENT_ACCOUNT}

    by_root = classes.execution(unit, "", **function, depth=1)

    # Culture lies under 07; what has no function stands in a row of its own.
    assert originals(by_root) == {"": 7, HEALTH: 100, CULTURE[:2]: 40}
    assert originals(classes.execution(unit, "", **function)) == {"": 7, HEALTH: 100, CULTURE: 40}
    assert all(row.display_name for row in by_root.rows if row.class_code)
    assert [originals(classes.execution(unit, "", **account, depth=depth)) for depth in (1, 2, 3)] == [
        {"5": 147},
        {"5.1": 147},
        {"5.1.01": 7, "5.1.02": 140},
    ]
    assert list(by_root.totals) == list(classes.execution(unit, "COFOG").totals)


def test_turnover_adds_up_along_the_tree_of_accounts(classes: Classes, agency: Agency):
    posted(agency)
    account = {"segment": combination_rule_pb2.CLASSIFICATION_SEGMENT_ACCOUNT}

    by_root = classes.turnover(agency, "", **account, depth=1)

    assert turned(by_root) == {"1": 63, "7": -63}
    assert turned(classes.turnover(agency, "", **account, depth=3)) == {"1.1.01": 63, "7.1.01": -63}
    assert [one.debit for one in by_root.totals] == [one.debit for one in plain(agency).totals]


def test_a_report_has_a_scheme_or_a_segment(classes: Classes, unit: Unit):
    function = {"segment": combination_rule_pb2.CLASSIFICATION_SEGMENT_FUNCTION}
    for values, field in (
        ({}, "scheme"),
        ({"scheme": "COFOG", **function}, "scheme"),
        ({"scheme": "COFOG", "depth": 1}, "depth"),
    ):
        request = reporting_class_pb2.GetExecutionByClassRequest(
            agency_id=str(unit.agency_id), fiscal_year=YEAR, **values
        )

        assert refused(classes.stub.GetExecutionByClass, request, unit.token("budget_officer")).fields == (field,)


def test_pages_of_a_report_are_its_rows(classes: Classes, unit: Unit):
    budgeted(unit)
    whole = classes.execution(unit, "COFOG")

    rows, token = [], ""
    while True:
        page = classes.execution(unit, "COFOG", page_size=1, page_token=token)
        assert list(page.totals) == list(whole.totals)
        rows += page.rows
        token = page.next_page_token
        if not token:
            break

    assert rows == list(whole.rows)


def turned(report: reporting_class_pb2.GetTurnoverByClassResponse) -> dict[str, int]:
    return {row.class_code: minor(row.balance) // 100 for row in report.rows}


def posted(agency: Agency) -> None:
    """Taxes of March, for health and culture, and one of April without a function."""
    march, april = date(YEAR, 3, 10), date(YEAR, 4, 2)
    for amount, day, function in ((50, march, HEALTH), (8, date(YEAR, 3, 31), CULTURE), (5, april, "")):
        agency.post(
            agency.entry(line("1.1.01.07", amount, function_code=function), line("7.1.01.01", None, amount), on=day)
        )


def plain(agency: Agency, **values: Any) -> ledger_pb2.GetTrialBalanceResponse:
    request = ledger_pb2.GetTrialBalanceRequest(agency_id=str(agency.agency_id), basis=ACCRUAL, page_size=500, **values)
    return call_as(agency.books.ledger.GetTrialBalance, request, agency.accountant)


@pytest.mark.parametrize("scheme", ["COFOG", "GFSM2014"])
@pytest.mark.parametrize("as_of", [None, date(YEAR, 3, 31), date(YEAR, 3, 15)])
def test_turnover_by_class_has_the_totals_of_the_trial_balance(
    classes: Classes, agency: Agency, scheme: str, as_of: date | None
):
    posted(agency)
    day = {} if as_of is None else {"as_of": to_date(as_of)}

    for values in (day, {**day, "known_at": to_timestamp(datetime.now(UTC) + timedelta(days=1))}):
        report, whole = classes.turnover(agency, scheme, **values), plain(agency, **values)

        assert [(one.debit, one.credit) for one in report.totals] == [(one.debit, one.credit) for one in whole.totals]
        assert sum(minor(row.debit) for row in report.rows) == sum(minor(row.debit) for row in whole.rows)
        assert sum(row.line_count for row in report.rows) == sum(row.line_count for row in whole.rows)


def test_turnover_by_account_and_by_function(classes: Classes, agency: Agency):
    posted(agency)
    agency.post(agency.entry(line("1.1.01.07", 3), line("3.1.01.01", None, 3), on=date(YEAR, 3, 20)))

    # Equity is no class of GFSM 2014: it is shown as that, not left out.
    assert turned(classes.turnover(agency, "GFSM2014")) == {"": -3, "11": -63, "3202": 66}
    assert turned(classes.turnover(agency, "COFOG")) == {"": 5 - 63, "07": 50, "08": 8}
    assert turned(classes.turnover(agency, "COFOG", as_of=to_date(date(YEAR, 3, 15)))) == {"": -50, "07": 50}


def test_what_was_known_before_is_what_is_shown(classes: Classes, agency: Agency):
    posted(agency)
    # Knowledge stays a second behind the clock (domain rules §7).
    time.sleep(1.2)
    instant = to_timestamp(datetime.now(UTC))
    before = classes.turnover(agency, "COFOG", known_at=instant)
    agency.post(agency.entry(line("1.1.01.07", 1000, function_code=HEALTH), line("7.1.01.01", None, 1000)))

    again = classes.turnover(agency, "COFOG", known_at=before.known_at)

    assert (list(again.rows), list(again.totals)) == (list(before.rows), list(before.totals))


def test_a_dated_mapping_answers_for_its_day(classes: Classes, unit: Unit):
    scheme = f"S{uuid4().hex[:8].upper()}"
    made = [reporting_class_pb2.ReportingClass(scheme=scheme, code=code, display_name=code) for code in ("OLD", "NEW")]
    request = reporting_class_pb2.BatchCreateReportingClassesRequest(reporting_classes=made, request_id=rid())
    call_as(classes.stub.BatchCreateReportingClasses, request, classes.token)

    def rule(class_code: str, first: date, last: date | None) -> reporting_class_pb2.ClassMapping:
        return reporting_class_pb2.ClassMapping(
            scheme=scheme,
            segment=combination_rule_pb2.CLASSIFICATION_SEGMENT_ACCOUNT,
            segment_code="5",
            class_code=class_code,
            legal_source="made up",
            valid_from=to_date(first),
            valid_to=to_date(last) if last else None,
        )

    changes = date(YEAR, 7, 1)
    mappings = [rule("OLD", date(2021, 1, 1), changes), rule("NEW", changes, None)]
    request = reporting_class_pb2.BatchCreateClassMappingsRequest(class_mappings=mappings, request_id=rid())
    call_as(classes.stub.BatchCreateClassMappings, request, classes.token)
    budgeted(unit)

    assert originals(classes.execution(unit, scheme)) == {"NEW": 147}
    assert originals(classes.execution(unit, scheme, mapped_on=to_date(date(YEAR, 6, 30)))) == {"OLD": 147}


def test_an_unknown_scheme_is_not_found(classes: Classes, unit: Unit):
    request = reporting_class_pb2.GetExecutionByClassRequest(
        agency_id=str(unit.agency_id), fiscal_year=YEAR, scheme="NACE"
    )

    assert refused(classes.stub.GetExecutionByClass, request, unit.token("budget_officer")).reason == "NOT_FOUND"


def test_loading_again_adds_nothing_and_lists_show_what_is_there(classes: Classes):
    wanted = reporting_classes()
    request = reporting_class_pb2.BatchCreateReportingClassesRequest(reporting_classes=wanted, request_id=rid())
    assert call_as(classes.stub.BatchCreateReportingClasses, request, classes.token).existing_count == len(wanted)

    listed = reporting_class_pb2.ListReportingClassesRequest(scheme="COFOG", page_size=500)
    shown = call_as(classes.stub.ListReportingClasses, listed, classes.token).reporting_classes
    assert [one.code for one in shown] == sorted(one.code for one in wanted if one.scheme == "COFOG")
    listed_rules = reporting_class_pb2.ListClassMappingsRequest(scheme="GFSM2014", page_size=500)
    rules = call_as(classes.stub.ListClassMappings, listed_rules, classes.token).class_mappings
    assert len(rules) == sum(one.scheme == "GFSM2014" for one in class_mappings())
