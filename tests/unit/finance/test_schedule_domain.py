"""On which days a template is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from chassis.errors import InvalidArgument
from services.finance.ledger.domain import Basis, Line, reversal_day
from services.finance.ledger.schedule import domain
from services.finance.ledger.schedule.domain import Template

LINES = (
    Line(Basis.ACCRUAL, "UMUM", "8.1.02.01", 500, 0, "IDR"),
    Line(Basis.ACCRUAL, "UMUM", "2.1.06.99", 0, 500, "IDR"),
)
RENT = Template(
    journal_template_id=UUID(int=1),
    agency_id=UUID(int=2),
    description="rent",
    first_due_on=date(2025, 1, 31),
    interval_months=1,
    last_due_on=None,
    auto_reverse=False,
    lines=LINES,
    person_id=UUID(int=3),
    created_at=datetime(2025, 1, 1, tzinfo=UTC),
)


def test_a_template_is_due_on_its_day_or_the_months_last():
    assert list(RENT.due_days(date(2025, 5, 1))) == [
        date(2025, 1, 31),
        date(2025, 2, 28),
        date(2025, 3, 31),
        date(2025, 4, 30),
    ]


@pytest.mark.parametrize(
    ("interval", "third"), [(3, date(2025, 7, 31)), (12, date(2027, 1, 31)), (13, date(2027, 3, 31))]
)
def test_due_days_lie_their_interval_apart(interval: int, third: date):
    assert list(replace(RENT, interval_months=interval).due_days(third))[2] == third


def test_nothing_is_due_before_the_first_day_or_after_the_last():
    assert list(RENT.due_days(date(2025, 1, 30))) == []
    assert list(replace(RENT, last_due_on=date(2025, 2, 27)).due_days(date(2030, 1, 1))) == [date(2025, 1, 31)]


def test_the_next_due_day_is_the_first_without_an_entry():
    assert RENT.next_due(frozenset()) == date(2025, 1, 31)
    assert RENT.next_due({date(2025, 1, 31), date(2025, 3, 31)}) == date(2025, 2, 28)
    assert replace(RENT, last_due_on=date(2025, 1, 31)).next_due({date(2025, 1, 31)}) is None


def test_a_template_ends_where_it_has_no_entry_yet_and_is_not_prolonged():
    posted = {date(2025, 1, 31), date(2025, 2, 28)}

    ended = domain.ended(RENT, date(2025, 3, 15), posted=posted)

    assert list(ended.due_days(date(2030, 1, 1))) == sorted(posted)
    with pytest.raises(InvalidArgument, match="has its entry"):
        domain.ended(RENT, date(2025, 2, 27), posted=posted)
    with pytest.raises(InvalidArgument, match="not prolonged"):
        domain.ended(ended, date(2025, 3, 16), posted=posted)
    assert list(domain.ended(RENT, date(2025, 1, 30), posted=set()).due_days(date(2030, 1, 1))) == []
    with pytest.raises(InvalidArgument):
        domain.check_span(replace(RENT, last_due_on=date(2025, 1, 30)))


@pytest.mark.parametrize(
    ("accounting_on", "reverses_on"),
    [
        (date(2025, 1, 31), date(2025, 2, 1)),
        (date(2025, 2, 1), date(2025, 3, 1)),
        (date(2025, 12, 31), date(2026, 1, 1)),
    ],
)
def test_an_accrual_reverses_on_the_first_day_of_the_next_month(accounting_on: date, reverses_on: date):
    assert reversal_day(accounting_on) == reverses_on


def test_the_mirror_of_an_accrual_changes_sides_and_does_not_reverse_again():
    accrual = replace(RENT, auto_reverse=True).entry(
        date(2025, 1, 31), journal_entry_id=UUID(int=5), person_id=UUID(int=6)
    )

    mirror = domain.mirror(accrual, date(2025, 2, 1), journal_entry_id=UUID(int=7), person_id=UUID(int=8))

    assert [(line.debit_minor, line.credit_minor) for line in mirror.lines] == [(0, 500), (500, 0)]
    assert (mirror.reverses_id, mirror.auto_reverse, mirror.person_id) == (UUID(int=5), False, UUID(int=8))
