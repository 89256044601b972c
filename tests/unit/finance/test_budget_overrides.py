"""Overrides: consumed last, shrinking first, never beyond their year: plain values, and any history of one node."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from services.finance.budget.authority import AuthorityAct
from services.finance.budget.domain import Buckets, Document, DocumentKind, Line, LineStatus, SamePerson
from services.finance.budget.overrides import domain
from services.finance.budget.overrides.domain import (
    NotAHardStop,
    OpenItem,
    Override,
    OverrideInvalid,
    OverrideItem,
    OverrideOutOfTurn,
    OverrideStatus,
    consumed_of,
    expired,
    resettled,
)
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR

MAKER, CHECKER = uuid4(), uuid4()
NOW = datetime(2025, 3, 1, 8, tzinfo=UTC)


def a_line(original: int = 100, used: int = 0, override: int = 0, **values) -> Line:
    return Line(
        **{
            "budget_line_id": uuid4(),
            "agency_id": uuid4(),
            "currency": "IDR",
            "fiscal_year": 2025,
            "original": original,
            "override": override,
            "buckets": Buckets(obligated=used),
            **values,
        }
    )


def an_override(**values) -> Override:
    return Override(
        **{
            "budget_override_id": uuid4(),
            "agency_id": uuid4(),
            "fiscal_year": 2025,
            "document_number": "OVR/1",
            "authority_document": "SK 1",
            "reason": "a flood",
            "coverage": "in October",
            "currency": "IDR",
            "effective_on": date(2025, 3, 1),
            "expires_on": date(2025, 6, 30),
            "items": (OverrideItem(uuid4(), 20),),
            "proposed_by": MAKER,
            "proposed_at": NOW,
            **values,
        }
    )


def items(*amounts: tuple[int, int]) -> list[OpenItem]:
    return [OpenItem(uuid4(), date(2025, 6, 30), open_, consumed) for open_, consumed in amounts]


def shown(found: list[OpenItem]) -> list[tuple[int, int]]:
    return [(item.open, item.consumed) for item in found]


@pytest.mark.parametrize(("used", "consumed"), [(0, 0), (100, 0), (101, 1), (120, 20)])
def test_the_ordinary_budget_is_used_before_the_override(used: int, consumed: int):
    assert consumed_of(a_line(100, used, override=20)) == consumed


def test_what_is_frozen_is_not_there_before_the_override_either():
    assert consumed_of(a_line(100, 95, override=20, frozen=10)) == 5


def test_the_oldest_override_is_consumed_first_and_the_newest_shrinks_first():
    two = items((10, 0), (20, 0))

    up = resettled(two, a_line(100, 125, override=30))
    down = resettled(up, a_line(100, 108, override=30))

    assert shown(up) == [(10, 10), (20, 15)]
    # 17 came back: 15 of the newest and 2 of the oldest are gone for good, the unused 5 is as it was.
    assert shown(down) == [(8, 8), (5, 0)]


def test_a_budget_that_grows_covers_the_override():
    used = resettled(items((20, 0)), a_line(100, 115, override=20))

    covered = resettled(used, a_line(100, 115, override=20, supplementary=40))

    assert (shown(used), shown(covered)) == ([(20, 15)], [(5, 0)])


def test_after_its_last_day_what_nobody_used_is_gone_and_what_was_used_stays_until_it_is_covered():
    used, line = items((20, 15)), a_line(100, 115, override=20)

    assert shown(expired(used, line, on=date(2025, 6, 30))) == [(20, 15)]
    assert shown(expired(used, line, on=date(2025, 7, 1))) == [(15, 15)]


def test_any_history_of_a_node_keeps_its_overrides_and_leaves_nothing_negative(seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    line, open_items = a_line(100), []
    peak = 0
    for _ in range(400):
        if rng.random() < 0.1:
            amount = rng.randint(1, 30)
            open_items = [*open_items, *items((amount, 0))]
            line = replace(line, override=line.override + amount)
            peak += amount
        change = rng.choice([rng.randint(0, line.available), -rng.randint(0, line.buckets.obligated)])
        line = line.moved(Buckets(obligated=change))
        if rng.random() < 0.1:
            line = replace(line, supplementary=line.supplementary + rng.randint(0, 10))
        open_items = resettled(open_items, line)
        line = replace(line, override=sum(item.open for item in open_items))

        assert line.available >= 0
        assert sum(item.consumed for item in open_items) == consumed_of(line)
        assert all(0 <= item.consumed <= item.open for item in open_items)
    assert line.override <= peak


def test_authority_by_an_override_is_for_spending_and_cannot_be_given_away_or_frozen():
    line, other = a_line(100, 95, override=20), a_line(100)

    def short(act) -> list[int]:
        return [one.available for one in act.shortages()]

    def an_act() -> AuthorityAct:
        return AuthorityAct([line, other], document=Document(DocumentKind.BUDGET_CHANGE, uuid4(), "C"), new_id=uuid4)

    giving, holding, within = an_act(), an_act(), an_act()
    giving.vire(line.budget_line_id, other.budget_line_id, 6)
    holding.freeze(line.budget_line_id, 6)
    within.vire(line.budget_line_id, other.budget_line_id, 5)

    assert (short(giving), short(holding), short(within)) == ([5], [5], [])


@pytest.mark.parametrize(
    "values",
    [
        {"expires_on": date(2026, 1, 1)},
        {"effective_on": date(2024, 12, 31)},
        {"expires_on": date(2025, 2, 28)},
        {"items": (OverrideItem(uuid4(), 0),)},
        {"items": (OverrideItem(MAKER, 1), OverrideItem(MAKER, 2))},
    ],
)
def test_an_override_lies_within_its_year_and_gives_something(values):
    with pytest.raises(OverrideInvalid):
        domain.check_form(an_override(**values), CALENDAR_YEAR)


@pytest.mark.parametrize(
    "values",
    [{"controlling": False}, {"status": LineStatus.DRAFT}, {"fiscal_year": 2024}, {"currency": "USD"}],
)
def test_there_is_a_hard_stop_of_the_year_to_exceed(values):
    with pytest.raises(NotAHardStop):
        domain.check_nodes(an_override(), [a_line(**values)])


def test_another_person_opens_it_once_and_it_gives_what_was_asked():
    proposed = an_override()

    with pytest.raises(SamePerson):
        domain.decide(proposed, OverrideStatus.OPEN, by=MAKER, at=NOW)
    opened = domain.decide(proposed, OverrideStatus.OPEN, by=CHECKER, at=NOW, role="finance.budget_authority")
    with pytest.raises(OverrideOutOfTurn):
        domain.decide(opened, OverrideStatus.REJECTED, by=CHECKER, at=NOW)
    assert (proposed.open, opened.open, opened.decided_role) == (0, 20, "finance.budget_authority")


def test_an_unused_override_that_is_ended_is_closed_and_a_used_one_stays_open():
    opened = domain.decide(an_override(), OverrideStatus.OPEN, by=CHECKER, at=NOW)
    used = replace(opened, items=tuple(replace(item, consumed=5) for item in opened.items))

    assert domain.unused_ended(opened).status is OverrideStatus.CLOSED
    assert (domain.unused_ended(used).status, domain.unused_ended(used).open) == (OverrideStatus.OPEN, 5)
