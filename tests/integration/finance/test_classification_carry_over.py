"""From one chart to the next, over the public API: balances and obligations land on the codes that follow."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from google.type import money_pb2
from sqlalchemy import create_engine

from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import from_money, to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import (
    account_pb2,
    budget_year_end_pb2,
    carry_over_pb2,
    carry_over_pb2_grpc,
    combination_rule_pb2,
    ledger_pb2,
)
from services.finance.ledger import verify as ledger_verify
from tests.integration.finance.books import ACCRUAL, EXPENSE, YEAR, Agency, Books, line, money, rid
from tests.integration.finance.ending import Ending
from tests.integration.finance.funds import Unit, activation, an_item, new_line
from tests.integration.finance.test_budget_years import Building
from tests.integration.finance.test_ledger_schedule import Schedule

NEXT = YEAR + 1
FIRST_DAY = date(NEXT, 1, 1)
ACCOUNT = combination_rule_pb2.CLASSIFICATION_SEGMENT_ACCOUNT
FUNCTION = combination_rule_pb2.CLASSIFICATION_SEGMENT_FUNCTION
OTHER = "7.1.01.01"


class Charts:
    """Accounts and functions of one test, so that ending them hurts nobody else."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.stub = carry_over_pb2_grpc.CarryOverServiceStub(books.service.channel)
        self.token = books.token([uuid4()])
        self.mark = uuid4().hex[:8]

    def account(self, name: str, **values: Any) -> str:
        """An asset that lines may name."""
        code = f"1.1.01.07.{self.mark}{name}"
        account = account_pb2.Account(
            **{
                "code": code,
                "parent_code": "1.1.01.07",
                "display_name": name,
                "kind": account_pb2.ACCOUNT_KIND_ASSET,
                "normal_side": account_pb2.NORMAL_SIDE_DEBIT,
                "basis": ACCRUAL,
                "postable": True,
                "valid_from": to_date(date(2021, 1, 1)),
                **values,
            }
        )
        request = account_pb2.BatchCreateAccountsRequest(accounts=[account], request_id=rid())
        call_as(self.books.accounts.BatchCreateAccounts, request, self.token)
        return code

    def function(self, name: str) -> str:
        code = f"F{self.mark}{name}"
        value = dimension_value("FUNCTION", code, code, date(2021, 1, 1))
        request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
        call_as(self.books.accounts.BatchCreateDimensionValues, request, self.token)
        return code

    def request(self, *pairs: tuple[str, str], segment: int = ACCOUNT) -> Any:
        """Successions on the first day of next year; the first successor named of a code is its default."""
        seen: set[str] = set()
        successions = []
        for old, new in pairs:
            successions.append(
                carry_over_pb2.CodeSuccession(
                    segment=segment,  # type: ignore[arg-type]  # an enum's number
                    old_code=old,
                    new_code=new,
                    effective_on=to_date(FIRST_DAY),
                    is_default=old not in seen,
                    legal_source="the chart of next year",
                )
            )
            seen.add(old)
        return carry_over_pb2.BatchCreateCodeSuccessionsRequest(code_successions=successions, request_id=rid())

    def follow(self, *pairs: tuple[str, str], segment: int = ACCOUNT) -> Any:
        return call_as(self.stub.BatchCreateCodeSuccessions, self.request(*pairs, segment=segment), self.token)

    def carried(self, agency: Agency) -> carry_over_pb2.BalanceCarryOver:
        request = carry_over_pb2.CarryOverBalancesRequest(agency_id=str(agency.agency_id), year=NEXT, request_id=rid())
        return call_as(self.stub.CarryOverBalances, request, agency.authority()).balance_carry_over

    def not_carried(self, agency: Agency) -> Refusal:
        request = carry_over_pb2.CarryOverBalancesRequest(agency_id=str(agency.agency_id), year=NEXT, request_id=rid())
        return refused(self.stub.CarryOverBalances, request, agency.authority())

    def uncarried(self, agency: Agency) -> list[carry_over_pb2.UncarriedCode]:
        request = carry_over_pb2.ListUncarriedCodesRequest(agency_id=str(agency.agency_id), year=NEXT)
        return list(call_as(self.stub.ListUncarriedCodes, request, agency.accountant).uncarried_codes)


@pytest.fixture
def charts(books: Books) -> Charts:
    return Charts(books)


def problems(books: Books) -> list[str]:
    engine = create_engine(sqlalchemy_url(books.database.reader_url))
    with engine.connect() as connection:
        found = ledger_verify.problems(connection)
    engine.dispose()
    return [f"{one.invariant} {one.what}" for one in found]


def amounts(agency: Agency, *codes: str, **values: Any) -> list[int]:
    balances = agency.balances(**values)
    return [balances.get(code, 0) for code in codes]


def test_a_balance_goes_over_to_the_successor_on_the_first_day(charts: Charts, agency: Agency):
    old, other, new = charts.account("a"), charts.account("b"), charts.account("c")
    agency.open_year(NEXT)
    agency.post(agency.entry(line(old, 70), line(OTHER, None, 70)))
    agency.post(agency.entry(line(other, 30), line(OTHER, None, 30)))
    charts.follow((old, new), (other, new))

    done = charts.carried(agency)

    assert amounts(agency, old, other, new) == [0, 0, 100_00]
    assert amounts(agency, old, other, new, as_of=to_date(date(YEAR, 12, 31))) == [70_00, 30_00, 0]
    assert {(one.old_account_code, one.new_account_code, one.amount.units) for one in done.carried_balances} == {
        (old, new, 70),
        (other, new, 30),
    }
    (stored,) = done.journal_entry_ids
    shown = call_as(
        agency.books.ledger.GetJournalEntry,
        ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{stored}"),
        agency.accountant,
    )
    assert (shown.accounting_on, shown.source_kind) == (to_date(FIRST_DAY), "OPENING")
    assert problems(agency.books) == []


def test_from_the_first_day_on_only_the_successor_takes_postings(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    charts.follow((old, new))

    agency.post(agency.entry(line(old, 5), line(OTHER, None, 5), on=date(YEAR, 12, 31)))
    why = agency.refused(agency.entry(line(old, 5), line(OTHER, None, 5), on=FIRST_DAY))
    agency.post(agency.entry(line(new, 5), line(OTHER, None, 5), on=FIRST_DAY))

    assert why.reason == "ACCOUNT_UNKNOWN"


def test_a_journal_template_goes_on_under_the_codes_that_follow(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    before, after = charts.function("c"), charts.function("d")
    agency.open_year(NEXT)
    schedule = Schedule(agency)
    schedule.template(
        first_due_on=to_date(date(YEAR, 12, 15)),
        last_due_on=to_date(date(NEXT, 1, 15)),
        lines=[line(old, 5, function_code=before), line(OTHER, None, 5)],
    )
    charts.follow((old, new))
    charts.follow((before, after), segment=FUNCTION)

    posted = schedule.run(date(NEXT, 1, 15))

    entries = [schedule.entry(one) for one in posted]
    assert [(entry.lines[0].account_code, entry.lines[0].function_code) for entry in entries] == [
        (old, before),
        (new, after),
    ]
    assert amounts(agency, old, new) == [5_00, 5_00]


def test_a_second_run_carries_what_was_posted_since(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    agency.post(agency.entry(line(old, 70), line(OTHER, None, 70)))
    charts.follow((old, new))
    charts.carried(agency)
    agency.post(agency.entry(line(old, 5), line(OTHER, None, 5), on=date(YEAR, 12, 31)))

    again, nothing = charts.carried(agency), charts.carried(agency)

    assert [one.amount.units for one in again.carried_balances] == [5]
    assert (list(nothing.carried_balances), list(nothing.journal_entry_ids)) == ([], [])
    assert amounts(agency, old, new) == [0, 75_00]
    listed = carry_over_pb2.ListBalanceCarryOversRequest(agency_id=str(agency.agency_id), page_size=2)
    page = call_as(charts.stub.ListBalanceCarryOvers, listed, agency.accountant)
    assert list(page.balance_carry_overs) == [nothing, again]
    assert page.next_page_token


def test_foreign_balances_keep_both_amounts(charts: Charts, agency: Agency):
    old, new = charts.account("a"), charts.account("b")
    agency.open_year(NEXT)
    dollars = {"functional_amount": money(1_550_000, "IDR")}
    agency.post(
        agency.entry(
            line(old, money(100, "USD"), **dollars),
            line(OTHER, None, 1_550_000),
        )
    )
    charts.follow((old, new))

    charts.carried(agency)

    request = ledger_pb2.GetTrialBalanceRequest(agency_id=str(agency.agency_id), basis=ACCRUAL, page_size=500)
    rows = {
        row.account_code: row for row in call_as(agency.books.ledger.GetTrialBalance, request, agency.accountant).rows
    }
    assert (_minor(rows[new].balance), _minor(rows[new].functional_balance)) == (100_00, 1_550_000_00)
    assert (_minor(rows[old].balance), _minor(rows[old].functional_balance)) == (0, 0)


def _minor(amount: money_pb2.Money) -> int:
    found = from_money(amount, "amount")
    return found.minor if found is not None else 0


def test_a_split_code_goes_over_to_its_default(charts: Charts, agency: Agency):
    old, default, rest = charts.account("a"), charts.account("b"), charts.account("c")
    agency.open_year(NEXT)
    agency.post(agency.entry(line(old, 70), line(OTHER, None, 70)))
    charts.follow((old, default), (old, rest))

    charts.carried(agency)

    assert amounts(agency, old, default, rest) == [0, 70_00, 0]


def test_a_code_that_ends_without_successor_is_listed_and_stops_the_carry_over(charts: Charts, agency: Agency):
    ends = to_date(FIRST_DAY)
    lost, kept = charts.account("a", valid_to=ends), charts.account("b")
    agency.open_year(NEXT)
    agency.post(agency.entry(line(lost, 70), line(kept, None, 70)))

    why = charts.not_carried(agency)

    assert (why.reason, why.metadata["codes"]) == ("CARRY_OVER_INCOMPLETE", f"ACCOUNT {lost}")
    assert [(one.code, one.has_balance, one.has_budget) for one in charts.uncarried(agency)] == [(lost, True, False)]
    charts.follow((lost, kept))
    assert charts.uncarried(agency) == []
    charts.carried(agency)
    assert amounts(agency, lost, kept) == [0, 0]


def test_a_code_that_ended_empty_needs_no_successor(charts: Charts, agency: Agency):
    charts.account("a", valid_to=to_date(FIRST_DAY))
    agency.open_year(NEXT)

    assert charts.uncarried(agency) == []
    assert list(charts.carried(agency).carried_balances) == []


def test_successors_are_of_one_nature_and_in_their_tree(charts: Charts):
    old = charts.account("a")
    cash = charts.account("b", kind=account_pb2.ACCOUNT_KIND_CASH)

    why = refused(charts.stub.BatchCreateCodeSuccessions, charts.request((old, cash)), charts.token)
    unknown = refused(charts.stub.BatchCreateCodeSuccessions, charts.request((old, "no such")), charts.token)

    assert (why.reason, why.metadata["differs"]) == ("SUCCESSION_INVALID", "kind")
    assert unknown.reason == "SEGMENT_UNKNOWN"


def test_a_loader_may_run_again_and_successions_are_listed(charts: Charts):
    old, new = charts.account("a"), charts.account("b")
    made = charts.follow((old, new))

    again = charts.follow((old, new))
    listed: list[carry_over_pb2.CodeSuccession] = []
    request = carry_over_pb2.ListCodeSuccessionsRequest(segment=ACCOUNT, page_size=2)
    while True:
        page = call_as(charts.stub.ListCodeSuccessions, request, charts.token)
        listed += page.code_successions
        request.page_token = page.next_page_token
        if not request.page_token:
            break

    assert again.existing_count == 1
    assert made.code_successions[0] in listed
    assert len({one.name for one in listed}) == len(listed)


# --- the budget ----------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(books: Books) -> Ending:
    return Ending(books)


def _lines(unit: Unit, year: int, *lines: Any) -> list[str]:
    """Active lines of a year."""
    request = unit.import_request(list(lines), fiscal_year=year)
    draft = call_as(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))
    call_as(
        unit.budget.ActivateAppropriation,
        activation(draft.appropriation, effective_on=to_date(date(year, 1, 2))),
        unit.token("budget_authority"),
    )
    return list(draft.budget_line_ids)


def test_obligations_go_over_to_the_line_of_the_successor(charts: Charts, unit: Ending):
    old, new = charts.function("a"), charts.function("b")
    (before,) = _lines(unit, YEAR, new_line(1_000, function_code=old))
    (after,) = _lines(unit, NEXT, new_line(0, function_code=new))
    unit.did("ObligateFunds", [an_item(before, 200)])
    charts.follow((old, new), segment=FUNCTION)

    ended = unit.ended()

    assert ended.carried.units == 200
    assert unit.figures(after) == (0, 200, 0, 0, 0, 0)
    assert unit.problems() == []


def test_a_projects_codes_may_end_within_its_span(charts: Charts, unit: Ending):
    old, new = charts.function("a"), charts.function("b")
    unit.agency.open_year(NEXT + 1)
    project = unit.import_request([new_line(1_000, function_code=old)], last_fiscal_year=NEXT)
    draft = call_as(unit.budget.ImportAppropriation, project, unit.token("budget_officer"))
    call_as(unit.budget.ActivateAppropriation, activation(draft.appropriation), unit.token("budget_authority"))
    unit.did("ObligateFunds", [an_item(draft.budget_line_ids[0], 200)])
    charts.follow((old, new), segment=FUNCTION)
    (after,) = _lines(unit, NEXT + 1, new_line(0, function_code=new))

    ended = unit.ended(fiscal_year=NEXT, opened_on=to_date(date(NEXT + 1, 1, 2)))

    assert ended.carried.units == 200
    assert unit.figures(after)[1] == 200
    assert unit.problems() == []


def test_a_waiting_slice_of_a_contract_finds_the_line_of_the_successor(charts: Charts, books: Books):
    unit = Building(books)
    old, new = charts.function("a"), charts.function("b")
    (before,) = _lines(unit, YEAR, new_line(500, function_code=old))
    contract = unit.authorised(unit.contract(before, 100, 200))
    charts.follow((old, new), segment=FUNCTION)

    (after,) = _lines(unit, NEXT, new_line(500, function_code=new))

    assert unit.now(contract).slices[1].budget_line_id == after
    assert unit.figures(after)[1] == 200
    assert unit.problems() == []


def test_two_lines_may_become_one(charts: Charts, unit: Ending):
    one, two, new = charts.function("a"), charts.function("b"), charts.function("c")
    first, second = _lines(unit, YEAR, new_line(500, function_code=one), new_line(500, function_code=two))
    (after,) = _lines(unit, NEXT, new_line(0, function_code=new))
    unit.did("ObligateFunds", [an_item(first, 200)])
    unit.did("ObligateFunds", [an_item(second, 50)])
    charts.follow((one, new), (two, new), segment=FUNCTION)

    unit.ended()

    assert unit.figures(after)[1] == 250
    assert unit.problems() == []


def test_a_budget_year_does_not_end_while_a_code_of_it_has_no_successor(charts: Charts, unit: Ending):
    old, new = charts.function("a"), charts.function("b")
    lost = f"F{charts.mark}z"
    value = dimension_value("FUNCTION", lost, lost, date(2021, 1, 1))
    value.valid_to.CopyFrom(to_date(FIRST_DAY))
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
    call_as(charts.books.accounts.BatchCreateDimensionValues, request, charts.token)
    _lines(unit, YEAR, new_line(500, function_code=old), new_line(500, line_no=2, function_code=lost))
    charts.follow((old, new), segment=FUNCTION)

    why = unit.not_ended()

    assert why.reason == "BUDGET_YEAR_END_BLOCKED"
    assert why.metadata["blocker_count"] == "1"
    assert f"FUNCTION {lost} ends before {NEXT} and has no successor" in why.metadata["blocker_1"]
    charts.follow((lost, new), segment=FUNCTION)
    assert unit.ended().status == budget_year_end_pb2.BUDGET_YEAR_END_STATUS_APPROVED


def test_a_debt_goes_over_to_the_new_account_and_then_to_the_new_line(charts: Charts, unit: Ending):
    payable = {
        "parent_code": "2.1.06.99",
        "kind": account_pb2.ACCOUNT_KIND_PAYABLE,
        "normal_side": account_pb2.NORMAL_SIDE_CREDIT,
    }
    old, new = charts.account("p", **payable), charts.account("q", **payable)
    (before,) = _lines(unit, YEAR, new_line(1_000))
    (after,) = _lines(unit, NEXT, new_line(0))
    tag = {"budget_line_id": before}
    unit.agency.post(unit.agency.entry(line(EXPENSE, 100, **tag), line(old, None, 100, **tag)))
    charts.follow((old, new))

    why = unit.not_ended()
    charts.carried(unit.agency)
    carried = unit.problems()
    unit.ended()

    assert why.reason == "BUDGET_YEAR_END_BLOCKED"
    assert f"account {old}, which has ended" in why.metadata["blocker_1"]
    # E of the line is what is owed under it (F5), before and after the debt changes its line.
    assert carried == []
    assert unit.figures(after)[2] == 100
    assert unit.problems() == []
    assert amounts(unit.agency, old, new) == [0, -100_00]
