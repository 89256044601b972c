"""Validity is half-open, months know their ends, derived ids repeat."""

from datetime import date

import pytest

from chassis.dates import Month, Validity
from chassis.ids import derived_id, new_id


def test_a_fact_does_not_hold_on_its_end_day():
    fact = Validity(date(2026, 1, 1), date(2026, 2, 1))

    assert fact.holds_on(date(2026, 1, 31))
    assert not fact.holds_on(date(2026, 2, 1))
    assert not fact.holds_on(date(2025, 12, 31))


def test_an_open_fact_holds_for_good():
    assert Validity(date(2026, 1, 1)).holds_on(date(2999, 1, 1))


def test_an_empty_span_is_refused():
    with pytest.raises(ValueError, match="not after"):
        Validity(date(2026, 1, 1), date(2026, 1, 1))


def test_december_is_followed_by_january():
    assert Month(2026, 12).next() == Month(2027, 1)
    assert Month(2024, 2).last == date(2024, 2, 29)


def test_derived_ids_repeat_and_fresh_ids_do_not():
    assert derived_id("run", 1) == derived_id("run", 1) != derived_id("run", 2)
    assert derived_id("ab", "c") != derived_id("a", "bc")
    assert new_id() != new_id()
    assert new_id().version == 7
