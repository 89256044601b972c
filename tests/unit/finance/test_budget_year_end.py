"""The end of a budget year on plain values: what lapses, what is carried, and that nothing is lost (N7, F7)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from uuid import UUID, uuid4

import pytest

from services.finance.budget.buckets import BUCKET_NAMES
from services.finance.budget.domain import (
    Buckets,
    Document,
    DocumentKind,
    Key,
    Line,
    MovementKind,
    Position,
    SamePerson,
)
from services.finance.budget.span import Span
from services.finance.budget.yearend import domain
from services.finance.budget.yearend.domain import Decision, YearEnd, YearEndAct, YearEndStatus
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR, FiscalCalendar, Period

AGENCY, MAKER, CHECKER = uuid4(), uuid4(), uuid4()
NOW = datetime(2026, 1, 2, 8, tzinfo=UTC)


def a_line(year: int, amount: int = 0, used: Buckets = Buckets(), **values) -> Line:  # noqa: B008  # a frozen value
    return Line(
        budget_line_id=uuid4(),
        agency_id=AGENCY,
        currency="IDR",
        fiscal_year=year,
        original=amount,
        buckets=used,
        **values,
    )


def a_position(line: Line, kind: DocumentKind = DocumentKind.CONTRACT, **buckets: int) -> Position:
    held = Buckets(**buckets)
    open_ = held.reserved + held.obligated
    return Position(
        key=Key(uuid4(), line.budget_line_id),
        document=Document(kind, uuid4(), "DOC/1"),
        total=open_ + held.expended + held.paid,
        liquidated=held.expended + held.paid,
        buckets=held,
        schedule={Period(2025, 11): open_} if open_ else {},
        opening_movement_id=uuid4(),
    )


def a_year_end(**values) -> YearEnd:
    return YearEnd(
        **{
            "budget_year_end_id": uuid4(),
            "agency_id": AGENCY,
            "fiscal_year": 2025,
            "document_number": "END/1",
            "explanation": "the year is over",
            "default": Decision.CARRY,
            "opened_on": date(2026, 1, 2),
            "proposed_by": MAKER,
            "proposed_at": NOW,
            **values,
        }
    )


def ended(year_end: YearEnd, line: Line, following: Line, *positions: Position) -> YearEndAct:
    used = line
    for position in positions:
        used = used.moved(position.buckets)
    act = YearEndAct(
        year_end,
        [used, following],
        positions,
        next_lines={line.budget_line_id: following.budget_line_id},
        new_id=uuid4,
        calendar=CALENDAR_YEAR,
    )
    assert act.blockers() == []
    act.end({})
    return act


def test_n07_revised_is_paid_and_lapsed_and_carried():
    line, following = a_line(2025, 1_000), a_line(2026)

    act = ended(
        a_year_end(),
        line,
        following,
        a_position(line, obligated=200, expended=50, paid=600),
        a_position(line, reserved=30),
    )

    (result,) = act.results()
    assert (result.revised, result.paid, result.lapsed, result.carried) == (1_000, 600, 150, 250)
    after = act.lines[following.budget_line_id]
    assert (after.carried_in, after.buckets, after.available) == (250, Buckets(obligated=200, expended=50), 0)
    assert act.lines[line.budget_line_id].buckets == Buckets(paid=600)


def test_a_cancelled_obligation_lapses_and_what_is_owed_is_carried_all_the_same():
    line, following = a_line(2025, 1_000), a_line(2026)

    act = ended(a_year_end(default=Decision.CANCEL), line, following, a_position(line, obligated=200, expended=50))

    (result,) = act.results()
    assert (result.lapsed, result.carried) == (950, 50)


def test_the_obligation_of_a_post_ends_with_its_year_unless_it_is_named():
    line, following = a_line(2025, 1_000), a_line(2026)
    post = a_position(line, DocumentKind.POSITION, obligated=100)

    by_default = ended(a_year_end(), line, following, post)
    named = ended(a_year_end(decisions={post.key: Decision.CARRY}), line, following, post)

    assert [act.results()[0].carried for act in (by_default, named)] == [0, 100]


def test_shares_of_quantity_go_on_where_they_were():
    line, following = a_line(2025, 1_000), a_line(2026)
    order = replace(
        a_position(line, obligated=67, paid=33),
        quantity_total=Fraction(3),
        quantity_liquidated=Fraction(1),
    )

    act = ended(a_year_end(), line, following, order)

    carried = next(one for one in act.positions if one.key.budget_line_id == following.budget_line_id)
    # N3: 100 by thirds is 33, 34, 33; the second third comes next year.
    assert carried.share(Fraction(1)) == 34
    assert carried.schedule == {Period(2026, 1): 67}


def test_what_is_to_be_carried_needs_a_line_and_orders_and_overrides_block():
    line = a_line(2025, 1_000, Buckets(ordered=1, advanced=2), override=3)
    act = YearEndAct(
        a_year_end(), [line], [a_position(line, obligated=5)], next_lines={}, new_id=uuid4, calendar=CALENDAR_YEAR
    )

    assert len(act.blockers()) == 3


def test_any_year_ends_with_nothing_lost(seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(200):
        line, following = a_line(2025, 100_000), a_line(2026, 7)
        positions = [
            a_position(line, **{name: rng.randint(0, 90) for name in rng.sample(["obligated", "expended", "paid"], 2)})
            if rng.random() < 0.7
            else a_position(line, reserved=rng.randint(1, 90))
            for _ in range(rng.randint(0, 6))
        ]
        decisions = {one.key: rng.choice(list(Decision)) for one in positions if rng.random() < 0.5}
        act = ended(a_year_end(decisions=decisions), line, following, *positions)

        (result,) = act.results()
        new = act.lines[following.budget_line_id]
        assert result.revised == result.paid + result.lapsed + result.carried
        assert (new.carried_in, new.buckets.total, new.available) == (result.carried, result.carried, 7)
        for line_id in (line.budget_line_id, following.budget_line_id):
            moved = [m.changes for m in (*act.ended, *act.opened) if m.budget_line_id == line_id]
            change = act.lines[line_id].buckets + -act.before[line_id].buckets
            for name in BUCKET_NAMES:
                assert sum(getattr(one, name) for one in moved) == getattr(change, name)
        for position in act.positions:
            assert position.total - position.liquidated == position.open == sum(position.schedule.values())


def test_another_person_ends_the_year_once():
    proposed = a_year_end()

    with pytest.raises(SamePerson):
        domain.decide(proposed, YearEndStatus.APPROVED, by=MAKER, at=NOW)
    with pytest.raises(domain.NotTheProposer):
        domain.decide(proposed, YearEndStatus.RECALLED, by=CHECKER, at=NOW)
    approved = domain.decide(proposed, YearEndStatus.APPROVED, by=CHECKER, at=NOW)
    with pytest.raises(domain.YearEndNotProposed):
        domain.decide(approved, YearEndStatus.REJECTED, by=UUID(int=1), at=NOW)


def test_n11_an_advance_is_spent_in_its_year_and_the_rest_of_its_contract_carried():
    line, following = a_line(2025, 1_000), a_line(2026)
    contract = replace(
        a_position(line, obligated=480, advanced=120, expended=20, paid=380), total=1_000, liquidated=520
    )

    act = ended(a_year_end(), line, following, contract)

    (result,) = act.results()
    assert (result.revised, result.paid, result.closed_advances, result.lapsed, result.carried) == (
        1_000,
        500,
        120,
        0,
        500,
    )
    assert act.lines[line.budget_line_id].buckets == Buckets(paid=500)
    before, after = act.positions
    assert (before.buckets, before.closed) == (Buckets(paid=500), True)
    assert (after.buckets, after.total, after.liquidated) == (Buckets(obligated=480, expended=20), 1_000, 520)
    closing = act.ended[0]
    assert (closing.kind, closing.changes) == (MovementKind.CLOSE_ADVANCE, Buckets(advanced=-120, paid=120))
    assert (closing.document.kind, closing.document.document_id) == (
        DocumentKind.YEAR_END,
        act.year_end.budget_year_end_id,
    )
    assert closing.position_document_line_id == contract.key.document_line_id
    assert closing.liquidates_movement_id == contract.opening_movement_id


def test_an_advance_alone_is_closed_under_any_calendar_and_any_decision():
    line, following = a_line(2026, 300), a_line(2027)
    contract = replace(a_position(line, advanced=200), total=200, liquidated=200)

    # Sembara's year 2026 is July 2025 to June 2026.
    act = YearEndAct(
        a_year_end(fiscal_year=2026, default=Decision.CANCEL, opened_on=date(2026, 7, 1)),
        [line.moved(contract.buckets), following],
        [contract],
        next_lines={},
        new_id=uuid4,
        calendar=FiscalCalendar(first_month=7, named_by_its_end=True),
    )
    act.end({})

    assert act.blockers() == []
    assert [one.kind for one in act.ended] == [MovementKind.CLOSE_ADVANCE]
    assert act.results()[0].paid == 200


def test_a_project_ends_with_the_last_year_of_its_span():
    project = a_line(2024, 500, span=Span(date(2024, 1, 1), date(2026, 1, 1), 2025))
    longer = a_line(2024, 500, span=Span(date(2024, 1, 1), date(2027, 1, 1), 2026))
    act = YearEndAct(a_year_end(), [project, longer], [], next_lines={}, new_id=uuid4, calendar=CALENDAR_YEAR)

    act.end({})

    assert [(one.budget_line_id, one.lapsed) for one in act.results()] == [(project.budget_line_id, 500)]
