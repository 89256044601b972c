"""A finance service with its chart loaded, and what tests post into it. Each test uses an agency of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import psycopg
from google.type import money_pb2

from chassis.local.databases import ServiceDatabase
from chassis.money import Money
from chassis.testing import Refusal, RunningService, TestKeys, call_as, refused
from chassis.wire import to_date, to_money
from cli.load.chart import Pack, dimension_value
from kelola.finance.v1 import (
    account_pb2,
    account_pb2_grpc,
    fiscal_calendar_pb2,
    fiscal_calendar_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
)

FUND = "UMUM"
EXPENSE, PAYABLE = "8.1.02.01", "2.1.06.99"
ACCRUAL = account_pb2.BASIS_ACCRUAL
YEAR = 2025


def rupiah(amount: int) -> money_pb2.Money:
    """Whole rupiah."""
    return money_pb2.Money(currency_code="IDR", units=amount)


def line(account_code: str, debit: Any = None, credit: Any = None, **values: Any) -> ledger_pb2.JournalLine:
    """A line: amounts in whole rupiah, or as Money."""
    made = ledger_pb2.JournalLine(**{"basis": ACCRUAL, "fund_code": FUND, "account_code": account_code, **values})
    for side, amount in (("debit", debit), ("credit", credit)):
        if amount is not None:
            getattr(made, side).CopyFrom(rupiah(amount) if isinstance(amount, int) else amount)
    return made


@dataclass
class Books:
    """The running service, its database, and the stubs."""

    service: RunningService
    database: ServiceDatabase
    superuser_url: str
    keys: TestKeys
    accounts: Any = field(init=False)
    calendar: Any = field(init=False)
    ledger: Any = field(init=False)

    def __post_init__(self) -> None:
        channel = self.service.channel
        self.accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.calendar = fiscal_calendar_pb2_grpc.FiscalCalendarServiceStub(channel)
        self.ledger = ledger_pb2_grpc.LedgerServiceStub(channel)

    def token(self, agencies: Iterable[UUID], *roles: str, person_id: UUID | None = None) -> str:
        """A token of a person with `roles` (default: the accountant) in `agencies`."""
        held = list(agencies)
        grants = [(role, held) for role in roles or ("finance.accountant",)]
        return self.keys.token(person_id or uuid4(), grants=grants, audience="finance")

    def load(self, pack: Pack) -> None:
        """The pack's chart, dimensions and mapping, through the public API."""
        token = self.token([uuid4()])
        organisation = dimension_value("ORGANISATION", "1.02.01", "Dinas Kesehatan", date(2021, 1, 1))
        for values in _parts([*pack.dimension_values, organisation]):
            request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=values, request_id=rid())
            call_as(self.accounts.BatchCreateDimensionValues, request, token)
        for accounts in _parts(pack.accounts):
            request = account_pb2.BatchCreateAccountsRequest(accounts=accounts, request_id=rid())
            call_as(self.accounts.BatchCreateAccounts, request, token)
        request = account_pb2.BatchCreateAccountMappingsRequest(account_mappings=pack.mappings, request_id=rid())
        call_as(self.accounts.BatchCreateAccountMappings, request, token)

    def agency(self, *, year: int = YEAR, open_to: int = 12, currency: str = "IDR") -> Agency:
        """A fresh agency with books of `year`, open from January to `open_to`."""
        agency = Agency(self, uuid4(), self.token([]))
        agency.accountant = self.token([agency.agency_id], person_id=agency.person_id)
        agency.open_year(year, open_to, currency)
        return agency


def rid() -> str:
    """A fresh request id."""
    return str(uuid4())


def _parts(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + 500] for start in range(0, len(rows), 500)]


@dataclass
class Agency:
    """One test's agency."""

    books: Books
    agency_id: UUID
    accountant: str
    person_id: UUID = field(default_factory=uuid4)

    def open_year(self, year: int, open_to: int = 12, currency: str = "IDR") -> None:
        """Create the year and open its first periods in every area."""
        calendar = self.books.calendar
        fiscal_year = fiscal_calendar_pb2.FiscalYear(
            agency_id=str(self.agency_id), year=year, functional_currency=currency
        )
        request = fiscal_calendar_pb2.CreateFiscalYearRequest(fiscal_year=fiscal_year, request_id=rid())
        call_as(calendar.CreateFiscalYear, request, self.accountant)
        if open_to:
            request = fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
                agency_id=str(self.agency_id), year=year, first_number=1, last_number=open_to, request_id=rid()
            )
            call_as(calendar.OpenFiscalPeriods, request, self.accountant)

    def close(self, number: int, *, hard: bool = False, year: int = YEAR) -> None:
        """Close a month softly, and for good when `hard`."""
        soft = fiscal_calendar_pb2.SoftCloseFiscalPeriodRequest(
            agency_id=str(self.agency_id), year=year, number=number, request_id=rid()
        )
        call_as(self.books.calendar.SoftCloseFiscalPeriod, soft, self.accountant)
        if hard:
            self.close_for_good(number, year=year)

    def close_for_good(self, number: int, *, year: int = YEAR) -> None:
        """Close a softly closed month for good, in every area."""
        request = fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(
            agency_id=str(self.agency_id), year=year, number=number, request_id=rid()
        )
        call_as(self.books.calendar.HardCloseFiscalPeriod, request, self.authority())

    def authority(self) -> str:
        """A token of the budget authority, who may post into softly closed months."""
        return self.books.token([self.agency_id], "finance.budget_authority")

    def entry(
        self, *lines: ledger_pb2.JournalLine, on: date = date(YEAR, 3, 10), **values: Any
    ) -> ledger_pb2.JournalEntry:
        """An entry of this agency."""
        return ledger_pb2.JournalEntry(
            **{
                "agency_id": str(self.agency_id),
                "effective_on": to_date(on),
                "description": "a test's entry",
                "lines": lines,
                **values,
            }
        )

    def spending(self, budget_line_id: UUID, amount: int, **values: Any) -> ledger_pb2.JournalEntry:
        """Dr expense / Cr payable, spending a budget line."""
        tag = {"budget_line_id": str(budget_line_id)}
        return self.entry(line(EXPENSE, debit=amount, **tag), line(PAYABLE, credit=amount, **tag), **values)

    def post(self, entry: ledger_pb2.JournalEntry, *, token: str | None = None) -> ledger_pb2.JournalEntry:
        """Post an entry; it must pass."""
        request = ledger_pb2.CreateJournalEntryRequest(journal_entry=entry, request_id=rid())
        return call_as(self.books.ledger.CreateJournalEntry, request, token or self.accountant)

    def refused(self, entry: ledger_pb2.JournalEntry, *, token: str | None = None) -> Refusal:
        """Post an entry; it must be refused."""
        request = ledger_pb2.CreateJournalEntryRequest(journal_entry=entry, request_id=rid())
        return refused(self.books.ledger.CreateJournalEntry, request, token or self.accountant)

    def reverse(self, entry: ledger_pb2.JournalEntry, **values: Any) -> ledger_pb2.JournalEntry:
        """Reverse an entry; it must pass."""
        request = ledger_pb2.ReverseJournalEntryRequest(
            name=entry.name, request_id=rid(), **{"reason": "entered twice", **values}
        )
        return call_as(self.books.ledger.ReverseJournalEntry, request, self.accountant).journal_entry

    def budget_line(
        self,
        amount: int,
        *,
        parent_id: UUID | None = None,
        controlling: bool = True,
        postable: bool = True,
        status: str = "ACTIVE",
        year: int = YEAR,
        line_no: int = 0,
        fund_code: str = FUND,
    ) -> UUID:
        """A budget line of `amount` rupiah, put there as the budget area would have left it."""
        budget_line_id = uuid4()
        with psycopg.connect(self.books.superuser_url, autocommit=True) as connection:
            buckets = "reserved obligated advanced expended ordered paid".split()
            authority = "supplementary virement_in virement_out carried_in frozen override".split()
            zero = ", ".join(f"{name}_minor" for name in [*authority, *buckets])
            connection.execute(
                f"insert into budget_line (budget_line_id, agency_id, fiscal_year, fund_code, organisation_code,"
                f" program_code, account_code, function_code, location_code, project_code, funding_source_code,"
                f" line_no, parent_id, postable, controlling, currency, status, original_minor, {zero})"
                f" values (%s, %s, %s, %s, '1.02.01', '', '5.1.02.01.01', '07', '', '', '', %s, %s, %s, %s, 'IDR',"
                f" %s, %s{', 0' * (len(authority) + len(buckets))})",
                (
                    budget_line_id,
                    self.agency_id,
                    year,
                    fund_code,
                    line_no or uuid4().int % 10**9,
                    parent_id,
                    postable,
                    controlling,
                    status,
                    amount * 100,
                ),
            )
        return budget_line_id

    def expended(self, budget_line_id: UUID) -> int:
        """What a budget line has expended and unpaid, in rupiah."""
        (minor,) = self.row("select expended_minor from budget_line where budget_line_id = %s", budget_line_id)
        return minor // 100

    def row(self, query: str, *values: Any) -> tuple[Any, ...]:
        """One row of the database, past row-level security."""
        with psycopg.connect(self.books.superuser_url, autocommit=True) as connection:
            found = connection.execute(query, values).fetchone()
        assert found is not None
        return found

    def balances(self, **values: Any) -> dict[str, int]:
        """The trial balance (ACCRUAL unless said): debit less credit by account, in minor units."""
        request = ledger_pb2.GetTrialBalanceRequest(
            **{"agency_id": str(self.agency_id), "basis": ACCRUAL, "page_size": 500, **values}
        )
        reply = call_as(self.books.ledger.GetTrialBalance, request, self.accountant)
        return {row.account_code: minor(row.balance) for row in reply.rows}


def minor(amount: money_pb2.Money) -> int:
    """An amount in minor units (of a currency with two decimals)."""
    return amount.units * 100 + amount.nanos // 10**7


def money(amount: int, currency: str) -> money_pb2.Money:
    """Whole units of a currency."""
    return to_money(Money(amount * 100, currency))
