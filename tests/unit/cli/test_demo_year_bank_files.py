"""What the demo's bank sends is valid by the official schemas' rules, and says what it was told to say."""

from __future__ import annotations

from datetime import date

import pytest

from chassis.money import Money
from cli.demo_year import bank_files
from cli.demo_year.bank_files import ACCEPTED, REJECTED, WRONG_ACCOUNT, Debit, Status
from services.finance.treasury import bank_file
from tests.unit.finance.iso20022 import schema_problems

_DAY = date(2025, 3, 12)
_ACCOUNT = "8800120001"


def test_a_status_report_rejects_one_payment_and_accepts_another():
    statuses = [Status("a" * 32, REJECTED, WRONG_ACCOUNT), Status("b" * 32, ACCEPTED)]

    content = bank_files.status_report("c" * 32, statuses, on=_DAY)

    assert schema_problems(content) == []
    report = bank_file.read(content).statuses
    assert report is not None
    assert [one.end_to_end_id for one in report.statuses] == ["a" * 32, "b" * 32]


@pytest.mark.parametrize(("currency", "minor", "text"), [("IDR", 150_05, "150.05"), ("JPY", 150, ">150<")])
def test_a_statement_debits_what_left_and_closes_with_the_rest(currency, minor, text):
    debits = [
        Debit("a" * 32, "B1", Money(minor, currency), "00001/SP2D/2025"),
        Debit("b" * 32, "B2", Money(minor, currency), "x & y"),
    ]

    content, closing = bank_files.statement(_ACCOUNT, debits, number=3, opening=Money(minor, currency), on=_DAY)

    assert closing == Money(-minor, currency)
    assert schema_problems(content) == []
    assert text in content.decode()
    (told,) = bank_file.read(content).told
    assert [(entry.amount, entry.debit, entry.end_to_end_id) for entry in told.entries] == [
        (minor, True, "a" * 32),
        (minor, True, "b" * 32),
    ]
