"""The engine knows no country: a year of Sembara (tests/data/sembara), with other years, coins, codes and limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.type import decimal_pb2, money_pb2
from sqlalchemy import create_engine

from chassis import country_pack
from chassis.local.databases import prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.migrate import sqlalchemy_url
from chassis.money import Money
from chassis.settings import ROOT
from chassis.testing import Refusal, TestKeys, call_as, refused, running
from chassis.wire import from_money, to_date, to_money
from cli.load.chart import Pack, dimension_value, mapping, rows_of
from cli.load.classes import class_mappings, combination_rules, reporting_classes
from kelola.finance.v1 import (
    account_pb2,
    attachment_pb2,
    attachment_pb2_grpc,
    budget_pb2,
    budget_pb2_grpc,
    carry_over_pb2,
    carry_over_pb2_grpc,
    combination_rule_pb2,
    combination_rule_pb2_grpc,
    joint_entry_pb2,
    joint_entry_pb2_grpc,
    ledger_pb2,
    reporting_class_pb2,
    reporting_class_pb2_grpc,
    year_end_pb2,
    year_end_pb2_grpc,
)
from kelola.finance.v1 import fiscal_calendar_pb2 as calendar_pb2
from services.finance.budget import verify as budget_verify
from services.finance.ledger import verify as ledger_verify
from services.finance.service import FinanceService
from tests.integration.finance.books import FUND, Agency, Books, rid
from tests.integration.finance.funds import UNIT, a_document

SEMBARA = Path(__file__).parent.parent.parent / "data" / "sembara"
# The year 2026 of Sembara: its first period is July 2025, its last June 2026.
YEAR, FIRST_DAY, LAST_DAY = 2026, date(2025, 7, 1), date(2026, 6, 30)
CURRENCY = "BHD"


def thousandths(amount: int) -> money_pb2.Money:
    """An amount in the currency's smallest unit."""
    return to_money(Money(amount, CURRENCY))


def chart() -> Pack:
    """Sembara's chart and mapping, as `kelola load` would send them."""
    pack = Pack([], [dimension_value("FUND", FUND, "the purse", FIRST_DAY)], [], [], FIRST_DAY)
    for row in rows_of(SEMBARA / "chart.csv"):
        pack.accounts.append(
            account_pb2.Account(
                code=row["code"],
                parent_code=row["parent_code"],
                display_name=row["name"],
                kind=account_pb2.AccountKind.Value(f"ACCOUNT_KIND_{row['kind']}"),
                normal_side=account_pb2.NormalSide.Value(f"NORMAL_SIDE_{row['normal_side']}"),
                basis=account_pb2.Basis.Value(f"BASIS_{row['basis']}"),
                postable=row["postable"] == "true",
                control=row["control"] == "true",
                funds_control=row["funds_control"] == "true",
                valid_from=to_date(FIRST_DAY),
            )
        )
    pack.mappings.extend(mapping(row) for row in rows_of(SEMBARA / "account_mapping.csv"))
    return pack


@pytest.fixture(scope="module")
def sembara(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """A finance service under Sembara's law. One process serves one government, so the pack is put back at the end."""
    database = prepare(postgres, "finance", name="finance_sembara")
    upgrade(database.settings())
    keys = TestKeys(tmp_path_factory.mktemp("sembara"))
    settings = keys.settings(
        "finance",
        database_app_url=database.app_url,
        database_owner_url=database.owner_url,
        database_reader_url=database.reader_url,
        country_pack_dir=SEMBARA,
    )
    try:
        with running(FinanceService, settings) as service:
            books = Books(service, database, postgres.url("finance_sembara"), keys)
            books.load(chart())
            yield books
    finally:
        country_pack.choose(ROOT / "data" / "id")


class Office:
    """An agency of Sembara with books of 2026 and two budget lines of 900.000 each."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.agency: Agency = books.agency(year=YEAR, currency=CURRENCY)
        self.budget = budget_pb2_grpc.BudgetServiceStub(books.service.channel)
        self.draft = self._imported()
        self.lines = list(self.draft.budget_line_ids)

    def token(self, role: str) -> str:
        return self.books.token([self.agency.agency_id], role)

    def _imported(self) -> budget_pb2.ImportAppropriationResponse:
        lines = [
            budget_pb2.AppropriationLine(
                fund_code=FUND,
                organisation_code=UNIT,
                account_code=account,
                line_no=1,
                original=thousandths(900_000),
            )
            for account in ("60.1", "60.2")
        ]
        return call_as(
            self.budget.ImportAppropriation,
            budget_pb2.ImportAppropriationRequest(
                agency_id=str(self.agency.agency_id),
                fiscal_year=YEAR,
                document_number="ACT/1",
                lines=lines,
                control_total=thousandths(1_800_000),
                request_id=rid(),
            ),
            self.token("finance.budget_officer"),
        )

    def activation(self, on: date) -> budget_pb2.ActivateAppropriationRequest:
        return budget_pb2.ActivateAppropriationRequest(
            name=self.draft.appropriation.name,
            control_line_count=2,
            control_total=thousandths(1_800_000),
            effective_on=to_date(on),
            request_id=rid(),
        )

    def ready(self) -> Office:
        """In force, with the quarter from July to September released, which limits orders."""
        authority = self.token("finance.budget_authority")
        call_as(self.budget.ActivateAppropriation, self.activation(FIRST_DAY), authority)
        limit = budget_pb2.PeriodLimit(
            agency_id=str(self.agency.agency_id),
            step=budget_pb2.PERIOD_LIMIT_STEP_OBLIGATE,
            legal_source="made up",
            valid_from=to_date(FIRST_DAY),
        )
        request = budget_pb2.BatchCreatePeriodLimitsRequest(period_limits=[limit], request_id=rid())
        call_as(self.budget.BatchCreatePeriodLimits, request, authority)
        request = budget_pb2.AllotFundsRequest(
            agency_id=str(self.agency.agency_id),
            fiscal_year=YEAR,
            document_number="RELEASE/1",
            month_from=1,
            month_to=3,
            cumulative_share=decimal_pb2.Decimal(value="0.25"),
            effective_on=to_date(FIRST_DAY),
            request_id=rid(),
        )
        call_as(self.budget.AllotFunds, request, authority)
        return self

    def order(self, amount: int, due: tuple[int, int], on: date) -> budget_pb2.ObligateFundsRequest:
        """An order on the first line, due in a calendar month."""
        share = budget_pb2.PeriodShare(year=due[0], month=due[1], amount=thousandths(amount))
        item = budget_pb2.FundsItem(
            document_line_id=str(uuid4()),
            budget_line_id=self.lines[0],
            amount=thousandths(amount),
            schedule=[share],
        )
        return budget_pb2.ObligateFundsRequest(
            agency_id=str(self.agency.agency_id),
            document=a_document(budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER),
            items=[item],
            effective_on=to_date(on),
            request_id=rid(),
        )

    def ordered(self, *order: Any) -> Any:
        return call_as(self.budget.ObligateFunds, self.order(*order), self.token("finance.budget_officer"))

    def refused(self, *order: Any) -> Refusal:
        return refused(self.budget.ObligateFunds, self.order(*order), self.token("finance.budget_officer"))

    def available(self) -> int:
        shown = call_as(
            self.budget.GetBudgetLine,
            budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{self.lines[0]}"),
            self.token("finance.budget_officer"),
        )
        found = from_money(shown.figures.available, "available")
        assert found is not None
        assert found.currency == CURRENCY
        return found.minor

    def spent(self, amount: int, on: date) -> ledger_pb2.JournalEntry:
        """Dr cost / Cr debt by hand, on the first line."""
        tag = {"basis": account_pb2.BASIS_ACCRUAL, "fund_code": FUND, "budget_line_id": self.lines[0]}
        cost = ledger_pb2.JournalLine(account_code="80.1", debit=thousandths(amount), **tag)
        debt = ledger_pb2.JournalLine(account_code="20.1", credit=thousandths(amount), **tag)
        return self.agency.post(self.agency.entry(cost, debt, on=on))

    def balances(self, as_of: date, **values: Any) -> dict[str, int]:
        """Debit less credit by ACCRUAL account on a day, in the smallest unit."""
        request = ledger_pb2.GetTrialBalanceRequest(
            agency_id=str(self.agency.agency_id),
            basis=account_pb2.BASIS_ACCRUAL,
            as_of=to_date(as_of),
            page_size=100,
            **values,
        )
        rows = call_as(self.books.ledger.GetTrialBalance, request, self.agency.accountant).rows
        found = {row.account_code: from_money(row.balance, "balance") for row in rows}
        return {code: amount.minor for code, amount in found.items() if amount is not None and amount.minor}

    def problems(self) -> list[str]:
        engine = create_engine(sqlalchemy_url(self.books.database.reader_url))
        with engine.connect() as connection:
            found = [*budget_verify.problems(connection), *ledger_verify.problems(connection)]
        engine.dispose()
        return [f"{one.invariant} {one.what}" for one in found]


@pytest.fixture
def office(sembara: Books) -> Office:
    return Office(sembara)


def test_a_fiscal_year_begins_when_the_law_says(office: Office):
    request = calendar_pb2.ListFiscalPeriodsRequest(agency_id=str(office.agency.agency_id), year=YEAR, page_size=100)
    periods = call_as(office.books.calendar.ListFiscalPeriods, request, office.agency.accountant).fiscal_periods

    spans = {one.number: (one.starts_on, one.ends_on) for one in periods}
    assert spans[1] == (to_date(FIRST_DAY), to_date(date(2025, 7, 31)))
    assert spans[8] == (to_date(date(2026, 2, 1)), to_date(date(2026, 2, 28)))
    assert spans[12] == (to_date(date(2026, 6, 1)), to_date(LAST_DAY))
    assert spans[13] == (to_date(LAST_DAY), to_date(LAST_DAY))


@pytest.mark.parametrize("day", [date(2025, 6, 30), date(2026, 7, 1)])
def test_a_budget_comes_into_force_in_its_own_year(office: Office, day: date):
    why = refused(office.budget.ActivateAppropriation, office.activation(day), office.token("finance.budget_authority"))

    assert (why.code.name, "2026" in why.message) == ("INVALID_ARGUMENT", True)


def test_releases_limit_orders_by_the_periods_of_the_fiscal_year(office: Office):
    office.ready()
    september, october = (2025, 9), (2025, 10)

    office.ordered(225_000, september, date(2025, 7, 10))
    why = office.refused(1, september, date(2025, 7, 10))

    assert why.reason == "ALLOTMENT_EXCEEDED"
    assert (why.metadata["month"], why.metadata["short_by"]) == ("3", "BHD 0.001")
    # October, the fourth period, lies beyond what has been released: nothing is checked there yet.
    office.ordered(1, october, date(2025, 7, 10))
    assert office.available() == 900_000 - 225_001
    # Seen from October on it is.
    assert office.refused(1, october, date(2025, 10, 1)).metadata["month"] == "4"
    assert office.problems() == []


def test_what_is_spent_counts_in_the_period_of_its_day(office: Office):
    office.ready()

    entry = office.spent(200_001, date(2026, 1, 31))

    stored = "select fiscal_year, period_number from journal_entry where journal_entry_id = %s"
    assert office.agency.row(stored, entry.journal_entry_id) == (YEAR, 7)
    # 0.225 is released to March and 0.200 spent by January; 25 more of January's order is one too many.
    assert office.refused(25_000, (2026, 1), date(2026, 1, 31)).metadata["short_by"] == "BHD 0.001"
    office.ordered(24_999, (2026, 1), date(2026, 1, 31))
    assert office.problems() == []


def test_a_year_closes_on_its_own_last_day_and_the_next_one_goes_on(office: Office):
    office.ready()
    office.spent(150_125, date(2026, 6, 29))
    office.spent(10_000, LAST_DAY)
    assert office.balances(date(2026, 6, 29)) == {"80.1": 150_125, "20.1": -150_125}

    agency = office.agency
    for number in range(1, 13):
        agency.close(number, hard=True, year=YEAR)
    request = calendar_pb2.OpenFiscalPeriodsRequest(
        agency_id=str(agency.agency_id), year=YEAR, first_number=13, request_id=rid()
    )
    call_as(office.books.calendar.OpenFiscalPeriods, request, agency.accountant)
    agency.open_year(YEAR + 1, currency=CURRENCY)
    closing = year_end_pb2.CloseFiscalYearRequest(agency_id=str(agency.agency_id), year=YEAR, request_id=rid())
    stub = year_end_pb2_grpc.YearEndServiceStub(office.books.service.channel)
    call_as(stub.CloseFiscalYear, closing, agency.authority())

    assert office.balances(LAST_DAY, without_closing=True) == {"80.1": 160_125, "20.1": -160_125}
    for day in (LAST_DAY, date(2026, 7, 1)):
        assert {code: sum_ for code, sum_ in office.balances(day).items() if sum_} == {
            "30.1": 160_125,
            "20.1": -160_125,
        }
    assert office.problems() == []


def test_no_amount_is_rounded_to_two_decimals(office: Office):
    office.ready()

    office.spent(1, date(2025, 8, 1))

    assert office.balances(LAST_DAY) == {"80.1": 1, "20.1": -1}
    assert office.available() == 899_999


def test_the_countrys_own_rules_say_which_combinations_may_be_posted(office: Office):
    office.ready()
    stub = combination_rule_pb2_grpc.CombinationRuleServiceStub(office.books.service.channel)
    request = combination_rule_pb2.BatchCreateCombinationRulesRequest(
        combination_rules=combination_rules(SEMBARA), request_id=rid()
    )
    call_as(stub.BatchCreateCombinationRules, request, office.agency.accountant)
    tag = {"basis": account_pb2.BASIS_ACCRUAL, "fund_code": FUND, "budget_line_id": office.lines[1]}
    cost = ledger_pb2.JournalLine(account_code="80.2", debit=thousandths(5), **tag)
    debt = ledger_pb2.JournalLine(account_code="20.1", credit=thousandths(5), **tag)

    why = office.agency.refused(office.agency.entry(cost, debt, on=date(2025, 8, 1)))

    assert (why.reason, why.metadata["rule"], why.metadata["on"]) == (
        "COMBINATION_FORBIDDEN",
        "REPAIRS-PLACE",
        "2025-08-01",
    )
    office.spent(5, date(2025, 8, 1))


def test_the_countrys_own_mapping_gives_the_classes_of_its_reports(office: Office):
    office.ready()
    office.spent(150_125, date(2025, 8, 1))
    stub = reporting_class_pb2_grpc.ReportingClassServiceStub(office.books.service.channel)
    classes = reporting_class_pb2.BatchCreateReportingClassesRequest(
        reporting_classes=reporting_classes(SEMBARA), request_id=rid()
    )
    call_as(stub.BatchCreateReportingClasses, classes, office.agency.accountant)
    mappings = reporting_class_pb2.BatchCreateClassMappingsRequest(
        class_mappings=class_mappings(SEMBARA), request_id=rid()
    )
    call_as(stub.BatchCreateClassMappings, mappings, office.agency.accountant)

    agency_id = str(office.agency.agency_id)
    execution = call_as(
        stub.GetExecutionByClass,
        reporting_class_pb2.GetExecutionByClassRequest(agency_id=agency_id, fiscal_year=YEAR, scheme="GFSM2014"),
        office.token("finance.budget_officer"),
    )
    turnover = call_as(
        stub.GetTurnoverByClass,
        reporting_class_pb2.GetTurnoverByClassRequest(
            agency_id=agency_id, basis=account_pb2.BASIS_ACCRUAL, scheme="GFSM2014", as_of=to_date(LAST_DAY)
        ),
        office.agency.accountant,
    )

    assert {row.class_code: row.figures.expended for row in execution.rows} == {
        "22": thousandths(150_125),
        "31": thousandths(0),
    }
    # Debts have no class in this country's mapping: they are shown as that, not left out.
    assert {row.class_code: row.balance for row in turnover.rows} == {
        "": thousandths(-150_125),
        "22": thousandths(150_125),
    }
    assert [one.debit for one in turnover.totals] == [thousandths(150_125)]


def test_balances_go_over_on_the_first_day_of_the_countrys_own_year(office: Office):
    agency, first_day = office.agency, date(2026, 7, 1)
    codes = [f"30.{name}" for name in ("old", "new")]
    accounts = [
        account_pb2.Account(
            code=code,
            parent_code="30",
            display_name=code,
            kind=account_pb2.ACCOUNT_KIND_EQUITY,
            normal_side=account_pb2.NORMAL_SIDE_CREDIT,
            basis=account_pb2.BASIS_ACCRUAL,
            postable=True,
            valid_from=to_date(FIRST_DAY),
        )
        for code in codes
    ]
    request = account_pb2.BatchCreateAccountsRequest(accounts=accounts, request_id=rid())
    call_as(office.books.accounts.BatchCreateAccounts, request, agency.accountant)
    line = {"basis": account_pb2.BASIS_ACCRUAL, "fund_code": FUND}
    agency.post(
        agency.entry(
            ledger_pb2.JournalLine(account_code=codes[0], debit=thousandths(7), **line),
            ledger_pb2.JournalLine(account_code="30.1", credit=thousandths(7), **line),
            on=LAST_DAY,
        )
    )
    agency.open_year(YEAR + 1, currency=CURRENCY)
    stub = carry_over_pb2_grpc.CarryOverServiceStub(office.books.service.channel)
    succession = carry_over_pb2.CodeSuccession(
        segment=combination_rule_pb2.CLASSIFICATION_SEGMENT_ACCOUNT,
        old_code=codes[0],
        new_code=codes[1],
        effective_on=to_date(first_day),
        is_default=True,
        legal_source="made up",
    )
    named = carry_over_pb2.BatchCreateCodeSuccessionsRequest(code_successions=[succession], request_id=rid())
    call_as(stub.BatchCreateCodeSuccessions, named, agency.accountant)

    carried = carry_over_pb2.CarryOverBalancesRequest(agency_id=str(agency.agency_id), year=YEAR + 1, request_id=rid())
    call_as(stub.CarryOverBalances, carried, agency.authority())

    assert office.balances(LAST_DAY) == {codes[0]: 7, "30.1": -7}
    assert office.balances(first_day) == {codes[1]: 7, "30.1": -7}
    assert office.problems() == []


def test_the_pair_between_purses_is_the_packs_and_refused_where_the_pack_has_none(sembara: Books, office: Office):
    value = dimension_value("FUND", "trust", "the trust", FIRST_DAY)
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
    call_as(sembara.accounts.BatchCreateDimensionValues, request, office.agency.accountant)

    def entry(basis: int, *codes: str) -> ledger_pb2.JournalEntry:
        lines = [
            ledger_pb2.JournalLine(basis=basis, fund_code="trust", account_code=codes[0], debit=thousandths(1_005)),
            ledger_pb2.JournalLine(basis=basis, fund_code=FUND, account_code=codes[1], credit=thousandths(1_005)),
        ]
        on = date(2025, 9, 1)
        return office.agency.entry(*lines, on=on, fund_balancing=ledger_pb2.FUND_BALANCING_DUE)

    posted = office.agency.post(entry(account_pb2.BASIS_ACCRUAL, "20.1", "30.1"))
    missing = office.agency.refused(entry(account_pb2.BASIS_BUDGET, "31.1", "31.2"))

    due_from, due_to = posted.lines[2:]
    assert (due_from.account_code, due_from.fund_code, due_from.debit) == ("14.1", FUND, thousandths(1_005))
    assert (due_to.account_code, due_to.fund_code, due_to.credit) == ("21.1", "trust", thousandths(1_005))
    assert (missing.reason, missing.metadata["role"]) == ("ACCOUNT_NOT_MAPPED", "DUE-FROM-BUDGET")


def test_the_pair_between_offices_and_the_papers_are_the_packs(sembara: Books):
    one, other, purse = (sembara.agency(year=YEAR, currency=CURRENCY) for _ in range(3))
    ids = [agency.agency_id for agency in (one, other, purse)]

    def leg(agency: Agency, **side: Any) -> joint_entry_pb2.JointEntryLeg:
        own = ledger_pb2.JournalLine(basis=account_pb2.BASIS_ACCRUAL, fund_code=FUND, account_code="30.1", **side)
        return joint_entry_pb2.JointEntryLeg(agency_id=str(agency.agency_id), lines=[own])

    act = call_as(
        joint_entry_pb2_grpc.JointEntryServiceStub(sembara.service.channel).CreateJointEntry,
        joint_entry_pb2.CreateJointEntryRequest(
            joint_entry=joint_entry_pb2.JointEntry(
                treasury_agency_id=str(purse.agency_id),
                effective_on=to_date(date(2025, 9, 1)),
                description="handed over",
                legs=[leg(one, debit=thousandths(1_234)), leg(other, credit=thousandths(1_234))],
            ),
            request_id=rid(),
        ),
        sembara.token(ids),
    )
    picture = attachment_pb2.CreateAttachmentContentRequest(
        attachment_content=attachment_pb2.AttachmentContent(agency_id=str(one.agency_id), media_type="image/png"),
        data=b"\x89PNG\r\n\x1a\n",
        request_id=rid(),
    )
    upload = attachment_pb2_grpc.AttachmentServiceStub(sembara.service.channel).CreateAttachmentContent

    debits = [
        [(line.account_code, from_money(line.debit).minor) for line in leg.lines if line.HasField("debit")]
        for leg in act.legs
    ]
    assert debits == [[("30.1", 1_234)], [("33.1", 1_234)], [("13.1", 1_234)]]
    assert refused(upload, iter([picture]), one.accountant).reason == "MEDIA_TYPE_NOT_ALLOWED"
