"""Two foreign currencies: their rates as data, receivables in them, and what each month's end makes of those."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from chassis.dates import Month
from chassis.money import Money
from chassis.wire import from_date, to_date, to_money
from cli.demo.budgeting import FUND
from cli.demo_year import cast
from cli.demo_year.year import BUDGET, Year, decimal, document_id, shown
from kelola.finance.v1 import (
    account_pb2,
    budget_pb2,
    exchange_rate_pb2,
    exchange_rate_pb2_grpc,
    funds_revaluation_pb2,
    funds_revaluation_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
)

_RATES = exchange_rate_pb2_grpc.ExchangeRateServiceStub
RECEIVABLE, REVENUE, FOREIGN_CASH = "1.1.04.01", "7.1.01.01", "1.1.01.07"
# (currency, whole units, day of the levy): a clinic's foreign guests are charged in their own currency.
_LEVIES = (("USD", 12_500, date(cast.FISCAL_YEAR, 2, 12)), ("SGD", 8_200, date(cast.FISCAL_YEAR, 2, 19)))
# The dollars are paid in November; the Singapore dollars are still owed when the year ends.
_COLLECTED = ("USD", 12_500, date(cast.FISCAL_YEAR, 11, 18))
# Spare parts ordered abroad in dollars, whose maker gives the order up.
_PARTS, _PARTS_ON, _PARTS_ENDED_ON = 4_000, date(cast.FISCAL_YEAR, 1, 31), date(cast.FISCAL_YEAR, 3, 10)


def load_rates(year: Year, first: int, last: int) -> list[dict[str, Any]]:
    """The middle rates of each month's last day, and of the days on which something is in a foreign currency."""
    days = [Month(cast.FISCAL_YEAR, number).last for number in range(first, last + 1)]
    days += [on for _, _, on in (*_LEVIES, _COLLECTED) if first <= on.month <= last]
    rates = [
        exchange_rate_pb2.ExchangeRate(
            currency=currency,
            functional_currency=cast.CURRENCY,
            rated_on=to_date(on),
            kind=exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE,
            rate=decimal(_rate(currency, on)),
            source="kurs tengah demo",
        )
        for currency in cast.FOREIGN
        for on in sorted(set(days))
    ]
    year.government.do(
        _RATES,
        "BatchCreateExchangeRates",
        exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=rates),
        by="accountant",
        step=f"rates/{first}-{last}",
    )
    return [
        {"currency": currency, "from": str(days[0]), "to": str(max(days)), "last rate": str(_rate(currency, max(days)))}
        for currency in cast.FOREIGN
    ]


def levy(year: Year) -> list[dict[str, Any]]:
    """Receivables in both currencies at the rate of their day."""
    return [
        _post(year, currency, amount, on, debit=RECEIVABLE, credit=REVENUE, why="Retribusi pasien asing")
        for currency, amount, on in _LEVIES
    ]


def collect(year: Year) -> list[dict[str, Any]]:
    """One of them is paid: what the books hold it at and what comes in differ by the realised difference.

    The receivable leaves at the day's rate too, so that the month's revaluation shows the difference (IPSAS 4).
    """
    currency, amount, on = _COLLECTED
    return [_post(year, currency, amount, on, debit=FOREIGN_CASH, credit=RECEIVABLE, why="Pelunasan pasien asing")]


def revalue(year: Year, number: int) -> list[dict[str, Any]]:
    """Bring the health office's foreign balances to the rate of the month's last day."""
    found = year.government.do(
        _RATES,
        "RevalueForeignBalances",
        exchange_rate_pb2.RevalueForeignBalancesRequest(
            agency_id=year.unit_id(cast.HEALTH), year=cast.FISCAL_YEAR, number=number
        ),
        by="accountant",
        step=f"revalue/{number}",
    ).foreign_revaluation
    return [
        {
            "month": number,
            "account": item.account_code,
            "balance": shown(item.balance),
            "rate": item.rate.value,
            "difference": shown(item.difference),
        }
        for item in found.items
    ]


def order_abroad(year: Year) -> list[dict[str, Any]]:
    """A contract in dollars binds its line at the rate of its day, follows February's end, and is given up.

    Finance revalues by itself when a month is over, so the call may find it done: the line's movements tell.
    """
    price = Money(_PARTS * 100, "USD")
    contract: dict[str, Any] = {
        "agency_id": year.unit_id(cast.HEALTH),
        "document": budget_pb2.FundsDocument(
            kind=budget_pb2.FUNDS_DOCUMENT_KIND_CONTRACT,
            document_id=document_id("KTR-USD"),
            document_number="KTR-USD",
        ),
    }
    line = {"document_line_id": document_id("KTR-USD", "line"), "budget_line_id": year.line(cast.TRAVEL)}
    year.government.do(
        BUDGET,
        "ObligateFunds",
        budget_pb2.ObligateFundsRequest(
            effective_on=to_date(_PARTS_ON), items=[budget_pb2.FundsItem(amount=to_money(price), **line)], **contract
        ),
        by="budget_officer",
        step="parts/obligate",
    )
    year.government.do(
        funds_revaluation_pb2_grpc.FundsRevaluationServiceStub,
        "RevalueFunds",
        funds_revaluation_pb2.RevalueFundsRequest(
            agency_id=year.unit_id(cast.HEALTH), revalued_on=to_date(Month(cast.FISCAL_YEAR, 2).last)
        ),
        by="accountant",
        step="parts/revalue",
    )
    year.government.do(
        BUDGET,
        "ReleaseFunds",
        budget_pb2.ReleaseFundsRequest(
            effective_on=to_date(_PARTS_ENDED_ON), items=[budget_pb2.FundsItem(final=True, **line)], **contract
        ),
        by="budget_officer",
        step="parts/release",
    )
    return [
        {
            "day": str(from_date(movement.effective_on)),
            "movement": budget_pb2.FundsMovementKind.Name(movement.kind).removeprefix("FUNDS_MOVEMENT_KIND_"),
            "price": str(price),
            "obligated": shown(movement.obligated_change),
        }
        for movement in _movements(year, contract["document"].document_id)
    ]


def _movements(year: Year, contract_id: str) -> list[Any]:
    """What the contract and its revaluations moved on their line, the oldest first."""
    request = budget_pb2.ListFundsMovementsRequest(budget_line_id=year.line(cast.TRAVEL), page_size=500)
    found = year.government.pages(BUDGET, "ListFundsMovements", request, by="auditor", rows="funds_movements")
    revalued = budget_pb2.FUNDS_MOVEMENT_KIND_REVALUE
    return [one for one in found if one.document.document_id == contract_id or one.kind == revalued][::-1]


def _rate(currency: str, on: date) -> Decimal:
    first, step = cast.FOREIGN[currency]
    return first + step * (on.month - 1)


def _post(year: Year, currency: str, whole: int, on: date, *, debit: str, credit: str, why: str) -> dict[str, Any]:
    amount = to_money(Money(whole * 100, currency))
    worth = (_rate(currency, on) * whole * 100).quantize(Decimal(1), ROUND_HALF_UP)
    functional = to_money(Money(int(worth), cast.CURRENCY))

    def line(account: str, **side: Any) -> ledger_pb2.JournalLine:
        return ledger_pb2.JournalLine(
            basis=account_pb2.BASIS_ACCRUAL,
            fund_code=FUND,
            account_code=account,
            organisation_code=cast.HEALTH,
            functional_amount=functional,
            **side,
        )

    posted = year.government.do(
        ledger_pb2_grpc.LedgerServiceStub,
        "CreateJournalEntry",
        ledger_pb2.CreateJournalEntryRequest(
            journal_entry=ledger_pb2.JournalEntry(
                agency_id=year.unit_id(cast.HEALTH),
                effective_on=to_date(on),
                description=f"{why}, {currency}",
                lines=[line(debit, debit=amount), line(credit, credit=amount)],
            )
        ),
        by="accountant",
        step=f"journal/{debit}/{currency}",
    )
    return {"day": str(on), "entry": posted.description, "amount": shown(amount), "worth": shown(functional)}
