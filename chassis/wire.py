"""Between the wire and the domain: the common types, both ways, exact. Errors are INVALID_ARGUMENT."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2, money_pb2

from chassis.errors import InvalidArgument
from chassis.money import Money, exponent

_NANO_DIGITS = 9
# More digits than any quantity or rate has; keeps a hostile exponent from growing into gigabytes.
_DECIMAL_CHARACTERS_MAX = 60
_DECIMAL_EXPONENT_MAX = 40


def from_money(message: money_pb2.Money, field: str = "amount") -> Money:
    """The amount in minor units. Refused: no currency, units and nanos of opposite sign, more decimals than
    the currency has (IDR 2), nanos of a whole unit or more."""
    currency, units, nanos = message.currency_code, message.units, message.nanos
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise InvalidArgument.field(f"{field}.currency_code", f"{currency!r} is no ISO 4217 code such as IDR")
    if abs(nanos) >= 10**_NANO_DIGITS or units * nanos < 0:
        raise InvalidArgument.field(
            f"{field}.nanos", f"{nanos} is out of range, or has another sign than units {units}"
        )
    digits = exponent(currency)
    # Truncated towards zero so that the remainder keeps its sign; it must be nothing.
    minor_of_nanos, rest = divmod(abs(nanos), 10 ** (_NANO_DIGITS - digits))
    if rest:
        raise InvalidArgument.field(
            f"{field}.nanos", f"{nanos} has more than the {digits} decimals of {currency}; round it first"
        )
    sign = -1 if nanos < 0 else 1
    return Money(units * 10**digits + sign * minor_of_nanos, currency)


def money_fields(minor: int, currency: str) -> dict[str, Any]:
    """The fields of a google.type.Money of `minor` units: units and nanos of one sign.

    For messages with many amounts, which are built around them: a Money made first and copied costs several times that.
    """
    scale = 10 ** exponent(currency)
    units, rest = divmod(abs(minor), scale)
    nanos = rest * (10**_NANO_DIGITS // scale)
    return {"currency_code": currency, "units": -units if minor < 0 else units, "nanos": -nanos if minor < 0 else nanos}


def to_money(money: Money) -> money_pb2.Money:
    """The amount as units and nanos of one sign."""
    return money_pb2.Money(**money_fields(money.minor, money.currency))


def from_date(message: date_pb2.Date, field: str = "date") -> date:
    """The civil day; refused when it is not a whole day of the calendar (year, month and day are all needed)."""
    try:
        return date(message.year, message.month, message.day)
    except ValueError as bad:
        raise InvalidArgument.field(
            field, f"{message.year}-{message.month}-{message.day} is not a day of the calendar"
        ) from bad


def to_date(day: date) -> date_pb2.Date:
    """The civil day as year, month and day."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def from_decimal(message: decimal_pb2.Decimal, field: str = "value") -> Decimal:
    """The exact number; an empty value is zero (google.type.Decimal). Refused: no number, infinity, NaN, or
    more than 60 characters."""
    text = message.value
    try:
        value = Decimal(text or "0") if len(text) <= _DECIMAL_CHARACTERS_MAX and text.isascii() else None
    except InvalidOperation:
        value = None
    if value is None or "_" in text or not value.is_finite():
        raise InvalidArgument.field(f"{field}.value", "not a decimal number such as 12.5")
    if value and abs(value.adjusted()) > _DECIMAL_EXPONENT_MAX:
        raise InvalidArgument.field(f"{field}.value", f"beyond 10^{_DECIMAL_EXPONENT_MAX}; give a smaller number")
    return value


def to_decimal(value: Decimal | Fraction | int) -> decimal_pb2.Decimal:
    """The number in plain decimals. A fraction without an end in decimals is an error of ours: round it first."""
    if isinstance(value, Fraction):
        value = _terminating(value)
    text = f"{Decimal(value):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return decimal_pb2.Decimal(value="0" if text in ("-0", "") else text)


def _terminating(value: Fraction) -> Decimal:
    places, rest = 0, value.denominator
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest != 1:
        raise ValueError(f"{value} has no end in decimals; round it where the rule says so")
    scaled = value.numerator * (10**places // value.denominator)
    digits = tuple(int(digit) for digit in str(abs(scaled)))
    return Decimal((int(scaled < 0), digits, -places))


def to_timestamp(instant: datetime) -> Timestamp:
    """The instant; it must be aware."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no zone; instants are UTC")
    message = Timestamp()
    message.FromDatetime(instant.astimezone(UTC))
    return message


def from_timestamp(message: Timestamp, field: str = "time") -> datetime:
    """The instant, UTC, to the microsecond."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as bad:
        raise InvalidArgument.field(field, "not an instant between the years 1 and 9999") from bad


def to_uuid(text: str, field: str = "id") -> UUID:
    """The UUID that `text` writes in its usual form of 36 characters."""
    try:
        if len(text) != 36:
            raise ValueError("not 36 characters")
        return UUID(text)
    except ValueError as bad:
        raise InvalidArgument.field(field, "not a UUID of the form 8-4-4-4-12") from bad


def optional_uuid(text: str, field: str = "id") -> UUID | None:
    """None for an empty text, else the UUID."""
    return to_uuid(text, field) if text else None


def resource_name(collection: str, key: UUID) -> str:
    """`journalEntries/{uuid}`."""
    return f"{collection}/{key}"


def resource_id(collection: str, name: str, field: str = "name") -> UUID:
    """The UUID in the resource name `{collection}/{uuid}`; INVALID_ARGUMENT for any other form."""
    prefix, _, key = name.partition("/")
    if prefix != collection or "/" in key:
        raise InvalidArgument.field(field, f"not a name of the form {collection}/{{uuid}}")
    return to_uuid(key, field)
