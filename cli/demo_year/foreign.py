"""Two foreign currencies: their rates as data, receivables in them, and what each month's end makes of balances."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from chassis.money import Money
from chassis.wire import to_date, to_money
from cli.demo.budgeting import FUND
from cli.demo_year import cast
from cli.demo_year.year import Year, decimal, shown
from kelola.finance.v1 import account_pb2, exchange_rate_pb2, exchange_rate_pb2_grpc, ledger_pb2, ledger_pb2_grpc

_RATES = exchange_rate_pb2_grpc.ExchangeRateServiceStub
RECEIVABLE, REVENUE, FOREIGN_CASH = "1.1.04.01", "7.1.01.01", "1.1.01.07"
# (currency, whole units, day of the levy): a clinic's foreign guests are charged in their own currency.
_LEVIES = (
    (cast.DOLLAR, 12_500, date(cast.FISCAL_YEAR, 2, 12)),
    (cast.SINGAPORE_DOLLAR, 8_200, date(cast.FISCAL_YEAR, 2, 19)),
)
# The dollars are paid in November; the Singapore dollars are still owed when the year ends.
_COLLECTED = (cast.DOLLAR, 12_500, date(cast.FISCAL_YEAR, 11, 18))


def load_rates(year: Year, first: int, last: int) -> list[dict[str, Any]]:
    """The middle rates of the months from `first` to `last`."""
    days = {
        currency: [date(cast.FISCAL_YEAR, *on) for on in rates if first <= on[0] <= last]
        for currency, rates in cast.RATES.items()
    }
    rates = [
        exchange_rate_pb2.ExchangeRate(
            currency=currency,
            functional_currency=cast.CURRENCY,
            rated_on=to_date(on),
            kind=exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE,
            rate=decimal(cast.rate(currency, on)),
            source="kurs tengah demo",
        )
        for currency in days
        for on in days[currency]
    ]
    year.government.do(
        _RATES,
        "BatchCreateExchangeRates",
        exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=rates),
        by="accountant",
        step=f"rates/{first}-{last}",
    )
    return [
        {"currency": currency, "from": str(on[0]), "to": str(on[-1]), "last rate": str(cast.rate(currency, on[-1]))}
        for currency, on in days.items()
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


def _post(year: Year, currency: str, whole: int, on: date, *, debit: str, credit: str, why: str) -> dict[str, Any]:
    amount = to_money(Money(whole * 100, currency))
    worth = (cast.rate(currency, on) * whole * 100).quantize(Decimal(1), ROUND_HALF_UP)
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
