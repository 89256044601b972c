"""Facts are bitemporal: a change says something new about some days and leaves all else as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from chassis.ids import new_id
from services.hr.employee import domain
from services.hr.employee.domain import Amendment, PayFacts, Version
from services.hr.position.domain import StaffKind

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = PayFacts(StaffKind.CIVIL_SERVANT, "III/b", 4, False, 0, "TK/0", 0, "116", "****1234")
HIRED = date(2026, 1, 1)


def hired(facts: PayFacts = FACTS) -> list[Version]:
    return [Version(new_id(), HIRED, None, BEGIN, None, facts)]


def record(versions: list[Version], amendment: Amendment, at: datetime) -> list[Version]:
    """What the store does with an amendment."""
    kept = [replace(v, known_to=at) if v.fact_id in amendment.closed else v for v in versions]
    return kept + [Version(new_id(), new.valid_from, new.valid_to, at, None, new.facts) for new in amendment.added]


def years(versions: list[Version], day: date, known_at: datetime | None = None) -> int | None:
    held = domain.held_on(versions, day, known_at)
    return None if held is None else held.facts.service_years


def test_a_correction_of_a_span_leaves_the_days_around_it() -> None:
    before = hired()

    amendment = domain.amend(before, {"service_years": 6}, date(2026, 3, 1), date(2026, 4, 1))
    after = record(before, amendment, BEGIN + timedelta(days=90))

    days = (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))
    assert [years(after, day) for day in days] == [4, 6, 6, 4]
    assert [years(after, day, BEGIN) for day in days] == [4, 4, 4, 4]


def test_a_change_that_says_nothing_new_records_nothing() -> None:
    assert domain.amend(hired(), {"service_years": 4}, date(2026, 3, 1), None) == Amendment((), ())


changes = st.lists(
    st.tuples(st.integers(0, 360), st.one_of(st.none(), st.integers(1, 200)), st.integers(0, 9)), max_size=8
)


@given(changes)
def test_every_day_shows_the_last_word_about_it_and_every_past_belief_stays(history: list) -> None:
    versions, model = hired(), {}
    beliefs: list[tuple[datetime, dict[int, int | None]]] = []
    for number, (start, length, value) in enumerate(history):
        at = BEGIN + timedelta(hours=number + 1)
        beliefs.append(
            (at - timedelta(minutes=1), {n: years(versions, HIRED + timedelta(days=n)) for n in range(0, 400, 7)})
        )
        valid_from = HIRED + timedelta(days=start)
        valid_to = None if length is None else valid_from + timedelta(days=length)
        versions = record(versions, domain.amend(versions, {"service_years": value}, valid_from, valid_to), at)
        for n in range(start, 400 if length is None else min(400, start + length)):
            model[n] = value

    assert all(years(versions, HIRED + timedelta(days=n)) == model.get(n, 4) for n in range(400))
    for instant, believed in beliefs:
        assert {n: years(versions, HIRED + timedelta(days=n), instant) for n in believed} == believed
    known = domain.as_known(versions)
    assert known[0].valid_from == HIRED
    assert known[-1].valid_to is None
    assert all(left.valid_to == right.valid_from for left, right in pairwise(known))


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (replace(FACTS, grade=""), "facts.grade"),
        (replace(FACTS, contract_pay_minor=100), "facts.contract_pay"),
        (replace(FACTS, staff_kind=StaffKind.CONTRACT, grade=""), "facts.contract_pay"),
        (replace(FACTS, staff_kind=StaffKind.CONTRACT, grade="", contract_pay_minor=150), "facts.contract_pay"),
        (replace(FACTS, tax_status=""), "facts.tax_status"),
    ],
)
def test_facts_that_make_no_sense_are_refused_by_field(facts: PayFacts, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        domain.check_facts(facts, unit_minor=100)

    assert caught.value.violations[0].field == field
