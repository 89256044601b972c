"""Months closed one after the other, the year's end, the second year's opening."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo_year import beginning, cast
from cli.demo_year.year import BUDGET, Year, document_id, rupiah, shown
from kelola.finance.v1 import (
    budget_pb2,
    budget_year_end_pb2,
    budget_year_end_pb2_grpc,
    fiscal_calendar_pb2,
    fiscal_calendar_pb2_grpc,
    fiscal_closing_pb2,
    fiscal_closing_pb2_grpc,
    year_end_pb2,
    year_end_pb2_grpc,
)

_CALENDAR = fiscal_calendar_pb2_grpc.FiscalCalendarServiceStub
_ENDS = budget_year_end_pb2_grpc.BudgetYearEndServiceStub
OPENED_ON = date(cast.NEXT_YEAR, 1, 2)
RESERVED = 12_000_000


def close_months(year: Year, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Each month closed softly by the accountant, then for good by the budget authority, in all books."""
    rows = []
    for number in numbers:
        for label, agency_id in year.bookkeepers().items():
            year.government.do(
                _CALENDAR,
                "SoftCloseFiscalPeriod",
                fiscal_calendar_pb2.SoftCloseFiscalPeriodRequest(
                    agency_id=agency_id, year=cast.FISCAL_YEAR, number=number
                ),
                by="accountant",
                step=f"soft-close/{label}/{number}",
            )
            year.government.do(
                _CALENDAR,
                "HardCloseFiscalPeriod",
                fiscal_calendar_pb2.HardCloseFiscalPeriodRequest(
                    agency_id=agency_id, year=cast.FISCAL_YEAR, number=number
                ),
                by="budget_authority",
                step=f"hard-close/{label}/{number}",
            )
        rows.append({"year": cast.FISCAL_YEAR, "period": number, "closed for good in": len(year.bookkeepers())})
    return rows


def reserve_too_late(year: Year, *, on: date) -> list[dict[str, Any]]:
    """A request of December that becomes no contract: what it sets aside lapses with the year."""
    year.government.do(
        BUDGET,
        "ReserveFunds",
        budget_pb2.ReserveFundsRequest(
            agency_id=year.unit_id(cast.STAFF),
            effective_on=to_date(on),
            document=budget_pb2.FundsDocument(
                kind=budget_pb2.FUNDS_DOCUMENT_KIND_REQUISITION,
                document_id=document_id("PP-12"),
                document_number="PP-12",
            ),
            items=[
                budget_pb2.FundsItem(
                    document_line_id=document_id("PP-12", "line"),
                    budget_line_id=year.line(cast.COMPUTER_SUPPLIES, unit=cast.STAFF),
                    amount=rupiah(RESERVED),
                )
            ],
        ),
        by="budget_officer",
        step="reserve-too-late",
    )
    return [{"request": "PP-12", "reserved": shown(rupiah(RESERVED))}]


def end_the_budget(year: Year) -> list[dict[str, Any]]:
    """Each unit's budget year ends: what is only reserved lapses, what is bound or owed opens in the second year."""
    rows = []
    for unit in cast.LINES:
        proposed = year.government.do(
            _ENDS,
            "CreateBudgetYearEnd",
            budget_year_end_pb2.CreateBudgetYearEndRequest(
                budget_year_end=budget_year_end_pb2.BudgetYearEnd(
                    agency_id=year.unit_id(unit),
                    fiscal_year=cast.FISCAL_YEAR,
                    document_number=f"AKHIR-{unit}",
                    explanation="Akhir tahun anggaran",
                    default_decision=budget_year_end_pb2.YEAR_END_DECISION_CARRY,
                    opened_on=to_date(OPENED_ON),
                )
            ),
            by="budget_officer",
            step=f"year-end/{unit}",
        )
        ended = year.government.do(
            _ENDS,
            "ApproveBudgetYearEnd",
            budget_year_end_pb2.ApproveBudgetYearEndRequest(name=proposed.name),
            by="budget_authority",
            step=f"year-end/{unit}/approve",
        ).budget_year_end
        rows.append(
            {
                "unit": unit,
                "lines": ended.line_count,
                "paid": shown(ended.paid),
                "lapsed": shown(ended.lapsed),
                "carried": shown(ended.carried),
                "name": ended.name,
            }
        )
    return rows


def close_the_books(year: Year, *, on: date) -> list[dict[str, Any]]:
    """Period 13: results to equity and to the budget's result; then it is closed too and the statements are issued."""
    rows = []
    for label, agency_id in year.bookkeepers().items():
        books = {"agency_id": agency_id, "year": cast.FISCAL_YEAR}
        year.government.do(
            _CALENDAR,
            "OpenFiscalPeriods",
            fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
                agency_id=agency_id, year=cast.FISCAL_YEAR, first_number=cast.ADJUSTMENTS
            ),
            by="accountant",
            step=f"open-adjustments/{label}",
        )
        closing = year.government.do(
            year_end_pb2_grpc.YearEndServiceStub,
            "CloseFiscalYear",
            year_end_pb2.CloseFiscalYearRequest(**books),
            by="budget_authority",
            step=f"close-year/{label}",
        ).fiscal_year_closing
        rows.append({"books": label, "entries": len(closing.journal_entry_ids)} | _results(closing))
    close_months(year, [cast.ADJUSTMENTS])
    for label, agency_id in year.bookkeepers().items():
        year.government.do(
            fiscal_closing_pb2_grpc.FiscalClosingServiceStub,
            "IssueFinancialStatements",
            fiscal_closing_pb2.IssueFinancialStatementsRequest(
                agency_id=agency_id,
                year=cast.FISCAL_YEAR,
                issued_on=to_date(on),
                document_number=f"LKPD-{label}-{cast.FISCAL_YEAR}",
            ),
            by="budget_authority",
            step=f"statements/{label}",
        )
    return rows


def open_the_second_year(year: Year) -> list[dict[str, Any]]:
    """The second year's books and its budget, so that what is carried has lines to open in."""
    beginning.open_books(year, cast.NEXT_YEAR)
    budget = cast.next_year()
    drafts = beginning.import_drafts(year, budget, cast.NEXT_YEAR)
    return beginning.bring_into_force(year, budget, drafts, cast.NEXT_YEAR)


def _results(closing: Any) -> dict[str, str]:
    """What the closing carried to which account; below zero for a surplus."""
    return {f"to {result.account_code}": shown(result.amount) for result in closing.results}
