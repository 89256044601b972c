"""What a journal needs in the books before its first entry goes in: accounts, fund, years. Known, made, or listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from chassis.ids import derived_id
from chassis.wire import from_date, to_date
from cli.connect import System
from cli.load.chart import BATCH_MAX, dimension_value
from cli.load.journal_file import Found
from cli.load.journal_map import ALWAYS, JournalMap, MapRefused
from kelola.finance.v1 import account_pb2, account_pb2_grpc, fiscal_calendar_pb2, fiscal_calendar_pb2_grpc

_CALL_SECONDS = 60.0
_PAGE = 500
_SHOWN_MAX = 50


class Unknown(ValueError):
    """The books lack what the journal names, and the map does not say that it is to be made: a list."""


@dataclass(frozen=True)
class Target:
    """Where each account of the source is found in the books: its code and basis."""

    accounts: Mapping[str, tuple[str, int]]
    accounts_added: int
    years_added: int


class Books:
    """The books of one agency, as one person sees them."""

    def __init__(self, system: System, person: str, agency_id: UUID) -> None:
        self._system, self._person, self._agency_id = system, person, str(agency_id)
        channel = system.channel("finance")
        self._accounts = account_pb2_grpc.AccountServiceStub(channel)
        self._calendar = fiscal_calendar_pb2_grpc.FiscalCalendarServiceStub(channel)

    def prepare(self, journal_map: JournalMap, found: Found) -> Target:
        """Make what the map says, or raise Unknown with all that is missing, before anything is made."""
        missing: list[str] = []
        targets, accounts = self._find_accounts(journal_map, found, missing)
        fund = self._find_fund(journal_map, found, missing)
        absent, future = self._find_months(journal_map, found, missing)
        for name, line in sorted(found.currencies.items()):
            missing.append(f"currency {name!r} (line {line}): no code of ISO 4217, and the map does not explain it")
        if missing:
            raise Unknown(_listed(missing))
        self._add_accounts(accounts)
        if fund is not None:
            self._add_fund(fund)
        self._add_years(journal_map.functional_currency, absent)
        for year, month in future:
            self._open_months(year, month, month)
        return Target(targets, len(accounts), len(absent))

    def _find_accounts(
        self, journal_map: JournalMap, found: Found, missing: list[str]
    ) -> tuple[dict[str, tuple[str, int]], list[account_pb2.Account]]:
        """(where each account of the source is found, what is to be made for that)."""
        chart = self._chart()
        targets: dict[str, tuple[str, int]] = {}
        new: dict[str, account_pb2.Account] = {}
        owner: dict[str, str] = {}
        for name, (line, first_day) in sorted(found.accounts.items()):
            code, rule = journal_map.accounts.get(name), journal_map.rule_for(name)
            if code is None and rule is None:
                missing.append(f"account {name!r} (line {line}): no entry and no rule of the map covers it")
                continue
            if code is None and rule is not None:
                try:
                    account = rule.account(name)
                except MapRefused as refused:
                    missing.append(f"{refused} (line {line})")
                    continue
                code = account.code
                if (other := owner.setdefault(code, name)) != name:
                    missing.append(f"accounts {other!r} and {name!r} would both become {code}: name one in [accounts]")
                elif code not in chart:
                    new[code] = account
                    chart[code] = account.basis, from_date(account.valid_from)
            assert code is not None, "one of both gave a code"
            if code not in chart:
                missing.append(f"account {name!r} (line {line}): the chart has no {code}")
                continue
            basis, since = chart[code]
            if first_day < since:
                missing.append(f"account {name!r} (line {line}): {code} holds from {since}, an entry is of {first_day}")
            targets[name] = code, basis
        return targets, list(new.values())

    def _find_fund(
        self, journal_map: JournalMap, found: Found, missing: list[str]
    ) -> account_pb2.DimensionValue | None:
        """The fund that is to be made; None when it holds already on every day of the journal."""
        code, first_day = journal_map.fund_code, found.first_day
        since = self._fund_since(code)
        if first_day is None or (since is not None and since <= first_day):
            return None
        if not journal_map.create_fund:
            has = "no such value of the dimension FUND" if since is None else f"it holds from {since} only"
            missing.append(f"fund {code!r} on {first_day}: {has}; the map may say create_fund = true")
            return None
        value = dimension_value("FUND", code, code, ALWAYS)
        if since is not None:
            value.valid_to.CopyFrom(to_date(since))
        return value

    def _metadata(self) -> list[tuple[str, str]]:
        return self._system.metadata(self._person)

    def _pages(self, method: Any, request: Any) -> Iterator[Any]:
        while True:
            page = method(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _chart(self) -> dict[str, tuple[int, date]]:
        """Every code of the chart with its basis and its first day."""
        pages = self._pages(self._accounts.ListAccounts, account_pb2.ListAccountsRequest(page_size=_PAGE))
        chart: dict[str, tuple[int, date]] = {}
        for page in pages:
            for account in page.accounts:  # by code and first day
                chart.setdefault(account.code, (account.basis, from_date(account.valid_from)))
        return chart

    def _fund_since(self, code: str) -> date | None:
        """The first day of the fund; None when there is none."""
        request = account_pb2.ListDimensionValuesRequest(
            kind=account_pb2.DIMENSION_KIND_FUND, code_prefix=code, page_size=_PAGE
        )
        pages = self._pages(self._accounts.ListDimensionValues, request)
        days = [from_date(value.valid_from) for page in pages for value in page.dimension_values if value.code == code]
        return min(days, default=None)

    def _find_months(
        self, journal_map: JournalMap, found: Found, missing: list[str]
    ) -> tuple[dict[int, tuple[int, int]], list[tuple[int, int]]]:
        """(years to make with the months that are used, months to open)."""
        request = fiscal_calendar_pb2.ListFiscalYearsRequest(agency_id=self._agency_id, page_size=_PAGE)
        pages = self._pages(self._calendar.ListFiscalYears, request)
        known = {year.year for page in pages for year in page.fiscal_years}
        absent: dict[int, tuple[int, int]] = {}
        future: list[tuple[int, int]] = []
        for year in sorted({year for year, _ in found.months}):
            used = sorted(month for one, month in found.months if one == year)
            if year not in known:
                absent[year] = used[0], used[-1]
                continue
            states = self._states(year)
            for month in used:
                state = states[month]
                if state == fiscal_calendar_pb2.PERIOD_STATE_FUTURE:
                    future.append((year, month))
                elif state != fiscal_calendar_pb2.PERIOD_STATE_OPEN:
                    name = fiscal_calendar_pb2.PeriodState.Name(state).removeprefix("PERIOD_STATE_")
                    missing.append(f"period {year}-{month:02} is {name}: its entries would stand in a later month")
        if not journal_map.create_years:
            missing += [f"fiscal year {year}: the agency has none" for year in absent]
            missing += [f"period {year}-{month:02} is not open" for year, month in future]
        return absent, future

    def _states(self, year: int) -> dict[int, int]:
        request = fiscal_calendar_pb2.ListFiscalPeriodsRequest(
            agency_id=self._agency_id, year=year, area=fiscal_calendar_pb2.PERIOD_AREA_LEDGER, page_size=_PAGE
        )
        pages = self._pages(self._calendar.ListFiscalPeriods, request)
        return {period.number: period.state for page in pages for period in page.fiscal_periods}

    def _add_accounts(self, accounts: list[account_pb2.Account]) -> None:
        for start in range(0, len(accounts), BATCH_MAX):
            request = account_pb2.BatchCreateAccountsRequest(accounts=accounts[start : start + BATCH_MAX])
            # The same accounts are the same act, in whichever run.
            request.request_id = str(derived_id("load accounts", request.SerializeToString(deterministic=True).hex()))
            self._accounts.BatchCreateAccounts(request, metadata=self._metadata(), timeout=_CALL_SECONDS)

    def _add_years(self, currency: str, years: Mapping[int, tuple[int, int]]) -> None:
        for year, (first, last) in years.items():
            made = fiscal_calendar_pb2.CreateFiscalYearRequest(
                fiscal_year=fiscal_calendar_pb2.FiscalYear(
                    agency_id=self._agency_id, year=year, functional_currency=currency
                ),
                request_id=str(derived_id("load year", self._agency_id, year, currency)),
            )
            self._calendar.CreateFiscalYear(made, metadata=self._metadata(), timeout=_CALL_SECONDS)
            self._open_months(year, first, last)

    def _add_fund(self, value: account_pb2.DimensionValue) -> None:
        request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value])
        request.request_id = str(derived_id("load fund", request.SerializeToString(deterministic=True).hex()))
        self._accounts.BatchCreateDimensionValues(request, metadata=self._metadata(), timeout=_CALL_SECONDS)

    def _open_months(self, year: int, first: int, last: int) -> None:
        request = fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
            agency_id=self._agency_id,
            year=year,
            first_number=first,
            last_number=last,
            areas=[fiscal_calendar_pb2.PERIOD_AREA_LEDGER],
            request_id=str(derived_id("load months", self._agency_id, year, first, last)),
        )
        self._calendar.OpenFiscalPeriods(request, metadata=self._metadata(), timeout=_CALL_SECONDS)


def _listed(missing: list[str]) -> str:
    shown = "".join(f"\n  {one}" for one in missing[:_SHOWN_MAX])
    more = f"\n  … and {len(missing) - _SHOWN_MAX} more" if len(missing) > _SHOWN_MAX else ""
    return f"nothing was loaded; {len(missing)} things are unknown:{shown}{more}"
