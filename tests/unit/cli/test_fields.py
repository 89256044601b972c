"""Columns of a file become a message's fields by their types."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from cli.load.fields import from_columns, money
from kelola.finance.v1 import account_pb2, budget_pb2

_LINE = budget_pb2.AppropriationLine.DESCRIPTOR


def test_a_row_of_texts_becomes_a_message():
    row = {"organisation_code": "1.02.01", "account_code": "5.1.02.01", "line_no": "2", "original": "42600000.50"}

    line = json_format.ParseDict(from_columns(_LINE, row, "IDR"), budget_pb2.AppropriationLine())

    assert (line.organisation_code, line.line_no) == ("1.02.01", 2)
    assert (line.original.currency_code, line.original.units, line.original.nanos) == ("IDR", 42_600_000, 500_000_000)


def test_days_truths_and_names_of_enums_are_read():
    row = {"code": "1", "kind": "ACCOUNT_KIND_ASSET", "postable": "yes", "valid_from": "2025-01-31"}

    account = json_format.ParseDict(from_columns(account_pb2.Account.DESCRIPTOR, row, "IDR"), account_pb2.Account())

    assert account.kind == account_pb2.ACCOUNT_KIND_ASSET
    assert account.postable
    assert (account.valid_from.year, account.valid_from.month, account.valid_from.day) == (2025, 1, 31)


def test_a_dotted_column_reaches_inside_and_finished_json_passes():
    row = {"original.currency_code": "USD", "original.units": "7", "display_name": "Rapat"}

    made = from_columns(_LINE, row, "IDR")

    assert made == {"original": {"currency_code": "USD", "units": "7"}, "display_name": "Rapat"}
    assert from_columns(_LINE, {"original": {"units": "1"}}, "IDR") == {"original": {"units": "1"}}


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("colour", "red", "has no field 'colour'"),
        ("line_no.x", "1", "a plain value has no field 'x'"),
        ("original", "12,5", "'12,5' does not fit"),
        ("original", "1.0000000001", "more than nine decimals"),
        ("uncontrolled", "perhaps", "neither true nor false"),
    ],
)
def test_what_does_not_fit_is_named(column, value, says):
    with pytest.raises(ValueError, match=says):
        from_columns(_LINE, {column: value}, "IDR")


@pytest.mark.parametrize(
    ("text", "units", "nanos"),
    [("0", "0", 0), ("-0.25", "0", -250_000_000), ("-3.5", "-3", -500_000_000), ("1e3", "1000", 0)],
)
def test_money_keeps_its_sign_in_both_parts(text, units, nanos):
    assert money(text, "IDR") == {"currency_code": "IDR", "units": units, "nanos": nanos}
