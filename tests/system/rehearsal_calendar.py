"""The second government's calendar acts: rates, entries that come again, a year closed, opened again, and final."""

from __future__ import annotations

from typing import Any

from kelola.finance.v1 import (
    document_status_pb2,
    exchange_rate_pb2,
    fiscal_calendar_pb2,
    fiscal_closing_pb2,
    journal_template_pb2,
    year_end_pb2,
)
from tests.system.rehearsal import JANUARY_FIRST, TODAY, YEAR, Company, decimal
from tests.system.rehearsal_finance import entry, open_year

# A year of its own, so that closing it bothers nobody.
_CLOSED_YEAR = 2024
_MONTHS, _ADJUSTMENTS = 12, 13
ACCOUNTANT, AUTHORITY = "accountant", "budget_authority"


def keep_the_calendar(company: Company) -> None:
    """Call every RPC of ExchangeRateService, JournalTemplateService, FiscalClosingService and YearEndService."""
    _rates(company)
    _templates(company)
    _close_a_year(company)


def _rates(company: Company) -> None:
    pair = {"currency": "SGD", "functional_currency": "IDR"}
    rate = exchange_rate_pb2.ExchangeRate(
        rated_on=JANUARY_FIRST,
        kind=exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE,
        rate=decimal("11850.5"),
        source="kurs uji",
        **pair,
    )
    company.act(exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=[rate]), by=ACCOUNTANT)
    company.read(exchange_rate_pb2.GetExchangeRateRequest(on=TODAY, **pair), by=ACCOUNTANT)
    company.read(exchange_rate_pb2.ListExchangeRatesRequest(currency="SGD", page_size=3), by=ACCOUNTANT)
    agency_id = company.agencies["unit"]
    company.act(
        exchange_rate_pb2.RevalueForeignBalancesRequest(agency_id=agency_id, year=YEAR, number=1), by=ACCOUNTANT
    )
    company.read(exchange_rate_pb2.ListForeignRevaluationsRequest(agency_id=agency_id), by=ACCOUNTANT)


def _templates(company: Company) -> None:
    agency_id = company.agencies["unit"]
    template = company.act(
        journal_template_pb2.CreateJournalTemplateRequest(
            journal_template=journal_template_pb2.JournalTemplate(
                agency_id=agency_id,
                description="Sewa bulanan uji",
                first_due_on=JANUARY_FIRST,
                interval_months=1,
                lines=entry(agency_id, 500).lines,
            )
        ),
        by=ACCOUNTANT,
    )
    company.act(
        journal_template_pb2.RunJournalTemplatesRequest(agency_id=agency_id, due_to=JANUARY_FIRST), by=ACCOUNTANT
    )
    company.act(
        journal_template_pb2.EndJournalTemplateRequest(name=template.name, last_due_on=JANUARY_FIRST), by=ACCOUNTANT
    )
    company.read(journal_template_pb2.GetJournalTemplateRequest(name=template.name), by=ACCOUNTANT)
    company.read(journal_template_pb2.ListJournalTemplatesRequest(agency_id=agency_id, page_size=3), by=ACCOUNTANT)
    company.read(journal_template_pb2.ListScheduledEntriesRequest(agency_id=agency_id, page_size=3), by=ACCOUNTANT)


def _close_a_year(company: Company) -> None:
    """Twelve months without a posting: closed, the last one opened again and closed, then final."""
    agency_id = company.agencies["unit"]
    open_year(company, "unit", _CLOSED_YEAR)
    year = {"agency_id": agency_id, "year": _CLOSED_YEAR}
    for number in range(1, _MONTHS + 1):
        company.act(fiscal_calendar_pb2.SoftCloseFiscalPeriodRequest(number=number, **year), by=ACCOUNTANT)
        company.act(fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(number=number, **year), by=AUTHORITY)
    company.read(fiscal_closing_pb2.ListFiscalPeriodBlockersRequest(number=_MONTHS, **year), by=ACCOUNTANT)

    rejected = _proposed(company)
    company.act(fiscal_closing_pb2.RejectFiscalPeriodReopeningRequest(name=rejected.name, reason="uji"), by=AUTHORITY)
    recalled = _proposed(company)
    company.act(fiscal_closing_pb2.RecallFiscalPeriodReopeningRequest(name=recalled.name, reason="uji"), by=ACCOUNTANT)
    reopening = _proposed(company)
    approval = fiscal_closing_pb2.ApproveFiscalPeriodReopeningRequest(name=reopening.name)
    company.refused_to_its_maker(approval, maker=ACCOUNTANT, checker=AUTHORITY)
    company.act(approval, by=AUTHORITY)
    company.act(fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(number=_MONTHS, **year), by=AUTHORITY)
    company.read(fiscal_closing_pb2.GetFiscalPeriodReopeningRequest(name=reopening.name), by=ACCOUNTANT)
    company.read(fiscal_closing_pb2.ListFiscalPeriodReopeningsRequest(agency_id=agency_id, page_size=3), by=ACCOUNTANT)
    # Whoever holds a role in finance may read this document, so its status tells all roles apart by their own right.
    status = f"documentStatuses/{reopening.fiscal_period_reopening_id}"
    company.read(document_status_pb2.GetDocumentStatusRequest(name=status), by=ACCOUNTANT)
    company.read(document_status_pb2.ListDocumentActsRequest(document_status=status, page_size=2), by=ACCOUNTANT)
    company.read(document_status_pb2.ListWaitingDocumentsRequest(agency_id=agency_id, page_size=3), by=AUTHORITY)
    company.act(fiscal_calendar_pb2.OpenFiscalPeriodsRequest(first_number=_ADJUSTMENTS, **year), by=ACCOUNTANT)
    company.act(year_end_pb2.CloseFiscalYearRequest(**year), by=AUTHORITY)
    company.read(year_end_pb2.ListFiscalYearClosingsRequest(agency_id=agency_id, page_size=3), by=ACCOUNTANT)
    company.act(fiscal_calendar_pb2.SoftCloseFiscalPeriodRequest(number=_ADJUSTMENTS, **year), by=ACCOUNTANT)
    company.act(fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(number=_ADJUSTMENTS, **year), by=AUTHORITY)
    company.act(
        fiscal_closing_pb2.IssueFinancialStatementsRequest(issued_on=TODAY, document_number="LKPD-UJI", **year),
        by=AUTHORITY,
    )


def _proposed(company: Company) -> Any:
    return company.act(
        fiscal_closing_pb2.CreateFiscalPeriodReopeningRequest(
            fiscal_period_reopening=fiscal_closing_pb2.FiscalPeriodReopening(
                agency_id=company.agencies["unit"], year=_CLOSED_YEAR, number=_MONTHS, reason="faktur terlambat"
            )
        ),
        by=ACCOUNTANT,
    )
