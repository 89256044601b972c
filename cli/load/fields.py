"""Columns of a file as a message's JSON: plain texts become amounts, days and numbers by the field's type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}


def from_columns(message: Descriptor, row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """The row as JSON of `message`. ValueError names the column that does not fit.

    `a.b` is field b of field a; an amount is `1250000.50` (of `currency`), a day `2025-01-31`; what is no text
    (from JSON lines) is taken as it is.
    """
    made: dict[str, Any] = {}
    for column, value in row.items():
        target: dict[str, Any] = made
        descriptor: Descriptor | None = message
        *outer, last = column.split(".")
        for name in outer:
            field = _field(descriptor, name, column)
            target, descriptor = target.setdefault(name, {}), field.message_type
        target[last] = _value(_field(descriptor, last, column), value, column, currency)
    return made


def _field(message: Descriptor | None, name: str, column: str) -> FieldDescriptor:
    if message is None or name not in message.fields_by_name:
        raise ValueError(f"column {column!r}: {message.name if message else 'a plain value'} has no field {name!r}")
    return message.fields_by_name[name]


def _value(field: FieldDescriptor, value: Any, column: str, currency: str) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    kind = field.message_type.full_name if field.message_type else None
    try:
        if kind == "google.type.Money":
            return money(text, currency)
        if kind == "google.type.Decimal":
            return {"value": str(Decimal(text))}
        if kind == "google.type.Date":
            day = date.fromisoformat(text)
            return {"year": day.year, "month": day.month, "day": day.day}
        if field.type == FieldDescriptor.TYPE_BOOL:
            return _bool(text)
        if field.enum_type is not None and text not in field.enum_type.values_by_name:
            raise ValueError(f"is none of {', '.join(field.enum_type.values_by_name)}")
    except (ValueError, InvalidOperation) as bad:
        raise ValueError(f"column {column!r}: {text!r} does not fit ({bad})") from None
    return text


def _bool(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("is neither true nor false")


def money(text: str, currency: str) -> dict[str, Any]:
    """A decimal text as google.type.Money's JSON; ValueError beyond nine decimals."""
    amount = Decimal(text)
    nanos = amount.scaleb(9)
    if nanos != nanos.to_integral_value():
        raise ValueError("has more than nine decimals")
    units, rest = divmod(abs(int(nanos)), 10**9)
    sign = -1 if amount < 0 else 1
    return {"currency_code": currency, "units": str(sign * units), "nanos": sign * rest}
