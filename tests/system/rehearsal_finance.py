"""The second government's chart additions, calendar, budget and journals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

from chassis.wire import to_date
from cli.demo import cast
from cli.demo.budgeting import FUND
from cli.demo.employment import accounts_by_component
from cli.load import published_budget
from kelola.finance.v1 import account_pb2, budget_pb2, fiscal_calendar_pb2, interfund_pb2, ledger_pb2
from tests.system.rehearsal import TODAY, YEAR, Company, decimal, rupiah

UNIT = "UJI.1"
GOODS_ACCOUNT = "5.1.02.01.01.0024"
LINE_AMOUNT = 900_000_000
RECEIVABLE, REVENUE = "1.1.04.01", "7.1.01.01"
_SINCE = to_date(date(2021, 1, 1))


@dataclass(frozen=True)
class Budget:
    """The unit's lines by account."""

    lines: Mapping[str, str]

    @property
    def goods(self) -> str:
        """The line that pays for goods."""
        return self.lines[GOODS_ACCOUNT]


def open_the_books(company: Company) -> Budget:
    """Calendar and budget of the unit and the treasury, then everything that can be done with funds by hand."""
    _classification(company)
    for label in ("treasury", "unit"):
        open_year(company, label, YEAR)
    budget = _budget(company)
    _funds(company, budget)
    _journals(company)
    return budget


def _classification(company: Company) -> None:
    by = "accountant"
    account = company.act(
        account_pb2.CreateAccountRequest(
            account=account_pb2.Account(
                code="1.1.04.98",
                parent_code="1.1.04",
                display_name="Piutang Uji",
                kind=account_pb2.ACCOUNT_KIND_ASSET,
                normal_side=account_pb2.NORMAL_SIDE_DEBIT,
                basis=account_pb2.BASIS_ACCRUAL,
                postable=True,
                valid_from=_SINCE,
            )
        ),
        by=by,
    )
    twin_account = account_pb2.Account()
    twin_account.CopyFrom(account)
    twin_account.name, twin_account.account_id, twin_account.code = "", "", "1.1.04.97"
    company.act(account_pb2.BatchCreateAccountsRequest(accounts=[twin_account]), by=by)
    company.read(account_pb2.GetAccountRequest(name=account.name), by=by)
    company.read(account_pb2.ListAccountsRequest(code_prefix="1.1.04", page_size=3), by=by)
    value = company.act(
        account_pb2.CreateDimensionValueRequest(
            dimension_value=_dimension(account_pb2.DIMENSION_KIND_ORGANISATION, UNIT)
        ),
        by=by,
    )
    company.act(
        account_pb2.BatchCreateDimensionValuesRequest(
            dimension_values=[_dimension(account_pb2.DIMENSION_KIND_PROJECT, "UJI")]
        ),
        by=by,
    )
    company.read(account_pb2.GetDimensionValueRequest(name=value.name), by=by)
    company.read(
        account_pb2.ListDimensionValuesRequest(kind=account_pb2.DIMENSION_KIND_ORGANISATION, page_size=3), by=by
    )
    company.act(
        account_pb2.BatchCreateAccountMappingsRequest(
            account_mappings=[
                account_pb2.AccountMapping(
                    role="UJI",
                    method=account_pb2.MAPPING_METHOD_FIXED,
                    account_code="1.1.04.98",
                    legal_source="none: a test's own role",
                    valid_from=_SINCE,
                )
            ]
        ),
        by=by,
    )
    company.read(account_pb2.ListAccountMappingsRequest(role="UJI"), by=by)


def _dimension(kind: account_pb2.DimensionKind.ValueType, code: str) -> account_pb2.DimensionValue:
    return account_pb2.DimensionValue(kind=kind, code=code, display_name=f"Uji {code}", valid_from=_SINCE)


def open_year(company: Company, label: str, year: int) -> None:
    """A fiscal year of the agency with this label, open from January to December."""
    by, agency_id = "accountant", company.agencies[label]
    fiscal_year = company.act(
        fiscal_calendar_pb2.CreateFiscalYearRequest(
            fiscal_year=fiscal_calendar_pb2.FiscalYear(agency_id=agency_id, year=year, functional_currency="IDR")
        ),
        by=by,
    )
    company.act(
        fiscal_calendar_pb2.OpenFiscalPeriodsRequest(agency_id=agency_id, year=year, first_number=1, last_number=12),
        by=by,
    )
    company.read(fiscal_calendar_pb2.GetFiscalYearRequest(name=fiscal_year.name), by=by)
    company.read(fiscal_calendar_pb2.ListFiscalYearsRequest(agency_id=agency_id), by=by)
    company.read(fiscal_calendar_pb2.ListFiscalPeriodsRequest(agency_id=agency_id, year=year, page_size=3), by=by)


def _budget(company: Company) -> Budget:
    agency_id = company.agencies["unit"]
    pay_and_goods = {*accounts_by_component().values(), GOODS_ACCOUNT}
    published = {
        line.account_code: line
        for line in published_budget.read(cast.BUDGET_FILE)
        if line.account_code in pay_and_goods
    }
    assert GOODS_ACCOUNT in published, "the published budget buys office goods"
    lines = [
        budget_pb2.AppropriationLine(
            fund_code=FUND,
            organisation_code=UNIT,
            account_code=line.account_code,
            function_code=line.function_code,
            line_no=1,
            display_name=line.account_name,
            original=rupiah(LINE_AMOUNT),
        )
        for line in published.values()
    ]
    appropriation = company.act(
        budget_pb2.ImportAppropriationRequest(
            agency_id=agency_id,
            fiscal_year=YEAR,
            document_number="DPA-UJI",
            lines=lines,
            control_total=rupiah(LINE_AMOUNT * len(lines)),
        ),
        by="budget_officer",
    ).appropriation
    company.read(budget_pb2.GetAppropriationRequest(name=appropriation.name), by="budget_officer")
    company.read(budget_pb2.ListAppropriationsRequest(agency_id=agency_id), by="budget_officer")
    company.act(
        budget_pb2.ActivateAppropriationRequest(
            name=appropriation.name,
            control_line_count=len(lines),
            control_total=rupiah(LINE_AMOUNT * len(lines)),
            effective_on=TODAY,
        ),
        by="budget_authority",
    )
    company.act(
        budget_pb2.AllotFundsRequest(
            agency_id=agency_id,
            fiscal_year=YEAR,
            document_number="SPD-UJI",
            month_from=1,
            month_to=12,
            organisation_code=UNIT,
            cumulative_share=decimal("0.9"),
            effective_on=TODAY,
        ),
        by="budget_authority",
    )
    budget = budget_of(company)
    company.read(budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{budget.goods}"), by="auditor")
    return budget


def budget_of(company: Company) -> Budget:
    """The unit's budget lines as finance lists them."""
    request = budget_pb2.ListBudgetLinesRequest(agency_id=company.agencies["unit"], page_size=500)
    listed = company.read(request, by="auditor").budget_lines
    # Preparation leaves lines of a draft behind.
    active = [line for line in listed if line.status == budget_pb2.BUDGET_LINE_STATUS_ACTIVE]
    return Budget({line.account_code: line.budget_line_id for line in active})


def _funds(company: Company, budget: Budget) -> None:
    """A contract by hand: reserved, obligated, adjusted, a part of it expended, the rest released."""
    agency_id, by = company.agencies["unit"], "budget_officer"
    asked, contract = str(uuid4()), str(uuid4())
    common: dict[str, Any] = {"agency_id": agency_id, "effective_on": TODAY}
    requisition = _document(budget_pb2.FUNDS_DOCUMENT_KIND_REQUISITION, "PR-UJI")
    signed = _document(budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT, "KTR-UJI")

    def item(line_id: str, **more: Any) -> budget_pb2.FundsItem:
        return budget_pb2.FundsItem(document_line_id=line_id, budget_line_id=budget.goods, **more)

    company.act(
        budget_pb2.ReserveFundsRequest(document=requisition, items=[item(asked, amount=rupiah(5_000_000))], **common),
        by=by,
    )
    company.act(
        budget_pb2.ObligateFundsRequest(
            document=signed,
            items=[
                item(contract, amount=rupiah(4_000_000), liquidates_document_line_id=asked, final=True),
            ],
            **common,
        ),
        by=by,
    )
    company.act(
        budget_pb2.AdjustObligationRequest(document=signed, items=[item(contract, amount=rupiah(4_500_000))], **common),
        by=by,
    )
    company.act(
        budget_pb2.ExpendFundsRequest(
            document=_document(budget_pb2.FUNDS_DOCUMENT_KIND_SERVICE_ACCEPTANCE, "BAST-UJI"),
            items=[item(str(uuid4()), amount=rupiah(1_500_000), liquidates_document_line_id=contract)],
            **common,
        ),
        by="budget_user",
    )
    company.act(budget_pb2.ReleaseFundsRequest(document=signed, items=[item(contract, final=True)], **common), by=by)
    company.read(budget_pb2.ListFundsMovementsRequest(budget_line_id=budget.goods, page_size=3), by="auditor")
    company.read(
        budget_pb2.GetExecutionReportRequest(
            agency_id=agency_id, fiscal_year=YEAR, level=budget_pb2.EXECUTION_REPORT_LEVEL_LINE, page_size=3
        ),
        by="auditor",
    )


def _document(kind: budget_pb2.FundsDocumentKind.ValueType, number: str) -> budget_pb2.FundsDocument:
    return budget_pb2.FundsDocument(kind=kind, document_id=str(uuid4()), document_number=number)


def entry(agency_id: str, amount: int, **more: Any) -> ledger_pb2.JournalEntry:
    """Dr a receivable / Cr revenue: an entry that may be made by hand."""

    def line(code: str, **side: Any) -> ledger_pb2.JournalLine:
        return ledger_pb2.JournalLine(
            basis=account_pb2.BASIS_ACCRUAL, fund_code=FUND, account_code=code, organisation_code=UNIT, **side
        )

    return ledger_pb2.JournalEntry(
        agency_id=agency_id,
        effective_on=TODAY,
        description=f"Retribusi {amount}",
        lines=[line(RECEIVABLE, debit=rupiah(amount)), line(REVENUE, credit=rupiah(amount))],
        **more,
    )


def _journals(company: Company) -> None:
    agency_id, by = company.agencies["unit"], "accountant"
    posted = company.act(ledger_pb2.CreateJournalEntryRequest(journal_entry=entry(agency_id, 100)), by=by)
    company.act(
        ledger_pb2.BatchCreateJournalEntriesRequest(
            agency_id=agency_id, journal_entries=[entry(agency_id, 200), entry(agency_id, 300)]
        ),
        by=by,
    )
    company.act(ledger_pb2.ImportJournalEntriesRequest(journal_entry=entry(agency_id, 400)), by=by)
    company.act(ledger_pb2.ReverseJournalEntryRequest(name=posted.name, reason="uji"), by=by)
    company.read(ledger_pb2.GetJournalEntryRequest(name=posted.name), by=by)
    company.read(ledger_pb2.ListJournalEntriesRequest(agency_id=agency_id, page_size=3), by=by)
    company.read(
        ledger_pb2.GetTrialBalanceRequest(agency_id=agency_id, basis=account_pb2.BASIS_ACCRUAL, page_size=3), by=by
    )
    company.read(interfund_pb2.ListInterfundDebtsRequest(agency_id=agency_id, page_size=3), by=by)
    company.read(
        ledger_pb2.ListAccountStatementRequest(
            agency_id=agency_id,
            account_code=RECEIVABLE,
            basis=account_pb2.BASIS_ACCRUAL,
            currency="IDR",
            page_size=3,
        ),
        by=by,
    )
