"""What stops a carry-over beside balances and budgets: funds that hold something, templates that go on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chassis.testing import call_as, refused
from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import account_pb2, combination_rule_pb2, journal_template_pb2, ledger_pb2
from tests.integration.finance.books import EXPENSE, FUND, Agency, Books, line, rid
from tests.integration.finance.test_classification_carry_over import FIRST_DAY, NEXT, OTHER, Charts
from tests.integration.finance.test_ledger_schedule import Schedule


@pytest.fixture
def charts(books: Books) -> Charts:
    return Charts(books)


def test_a_fund_does_not_end_while_it_holds_something(charts: Charts, agency: Agency):
    asset, debt = charts.account("a"), "2.1.06.99"
    fund = f"F{charts.mark}"

    def hold(first_day: date, **values: Any) -> None:
        value = dimension_value("FUND", fund, fund, first_day)
        value.MergeFrom(account_pb2.DimensionValue(**values))
        request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
        call_as(agency.books.accounts.BatchCreateDimensionValues, request, charts.token)

    def given(code: str, *sides: int | None) -> ledger_pb2.JournalLine:
        return line(code, *sides, fund_code=fund)

    hold(date(2021, 1, 1), valid_to=to_date(FIRST_DAY))
    agency.open_year(NEXT)
    tag = {"fund_code": fund, "budget_line_id": str(agency.budget_line(40, fund_code=fund))}
    agency.post(agency.entry(line(EXPENSE, 40, **tag), line(debt, None, 40, **tag)))
    agency.post(agency.entry(given(asset, 70), given(OTHER, None, 70)))

    why = charts.not_carried(agency)
    listed = charts.uncarried(agency)
    successor = refused(
        charts.stub.BatchCreateCodeSuccessions,
        charts.request((fund, FUND), segment=combination_rule_pb2.CLASSIFICATION_SEGMENT_FUND),
        charts.token,
    )

    assert (why.reason, why.metadata["codes"]) == ("CARRY_OVER_INCOMPLETE", f"FUND {fund}")
    assert "A fund has no successor" in why.message
    assert [(one.code, one.has_balance, one.has_budget) for one in listed] == [(fund, True, True)]
    assert successor.reason == "SUCCESSION_INVALID"
    hold(FIRST_DAY)
    assert charts.uncarried(agency) == []
    assert list(charts.carried(agency).carried_balances) == []


def test_a_fund_that_gave_all_away_may_end(charts: Charts, agency: Agency):
    asset, fund = charts.account("a"), f"F{charts.mark}"
    value = dimension_value("FUND", fund, fund, date(2021, 1, 1))
    value.valid_to.CopyFrom(to_date(FIRST_DAY))
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
    call_as(agency.books.accounts.BatchCreateDimensionValues, request, charts.token)
    agency.open_year(NEXT)
    agency.post(agency.entry(line(asset, 70, fund_code=fund), line(OTHER, None, 70, fund_code=fund)))
    assert [one.code for one in charts.uncarried(agency)] == [fund]

    agency.post(
        agency.entry(
            line(OTHER, 70, fund_code=fund),
            line(asset, None, 70, fund_code=fund),
            line(asset, 70),
            line(OTHER, None, 70),
        )
    )

    assert charts.uncarried(agency) == []


def test_a_template_that_goes_on_names_no_code_that_ends_without_successor(charts: Charts, agency: Agency):
    lost, kept = charts.account("a", valid_to=to_date(FIRST_DAY)), charts.account("b")
    agency.open_year(NEXT)
    schedule = Schedule(agency)
    made = schedule.template(lines=[line(lost, 5), line(OTHER, None, 5)], first_due_on=to_date(date(NEXT, 3, 31)))
    schedule.template(lines=[line(lost, 5), line(OTHER, None, 5)], last_due_on=to_date(date(NEXT - 1, 12, 31)))

    listed = charts.uncarried(agency)
    why = charts.not_carried(agency)
    end = journal_template_pb2.EndJournalTemplateRequest(
        name=made.name, last_due_on=to_date(date(NEXT - 1, 12, 31)), request_id=rid()
    )
    call_as(schedule.stub.EndJournalTemplate, end, agency.accountant)

    assert [(one.code, one.has_balance, one.has_journal_template) for one in listed] == [(lost, False, True)]
    assert why.reason == "CARRY_OVER_INCOMPLETE"
    assert charts.uncarried(agency) == []
    schedule.template(lines=[line(lost, 5), line(OTHER, None, 5)])
    charts.follow((lost, kept))
    assert charts.uncarried(agency) == [], "it goes on under the code that follows"
