"""The rules of changes of control, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from services.finance.budget.controls import domain
from services.finance.budget.controls.domain import ControlChange, ControlItem, ControlStatus, Mode
from services.finance.budget.domain import Line, LineStatus, SamePerson

AT = datetime(2025, 3, 1, tzinfo=UTC)
AGENCY, MAKER, CHECKER = uuid4(), uuid4(), uuid4()
TOP, NODE, LEAF = (UUID(int=number) for number in (1, 2, 3))


def tree(**leaf: object) -> dict[UUID, Line]:
    """A hard stop over a node over a line, which both leave control to it."""
    top = Line(TOP, AGENCY, "IDR", fiscal_year=2025, postable=False, original=100)
    node = replace(top, budget_line_id=NODE, parent_id=TOP, controlling=False)
    line = replace(node, budget_line_id=LEAF, parent_id=NODE, postable=True)
    return domain.by_id([top, node, replace(line, **leaf)])  # type: ignore[arg-type]


def change(*items: tuple[UUID, Mode]) -> ControlChange:
    """A proposal."""
    return ControlChange(
        uuid4(), AGENCY, 2025, "KENDALI/1", "Perkada", "", tuple(ControlItem(*one) for one in items), MAKER, AT
    )


def test_control_may_move_down_when_every_line_keeps_a_hard_stop():
    planned = domain.plan(change((LEAF, Mode.HARD_STOP), (TOP, Mode.WARNING), (NODE, Mode.WARNING)), tree())

    assert [item.mode_before for item in planned.items] == [Mode.UNCONTROLLED, Mode.HARD_STOP, Mode.UNCONTROLLED]


@pytest.mark.parametrize("mode", [Mode.WARNING, Mode.UNCONTROLLED])
def test_what_stands_far_below_is_not_left_without_a_hard_stop(mode: Mode):
    with pytest.raises(domain.ControlMissing):
        domain.plan(change((TOP, mode)), tree())


def test_a_hard_stop_between_is_enough():
    domain.plan(change((NODE, Mode.HARD_STOP), (TOP, Mode.WARNING)), tree())


def test_zero_is_enough_for_a_hard_stop_and_less_is_not():
    domain.plan(change((LEAF, Mode.HARD_STOP)), tree(original=0))

    with pytest.raises(domain.ControlBelowZero):
        domain.plan(change((LEAF, Mode.HARD_STOP)), tree(original=0, frozen=1))


def test_an_open_override_keeps_its_hard_stop():
    lines = tree(controlling=True, override=5)

    with pytest.raises(domain.ControlOverridden):
        domain.plan(change((LEAF, Mode.WARNING)), lines)


@pytest.mark.parametrize("status", [LineStatus.DRAFT, LineStatus.CLOSED])
def test_only_lines_in_force_change_their_control(status: LineStatus):
    with pytest.raises(domain.ControlLineUnfit):
        domain.plan(change((LEAF, Mode.HARD_STOP)), tree(status=status))


def test_the_mode_that_a_line_has_is_no_change():
    with pytest.raises(domain.ControlUnchanged):
        domain.plan(change((LEAF, Mode.UNCONTROLLED)), tree())


def test_a_change_is_decided_once_and_by_another_person():
    approved = domain.decide(change((LEAF, Mode.HARD_STOP)), ControlStatus.APPROVED, by=CHECKER, at=AT)

    with pytest.raises(domain.ControlNotProposed):
        domain.decide(approved, ControlStatus.REJECTED, by=CHECKER, at=AT)
    with pytest.raises(SamePerson):
        domain.decide(change((LEAF, Mode.HARD_STOP)), ControlStatus.APPROVED, by=MAKER, at=AT)
