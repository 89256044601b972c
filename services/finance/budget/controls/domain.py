"""A change of control modes as a document: proposed by one person, approved or rejected by another, or recalled. Pure.

Domain rules §2: a control node is the line or an ancestor marked as controlling; children of a controlling parent may
go below zero, the node may not. So that no act can charge a budget that is not there (UU 1/2004 art. 3(3), to verify),
what becomes a hard stop is not below zero, and what leaves control to a node above has a hard stop there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import Money
from services.finance.budget.changes.domain import NotTheProposer
from services.finance.budget.domain import Line, LineStatus, SamePerson


class Mode(Enum):
    """What happens at a line or node that would go below zero."""

    HARD_STOP = "HARD_STOP"
    WARNING = "WARNING"
    UNCONTROLLED = "UNCONTROLLED"


class ControlStatus(Enum):
    """Where a change of control stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class ControlInvalid(InvalidArgument):
    """The change says something that no state of the budget could take."""

    reason = "BUDGET_CONTROL_INVALID"


class ControlNotProposed(FailedPrecondition):
    """The change was decided or recalled already."""

    reason = "BUDGET_CONTROL_NOT_PROPOSED"


class ControlNumberTaken(AlreadyExists):
    """The agency has a change of control of that number in the year."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class ControlUnchanged(FailedPrecondition):
    """A line has the mode already."""

    reason = "BUDGET_CONTROL_UNCHANGED"


class ControlLineUnfit(FailedPrecondition):
    """A line of another year, or one that is not in force."""

    reason = "BUDGET_LINE_NOT_USABLE"


class ControlBelowZero(FailedPrecondition):
    """What would become a hard stop is below zero."""

    reason = "BUDGET_CONTROL_BELOW_ZERO"


class ControlOverridden(FailedPrecondition):
    """A hard stop with an open override cannot cease to be one."""

    reason = "BUDGET_CONTROL_OVERRIDDEN"


class ControlMissing(FailedPrecondition):
    """Something would be left without a hard stop at or above it."""

    reason = "BUDGET_CONTROL_MISSING"


@dataclass(frozen=True)
class ControlItem:
    """The mode that a line or node gets, and the one that it had (known from the proposal on)."""

    budget_line_id: UUID
    mode: Mode
    mode_before: Mode | None = None


@dataclass(frozen=True)
class ControlChange:
    """One document; its items come into force together, at the instant of the approval."""

    budget_control_change_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    legal_reference: str
    explanation: str
    items: tuple[ControlItem, ...]
    proposed_by: UUID
    proposed_at: datetime
    status: ControlStatus = ControlStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    version: int = 1

    def line_ids(self) -> set[UUID]:
        """The lines that it names."""
        return {item.budget_line_id for item in self.items}


def mode_of(line: Line) -> Mode:
    """How a line is controlled now."""
    if line.controlling:
        return Mode.HARD_STOP
    return Mode.WARNING if line.warning else Mode.UNCONTROLLED


def check_form(change: ControlChange) -> None:
    """Refuse what is wrong whatever the state of the budget."""
    if not change.items:
        raise ControlInvalid("a change of control names at least one budget line")
    if len(change.line_ids()) != len(change.items):
        raise ControlInvalid("a budget line is named twice")


def plan(change: ControlChange, lines: Mapping[UUID, Line]) -> ControlChange:
    """The change with the mode that each line has now; refused when the tree would be out of control after it.

    `lines` are those that it names, every node above them, and all that stands under them.
    """
    items = []
    for item in change.items:
        line = lines[item.budget_line_id]
        _check_line(change, line, item)
        items.append(replace(item, mode_before=mode_of(line)))
    modes = {line_id: mode_of(line) for line_id, line in lines.items()}
    modes |= {item.budget_line_id: item.mode for item in change.items}
    for line in sorted(lines.values(), key=lambda one: one.budget_line_id):
        if modes[line.budget_line_id] is Mode.UNCONTROLLED and not _hard_stop_above(line, lines, modes):
            raise ControlMissing(
                f"{_named(line)} would be uncontrolled, and nothing above it a hard stop; make a node above it one in "
                "the same change, or let the line itself stop or warn",
                metadata={"budget_line_id": str(line.budget_line_id)},
            )
    return replace(change, items=tuple(items))


def _check_line(change: ControlChange, line: Line, item: ControlItem) -> None:
    who = {"budget_line_id": str(line.budget_line_id)}
    if not line.covers(change.fiscal_year) or line.status is not LineStatus.ACTIVE:
        raise ControlLineUnfit(
            f"{_named(line)} is of {line.fiscal_year} and {line.status.value}; the change is for lines in force of "
            f"{change.fiscal_year}",
            metadata=who,
        )
    before = mode_of(line)
    if before is item.mode:
        raise ControlUnchanged(f"{_named(line)} is {before.value} already", metadata=who)
    if before is Mode.HARD_STOP and line.override:
        raise ControlOverridden(
            f"{_named(line)} has {Money(line.override, line.currency)} of open overrides; close them, or wait until "
            "they are covered, before it ceases to be a hard stop",
            metadata={**who, "override": str(Money(line.override, line.currency))},
        )
    if item.mode is Mode.HARD_STOP and line.available < 0:
        raise ControlBelowZero(
            f"{_named(line)} has {Money(line.available, line.currency)} available; cover it by a supplementary budget "
            "or a virement before it becomes a hard stop",
            metadata={**who, "available": str(Money(line.available, line.currency))},
        )


def _hard_stop_above(line: Line, lines: Mapping[UUID, Line], modes: Mapping[UUID, Mode]) -> bool:
    node = line
    while node.parent_id is not None:
        node = lines[node.parent_id]
        if modes[node.budget_line_id] is Mode.HARD_STOP:
            return True
    return False


def _named(line: Line) -> str:
    return f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id})"


def decide(change: ControlChange, status: ControlStatus, *, by: UUID, at: datetime, reason: str = "") -> ControlChange:
    """The change approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    number = {"document_number": change.document_number}
    if change.status is not ControlStatus.PROPOSED:
        raise ControlNotProposed(
            f"change of control {change.document_number} is {change.status.value} since {change.decided_at}",
            metadata={**number, "status": change.status.value},
        )
    if status is ControlStatus.RECALLED:
        if by != change.proposed_by:
            raise NotTheProposer(
                f"change of control {change.document_number} was proposed by another person, who alone may recall it",
                metadata=number,
            )
    elif by == change.proposed_by:
        raise SamePerson(
            f"you proposed change of control {change.document_number}: another person decides on it", metadata=number
        )
    return replace(
        change,
        status=status,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
        version=change.version + 1,
    )


def by_id(lines: Iterable[Line]) -> dict[UUID, Line]:
    """Lines to be looked up."""
    return {line.budget_line_id: line for line in lines}
