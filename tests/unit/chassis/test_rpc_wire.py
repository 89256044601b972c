"""Common types of the wire and page tokens: exact both ways, hostile input refused."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from google.longrunning.operations_pb2 import ListOperationsRequest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2, money_pb2

from chassis import wire
from chassis.errors import InvalidArgument
from chassis.money import INT64_MAX, Money
from chassis.paging import Page, PageTokenInvalid

# --- money -------------------------------------------------------------------------------------------------


def test_an_amount_is_the_same_both_ways(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(2_000):
        currency = generator.choice(["IDR", "JPY", "KWD", "CLF", "EUR"])
        money = Money(generator.randint(-(10 ** generator.randint(1, 18)), 10 ** generator.randint(1, 18)), currency)

        assert wire.from_money(wire.to_money(money)) == money


def test_minus_half_a_rupiah_has_units_zero_and_negative_nanos() -> None:
    message = wire.to_money(Money(-50, "IDR"))

    assert (message.units, message.nanos) == (0, -500_000_000)
    assert wire.from_money(message) == Money(-50, "IDR")


@pytest.mark.parametrize(
    "message",
    [
        money_pb2.Money(currency_code="IDR", units=1, nanos=5_000_000),
        money_pb2.Money(currency_code="IDR", nanos=1),
        money_pb2.Money(currency_code="JPY", nanos=500_000_000),
        money_pb2.Money(currency_code="IDR", units=1, nanos=-10_000_000),
        money_pb2.Money(currency_code="IDR", units=-1, nanos=10_000_000),
        money_pb2.Money(currency_code="IDR", nanos=1_000_000_000),
        money_pb2.Money(currency_code="", units=1),
        money_pb2.Money(currency_code="idr", units=1),
        money_pb2.Money(currency_code="RUPIAH", units=1),
    ],
)
def test_an_amount_that_the_currency_cannot_hold_is_refused(message: money_pb2.Money) -> None:
    with pytest.raises(InvalidArgument) as refused:
        wire.from_money(message, "line.amount")

    assert refused.value.violations[0].field.startswith("line.amount.")


def test_an_amount_beyond_64_bits_is_out_of_range() -> None:
    from chassis.money import AmountOutOfRange

    with pytest.raises(AmountOutOfRange):
        wire.from_money(money_pb2.Money(currency_code="IDR", units=INT64_MAX))


# --- decimals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("12.500"), "12.5"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-7, 2), "-3.5"),
        (Fraction(10), "10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0"), "0"),
        (100, "100"),
        (Fraction(1, 5**3), "0.008"),
    ],
)
def test_a_number_is_written_in_plain_decimals(value: Decimal | Fraction | int, text: str) -> None:
    assert wire.to_decimal(value).value == text
    assert wire.from_decimal(wire.to_decimal(value)) == value


def test_a_third_must_be_rounded_before_it_is_written() -> None:
    with pytest.raises(ValueError, match="no end in decimals"):
        wire.to_decimal(Fraction(1, 3))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999999999", "1_000", "١٢", "0x1", "1" * 61, "1,5", "-"])
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        wire.from_decimal(decimal_pb2.Decimal(value=text))


def test_an_empty_decimal_is_zero() -> None:
    assert wire.from_decimal(decimal_pb2.Decimal()) == 0


# --- days, instants, ids -----------------------------------------------------------------------------------


def test_a_day_is_a_day_of_the_calendar() -> None:
    assert wire.from_date(wire.to_date(date(2024, 2, 29))) == date(2024, 2, 29)
    for year, month, day in [(2023, 2, 29), (2024, 0, 1), (2024, 1, 0), (0, 1, 1), (2024, 13, 1)]:
        with pytest.raises(InvalidArgument):
            wire.from_date(date_pb2.Date(year=year, month=month, day=day))


def test_an_instant_keeps_its_microseconds_and_needs_a_zone() -> None:
    instant = datetime(2026, 7, 1, 12, 0, 0, 123456, UTC)

    assert wire.from_timestamp(wire.to_timestamp(instant)) == instant
    with pytest.raises(ValueError, match="no zone"):
        wire.to_timestamp(instant.replace(tzinfo=None))
    with pytest.raises(InvalidArgument):
        wire.from_timestamp(Timestamp(seconds=10**15))


@pytest.mark.parametrize(
    "name", ["", "journalEntries", "journalEntries/", "journalEntries/7", "accounts/{}", "journalEntries/{}/x"]
)
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        wire.resource_id("journalEntries", name.format(uuid4()))


def test_a_name_holds_its_id() -> None:
    key = uuid4()

    assert wire.resource_id("journalEntries", wire.resource_name("journalEntries", key)) == key
    assert wire.optional_uuid("") is None
    with pytest.raises(InvalidArgument):
        wire.to_uuid("{" + str(key) + "}")


# --- pages -------------------------------------------------------------------------------------------------


def _page(token: str = "", size: int = 0, **filters: object) -> Page:
    return Page.of(ListOperationsRequest(page_token=token, page_size=size), filters)


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_the_size_has_a_default_and_an_end(asked: int, given: int) -> None:
    assert _page(size=asked).size == given


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        _page(size=-1)


def test_a_token_gives_back_the_last_key_with_its_types() -> None:
    key = (uuid4(), date(2026, 1, 31), datetime(2026, 1, 31, 1, 2, 3, 4, UTC), -7, "Ω/5.1", None)

    assert _page(_page(agency="a").token(key), agency="a").after == key


def test_a_token_of_another_filter_or_list_is_refused() -> None:
    token = _page(agency="a").token((1,))

    for filters in ({"agency": "b"}, {}, {"agency": "a", "year": 2026}):
        with pytest.raises(PageTokenInvalid):
            _page(token, **filters)


def test_a_token_that_was_altered_is_refused(seed: int) -> None:
    generator = random.Random(seed)
    token = _page().token((UUID(int=5), "text"))
    for _ in range(300):
        place = generator.randrange(len(token))
        altered = token[:place] + generator.choice("ABCxyz019-_=!é ") + token[place + 1 :]
        if altered != token:
            with pytest.raises(PageTokenInvalid):
                _page(altered)


def test_a_key_that_cannot_be_ordered_is_our_mistake() -> None:
    for bad in (1.5, True, timedelta(1)):
        with pytest.raises(TypeError):
            _page().token((bad,))  # type: ignore[arg-type]
