"""Exchange rates as dated data and the revaluation of foreign balances, on PostgreSQL and over the wire."""

from __future__ import annotations

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import decimal_pb2
from sqlalchemy import create_engine, text
from sqlmodel import Session

from chassis.database import Database, sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import exchange_rate_pb2, exchange_rate_pb2_grpc, ledger_pb2
from services.finance.ledger import usecases as posting
from services.finance.ledger import verify
from services.finance.ledger.domain import Basis, JournalEntry, Line
from services.finance.ledger.rates import usecases
from services.finance.ledger.rates.domain import Rate, RateKind
from tests.integration.finance.books import FUND, YEAR, Agency, Books, line, minor, money, rid

MIDDLE = exchange_rate_pb2.EXCHANGE_RATE_KIND_MIDDLE
FXD, PAYABLE_ACCOUNT, GRNI, CASH, FIXED_ASSET = "8.5.03.90", "2.1.06.99", "2.1.06.90", "1.1.01.07", "1.3.02.10"
_unused = (a + b + c for a, b, c in itertools.product("QXZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOP"))


@pytest.fixture
def currency() -> str:
    """A currency of this test alone: rates belong to the whole government."""
    return next(_unused)


class Rates:
    """The rates, and one agency's revaluations."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.stub = exchange_rate_pb2_grpc.ExchangeRateServiceStub(agency.books.service.channel)

    def rate(self, currency: str, on: date, rate: str, source: str = "BI") -> exchange_rate_pb2.ExchangeRate:
        return exchange_rate_pb2.ExchangeRate(
            currency=currency,
            functional_currency="IDR",
            rated_on=to_date(on),
            kind=MIDDLE,
            rate=decimal_pb2.Decimal(value=rate),
            source=source,
        )

    def record(self, *rates: exchange_rate_pb2.ExchangeRate) -> Any:
        request = exchange_rate_pb2.BatchCreateExchangeRatesRequest(exchange_rates=rates, request_id=rid())
        return call_as(self.stub.BatchCreateExchangeRates, request, self.agency.accountant)

    def get(self, currency: str, on: date, **values: Any) -> Any:
        request = exchange_rate_pb2.GetExchangeRateRequest(
            currency=currency, functional_currency="IDR", on=to_date(on), **values
        )
        return call_as(self.stub.GetExchangeRate, request, self.agency.accountant)

    def missing(self, currency: str, on: date) -> Refusal:
        request = exchange_rate_pb2.GetExchangeRateRequest(currency=currency, functional_currency="IDR", on=to_date(on))
        return refused(self.stub.GetExchangeRate, request, self.agency.accountant)

    def listed(self, currency: str, **values: Any) -> list[str]:
        request = exchange_rate_pb2.ListExchangeRatesRequest(currency=currency, page_size=2, **values)
        found: list[str] = []
        while True:
            page = call_as(self.stub.ListExchangeRates, request, self.agency.accountant)
            found += [f"{one.rated_on.month}-{one.rated_on.day} {one.rate.value}" for one in page.exchange_rates]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    def revaluing(self, number: int) -> Any:
        return exchange_rate_pb2.RevalueForeignBalancesRequest(
            agency_id=str(self.agency.agency_id), year=YEAR, number=number, request_id=rid()
        )

    def revalue(self, number: int) -> exchange_rate_pb2.ForeignRevaluation:
        reply = call_as(self.stub.RevalueForeignBalances, self.revaluing(number), self.agency.accountant)
        return reply.foreign_revaluation

    def post(self, on: date, *lines: tuple[str, int, str, int]) -> None:
        """Post an opening entry, which may name control accounts: (account, whole units, currency, rupiah)."""
        made = tuple(
            Line(
                Basis.ACCRUAL,
                FUND,
                account,
                max(amount, 0) * 100,
                max(-amount, 0) * 100,
                code,
                None if code == "IDR" else abs(worth) * 100,
            )
            for account, amount, code, worth in lines
        )
        entry = JournalEntry(uuid4(), self.agency.agency_id, on, None, "a document", "OPENING", uuid4(), made)
        (database,) = [one for one in self.agency.books.service.container.dependencies if isinstance(one, Database)]
        assert database.transactions is not None
        with database.transactions.work([self.agency.agency_id], subject="test") as session:
            posting.post(session, [entry], at=datetime.now(UTC), person_id=self.agency.person_id)

    def functional(self, **scope: Any) -> dict[str, int]:
        """The trial balance in rupiah by account, whatever currency its lines are in."""
        request = ledger_pb2.GetTrialBalanceRequest(
            agency_id=str(self.agency.agency_id), basis=2, page_size=500, **scope
        )
        reply = call_as(self.agency.books.ledger.GetTrialBalance, request, self.agency.accountant)
        sums: dict[str, int] = {}
        for row in reply.rows:
            sums[row.account_code] = sums.get(row.account_code, 0) + minor(row.functional_balance) // 100
        return sums


@pytest.fixture
def rates(agency: Agency) -> Rates:
    return Rates(agency)


def test_the_rate_of_the_day_holds_else_the_last_known_one_for_ten_days(rates: Rates, currency: str):
    rates.record(rates.rate(currency, date(YEAR, 3, 28), "15300.25"), rates.rate(currency, date(YEAR, 3, 31), "15400"))

    assert (rates.get(currency, date(YEAR, 3, 28)).exchange_rate.rate.value, 0) == ("15300.25", 0)
    over_a_holiday = rates.get(currency, date(YEAR, 4, 10))
    assert (over_a_holiday.exchange_rate.rate.value, over_a_holiday.age_days) == ("15400", 10)
    for day in (date(YEAR, 4, 11), date(YEAR, 3, 27)):
        refusal = rates.missing(currency, day)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EXCHANGE_RATE_MISSING")
        assert refusal.metadata["on"] == str(day)


def test_of_two_writers_of_a_rate_the_one_that_wrote_last_holds(rates: Rates, currency: str):
    day = date(YEAR, 3, 31)
    (database,) = [one for one in rates.agency.books.service.container.dependencies if isinstance(one, Database)]
    assert database.transactions is not None
    late = Rate(uuid4(), currency, "IDR", day, RateKind.MIDDLE, Decimal("15450"), "a bank")

    with database.transactions.work((), subject="test") as session:
        # Begun before the other one, and through after it.
        session.execute(text("select transaction_timestamp()"))
        rates.record(rates.rate(currency, day, "15400"))
        (recorded,) = usecases.record(session, [late], person_id=uuid4())

    assert recorded.corrects is not None
    assert recorded.corrects.rate == Decimal("15400")
    assert rates.get(currency, day).exchange_rate.rate.value == "15450"


def test_a_correction_adds_a_row_and_what_was_known_before_can_be_asked_for(rates: Rates, currency: str):
    day = date(YEAR, 3, 31)
    rates.record(rates.rate(currency, day, "15400"))
    time.sleep(1.2)  # knowledge stays a second behind the clock
    before = Timestamp()
    before.FromDatetime(datetime.now(UTC))
    time.sleep(0.05)

    same = rates.record(rates.rate(currency, day, "15400.0"))
    corrected = rates.record(rates.rate(currency, day, "15450"))

    assert (same.existing_count, same.correcting_count) == (1, 0)
    assert (corrected.existing_count, corrected.correcting_count) == (0, 1)
    assert rates.get(currency, day).exchange_rate.rate.value == "15450"
    time.sleep(1.2)
    known = rates.get(currency, day, known_at=before)
    assert known.exchange_rate.rate.value == "15400"
    assert known.HasField("known_at")
    assert rates.listed(currency) == ["3-31 15450"]
    assert rates.listed(currency, with_corrected=True) == ["3-31 15450", "3-31 15400"]
    back = rates.record(rates.rate(currency, day, "15400"))
    assert back.correcting_count == 1, "a rate that is known, but no longer holds, is news again"


def test_rates_are_listed_by_pages_and_days(rates: Rates, currency: str):
    rates.record(*(rates.rate(currency, date(YEAR, 3, day), str(15_000 + day)) for day in range(1, 6)))

    assert rates.listed(currency) == [f"3-{day} {15_000 + day}" for day in (5, 4, 3, 2, 1)]
    between = {"rated_from": to_date(date(YEAR, 3, 2)), "rated_to": to_date(date(YEAR, 3, 3))}
    assert rates.listed(currency, **between) == ["3-3 15003", "3-2 15002"]


def test_a_batch_is_all_or_none_and_its_writers_come_one_after_the_other(rates: Rates, currency: str):
    day = date(YEAR, 3, 31)
    bad = exchange_rate_pb2.BatchCreateExchangeRatesRequest(
        exchange_rates=[rates.rate(currency, day, "15400"), rates.rate(currency, day, "0")], request_id=rid()
    )
    refusal = refused(rates.stub.BatchCreateExchangeRates, bad, rates.agency.accountant)
    assert refusal.fields == ("exchange_rates[1].rate",)
    assert rates.listed(currency) == []

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: rates.record(rates.rate(currency, day, "15400")), range(8)))

    assert sum(reply.existing_count for reply in replies) == 7
    assert rates.listed(currency, with_corrected=True) == ["3-31 15400"]
    denied = refused(rates.stub.BatchCreateExchangeRates, bad, rates.agency.authority())
    assert denied.code == grpc.StatusCode.PERMISSION_DENIED


def test_n05_a_dollar_debt_from_receipt_to_payment_as_far_as_the_ledger_goes(rates: Rates):
    """Domain rules §2, N5: accepted at 15 300, month end 15 400, debited at 15 350; net FXD 50 000 loss."""
    rates.record(rates.rate("USD", date(YEAR, 3, 31), "15400"), rates.rate("USD", date(YEAR, 4, 30), "16000"))
    rates.post(date(YEAR, 3, 12), (FIXED_ASSET, 15_300_000, "IDR", 0), (GRNI, -1_000, "USD", 15_300_000))
    rates.post(date(YEAR, 3, 15), (GRNI, 1_000, "USD", 15_300_000), (PAYABLE_ACCOUNT, -1_000, "USD", 15_300_000))

    month_end = rates.revalue(3)

    (item,) = month_end.items
    assert (item.account_code, item.rate.value, minor(item.difference)) == (PAYABLE_ACCOUNT, "15400", -100_000_00)
    assert (minor(item.balance), item.balance.currency_code) == (-1_000_00, "USD")
    assert rates.functional() == {FIXED_ASSET: 15_300_000, GRNI: 0, PAYABLE_ACCOUNT: -15_400_000, FXD: 100_000}

    rates.post(
        date(YEAR, 4, 3),
        (PAYABLE_ACCOUNT, 1_000, "USD", 15_400_000),
        (CASH, -15_350_000, "IDR", 0),
        (FXD, -50_000, "IDR", 0),
    )
    after = rates.revalue(4)

    assert (list(after.items), after.journal_entry_id) == ([], ""), "what is paid is not revalued"
    assert rates.functional() == {
        FIXED_ASSET: 15_300_000,
        GRNI: 0,
        PAYABLE_ACCOUNT: 0,
        FXD: 50_000,
        CASH: -15_350_000,
    }
    with create_engine(sqlalchemy_url(rates.agency.books.superuser_url)).connect() as connection:
        mine = str(rates.agency.agency_id)
        assert [problem for problem in verify.problems(connection) if mine in str(problem)] == []


def test_a_second_run_posts_nothing_and_a_later_entry_or_a_corrected_rate_its_own_difference(
    rates: Rates, currency: str
):
    day = date(YEAR, 3, 31)
    rates.record(rates.rate(currency, day, "100"))
    rates.post(date(YEAR, 3, 5), (CASH, 10, currency, 900), ("7.1.01.01", -900, "IDR", 0))

    first, second = rates.revalue(3), rates.revalue(3)
    rates.post(date(YEAR, 3, 6), (CASH, 1, currency, 95), ("7.1.01.01", -95, "IDR", 0))
    third = rates.revalue(3)
    rates.record(rates.rate(currency, day, "101"))
    fourth = rates.revalue(3)

    differences = [[minor(item.difference) // 100 for item in one.items] for one in (first, second, third, fourth)]
    assert differences == [[100], [], [5], [11]]
    assert rates.functional()[CASH] == 11 * 101
    assert rates.functional()[FXD] == -116


def test_revaluations_that_come_at_once_post_the_difference_once(rates: Rates, currency: str):
    rates.record(rates.rate(currency, date(YEAR, 3, 31), "100"))
    rates.post(date(YEAR, 3, 5), (CASH, 10, currency, 900), ("7.1.01.01", -900, "IDR", 0))

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: rates.revalue(3), range(6)))

    assert sorted(len(one.items) for one in done) == [0] * 5 + [1]
    assert rates.functional()[CASH] == 1_000
    request = exchange_rate_pb2.ListForeignRevaluationsRequest(agency_id=str(rates.agency.agency_id), page_size=4)
    page = call_as(rates.stub.ListForeignRevaluations, request, rates.agency.accountant)
    request.page_token = page.next_page_token
    rest = call_as(rates.stub.ListForeignRevaluations, request, rates.agency.accountant)
    listed = [*page.foreign_revaluations, *rest.foreign_revaluations]
    assert {one.foreign_revaluation_id for one in listed} == {one.foreign_revaluation_id for one in done}
    assert next(one for one in listed if one.items) == next(one for one in done if one.items)


def test_only_monetary_balances_with_functional_amounts_are_revalued(rates: Rates, currency: str):
    rates.record(rates.rate(currency, date(YEAR, 3, 31), "100"))
    # An asset keeps the rate of its day; a prepayment is settled in kind; a journal of outside origin has no rupiah.
    rates.post(date(YEAR, 3, 5), (FIXED_ASSET, 10, currency, 900), ("7.1.01.01", -900, "IDR", 0))
    rates.post(date(YEAR, 3, 5), ("1.1.09.05", 10, currency, 900), ("7.1.01.01", -900, "IDR", 0))
    foreign = rates.agency.entry(
        line(CASH, money(7, currency)), line("7.1.01.01", None, money(7, currency)), on=date(YEAR, 3, 6)
    )
    rates.agency.post(foreign)

    assert list(rates.revalue(3).items) == []


def test_earlier_and_later_months_stand_each_at_their_own_rate(rates: Rates, currency: str):
    rates.record(rates.rate(currency, date(YEAR, 1, 31), "90"), rates.rate(currency, date(YEAR, 2, 28), "110"))
    rates.post(date(YEAR, 1, 5), (CASH, 10, currency, 1_000), ("7.1.01.01", -1_000, "IDR", 0))

    january, february = rates.revalue(1), rates.revalue(2)
    again = rates.revalue(1)

    assert [minor(one.items[0].difference) // 100 for one in (january, february)] == [-100, 200]
    assert list(again.items) == [], "what February posted is not January's"
    as_of = to_date(date(YEAR, 1, 31))
    assert rates.agency.balances(as_of=as_of, currency="IDR")[CASH] == -100_00


def test_after_any_history_every_month_end_stands_at_its_own_rate(rates: Rates, seed: int):
    """Entries in three months and currencies at random, late ones too: each month end is balance × rate, exactly."""
    rng = random.Random(seed)
    codes = [next(_unused) for _ in range(3)]
    month_ends = {1: date(YEAR, 1, 31), 2: date(YEAR, 2, 28), 3: date(YEAR, 3, 31)}
    worth = {(code, number): rng.randrange(50, 150) for code in codes for number in month_ends}
    for (code, number), rate in worth.items():
        rates.record(rates.rate(code, month_ends[number], str(rate)))
    held: dict[tuple[str, int], int] = {}
    for _ in range(2):
        for _ in range(12):
            code, month, amount = rng.choice(codes), rng.randrange(1, 4), rng.choice([-1, 1]) * rng.randrange(1, 500)
            value = abs(amount) * rng.randrange(50, 150) * (1 if amount > 0 else -1)
            day = date(YEAR, month, rng.randrange(1, 29))
            rates.post(day, (CASH, amount, code, value), ("7.1.01.01", -value, "IDR", 0))
            for number in range(month, 4):
                held[code, number] = held.get((code, number), 0) + amount
        for number in month_ends:
            rates.revalue(number)

    assert [list(rates.revalue(number).items) for number in month_ends] == [[], [], []]
    for number, day in month_ends.items():
        expected = sum(held.get((code, number), 0) * worth[code, number] for code in codes)
        assert rates.functional(as_of=to_date(day)).get(CASH, 0) == expected, f"month {number}"


def test_a_missing_rate_or_a_closed_period_stops_a_revaluation_whole(rates: Rates, currency: str):
    rates.post(date(YEAR, 3, 5), (CASH, 10, currency, 900), ("7.1.01.01", -900, "IDR", 0))
    missing = refused(rates.stub.RevalueForeignBalances, rates.revaluing(3), rates.agency.accountant)
    assert (missing.reason, missing.metadata["currency"]) == ("EXCHANGE_RATE_MISSING", currency)
    rates.record(rates.rate(currency, date(YEAR, 3, 31), "100"))
    rates.agency.close(3)

    closed = refused(rates.stub.RevalueForeignBalances, rates.revaluing(3), rates.agency.accountant)

    assert (closed.reason, closed.metadata["number"]) == ("PERIOD_CLOSED", "3")
    assert FXD not in rates.functional()


def test_the_app_adds_rates_and_edits_none(books: Books):
    engine = create_engine(sqlalchemy_url(books.database.app_url))
    with Session(engine) as session, pytest.raises(Exception, match="permission denied"):
        session.connection().exec_driver_sql("update exchange_rate set rate = 1")
    engine.dispose()
