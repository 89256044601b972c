"""A budget change as a document: proposed by one person, approved or rejected by another, or recalled. Pure.

Domain rules §2: supplementary budgets (amendment of the budget law), virement, freezes. What is decided is decided
once; what was checked at the proposal is checked again at the approval, on the lines as they are then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.finance.budget.authority import AuthorityAct
from services.finance.budget.changes import virement
from services.finance.budget.changes.virement import VirementRule
from services.finance.budget.domain import Line, SamePerson
from services.finance.budget.todate import Release
from services.finance.classification.fiscal_calendar import FiscalCalendar


class ChangeKind(Enum):
    """What a change does."""

    SUPPLEMENTARY = "SUPPLEMENTARY"
    VIREMENT = "VIREMENT"
    FREEZE = "FREEZE"
    UNFREEZE = "UNFREEZE"


class ChangeStatus(Enum):
    """Where a change stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class ChangeNotProposed(FailedPrecondition):
    """The change was decided or recalled already."""

    reason = "BUDGET_CHANGE_NOT_PROPOSED"


class NotTheProposer(FailedPrecondition):
    """Only who proposed a document may recall it."""

    reason = "NOT_THE_PROPOSER"


class ChangeNumberTaken(AlreadyExists):
    """The agency has a document of that number in the year."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class ChangeInvalid(InvalidArgument):
    """The change says something that no state of the budget could take."""

    reason = "BUDGET_CHANGE_INVALID"


class LineOfAnotherYear(FailedPrecondition):
    """A line of another fiscal year, or in another currency, than the document's."""

    reason = "BUDGET_LINE_OF_ANOTHER_YEAR"


@dataclass(frozen=True)
class NewLine:
    """A budget line that a supplementary budget brings in."""

    organisation_code: str
    account_code: str
    line_no: int
    fund_code: str = ""
    program_code: str = ""
    function_code: str = ""
    location_code: str = ""
    project_code: str = ""
    funding_source_code: str = ""
    display_name: str = ""
    parent_id: UUID | None = None
    uncontrolled: bool = False


@dataclass(frozen=True)
class ChangeLine:
    """What a change does to one line: `amount` in minor units.

    SUPPLEMENTARY: ± `amount`, `new_line` if the line is not there yet. VIREMENT: `amount` from `from_line_id` to the
    line. FREEZE and UNFREEZE: `amount` is held back, given free.
    """

    budget_line_id: UUID
    amount: int
    from_line_id: UUID | None = None
    new_line: NewLine | None = None
    virement_rule_id: UUID | None = None


@dataclass(frozen=True)
class Change:
    """One document."""

    budget_change_id: UUID
    agency_id: UUID
    fiscal_year: int
    kind: ChangeKind
    document_number: str
    legal_reference: str
    explanation: str
    currency: str
    effective_on: date
    lines: tuple[ChangeLine, ...]
    proposed_by: UUID
    proposed_at: datetime
    status: ChangeStatus = ChangeStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    journal_entry_id: UUID | None = None
    version: int = 1

    @property
    def increase(self) -> int:
        """What the lines that gain gain together; of a virement, what moves; of a freeze, what is frozen."""
        return sum(line.amount for line in self.lines if line.amount > 0)

    @property
    def decrease(self) -> int:
        """What the lines that lose lose together, as a positive amount."""
        if self.kind is ChangeKind.VIREMENT:
            return self.increase
        return -sum(line.amount for line in self.lines if line.amount < 0)

    def line_ids(self) -> set[UUID]:
        """Every line that is there already and that the change, or a new line's place, names."""
        named = {line.budget_line_id for line in self.lines if line.new_line is None}
        named |= {line.from_line_id for line in self.lines if line.from_line_id is not None}
        return named | {
            line.new_line.parent_id for line in self.lines if line.new_line and line.new_line.parent_id is not None
        }


def check_form(change: Change, calendar: FiscalCalendar) -> None:
    """Refuse what is wrong whatever the state of the budget."""
    if calendar.year_of(change.effective_on) != change.fiscal_year:
        raise ChangeInvalid(f"effective_on {change.effective_on} is not in the budget year {change.fiscal_year}")
    if change.kind is ChangeKind.SUPPLEMENTARY and not change.legal_reference:
        raise ChangeInvalid("a supplementary budget names the law that it rests on: give legal_reference")
    if not change.lines:
        raise ChangeInvalid(f"a {change.kind.value} has at least one line; a virement at least one transfer")
    seen: set[tuple[UUID | None, UUID]] = set()
    for line in change.lines:
        if (line.from_line_id, line.budget_line_id) in seen:
            raise ChangeInvalid(f"budget line {line.budget_line_id} is named twice")
        seen.add((line.from_line_id, line.budget_line_id))
        if line.amount == 0 or (line.amount < 0 and change.kind is not ChangeKind.SUPPLEMENTARY):
            raise ChangeInvalid(f"budget line {line.budget_line_id}: the amount is zero, or negative in a move")
        if line.amount < 0 and line.new_line is not None:
            raise ChangeInvalid("a new line begins with an amount above zero")
        if (line.from_line_id is not None) is not (change.kind is ChangeKind.VIREMENT):
            raise ChangeInvalid("transfers are for virements, lines for every other kind; give one of the two")
        if line.from_line_id == line.budget_line_id:
            raise ChangeInvalid(f"budget line {line.budget_line_id} would give to itself")
        if line.new_line is not None and change.kind is not ChangeKind.SUPPLEMENTARY:
            raise ChangeInvalid("only a supplementary budget brings new lines in")


def check_lines(change: Change, lines: Iterable[Line]) -> None:
    """Refuse lines of another year or currency than the document's, and virement between lines of unequal years."""
    lines = list(lines)
    if change.kind is ChangeKind.VIREMENT:
        spans = {(line.fiscal_year, line.last_year) for line in lines if line.postable}
        if len(spans) > 1:
            raise LineOfAnotherYear(
                "a virement moves authority between lines of the same years; these are of "
                + ", ".join(f"{first} to {last}" for first, last in sorted(spans)),
                metadata={"spans": ",".join(f"{first}-{last}" for first, last in sorted(spans))},
            )
    by_id = {line.budget_line_id: line for line in lines}
    for one in change.lines:
        above = by_id.get(one.new_line.parent_id) if one.new_line and one.new_line.parent_id else None
        if above is not None and above.span is not None:
            raise LineOfAnotherYear(
                f"a supplementary budget brings in lines of {change.fiscal_year} alone; node {above.budget_line_id} is "
                f"a project's until {above.last_year}",
                metadata={"budget_line_id": str(above.budget_line_id)},
            )
    for line in lines:
        if line.currency != change.currency or not line.covers(change.fiscal_year):
            raise LineOfAnotherYear(
                f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id}) is of "
                f"{line.fiscal_year} in {line.currency}, the document of {change.fiscal_year} in {change.currency}",
                metadata={"budget_line_id": str(line.budget_line_id)},
            )


def perform(change: Change, act: AuthorityAct, rules: Sequence[VirementRule]) -> list[VirementRule]:
    """Do on `act` what the change says; the rule of each transfer, in order, for a virement.

    F2 is the caller's to check. A limit on what leaves a line counts the transfers of this document one by one.
    """
    relied_on = []
    for line in change.lines:
        if change.kind is ChangeKind.SUPPLEMENTARY:
            act.appropriate(line.budget_line_id, line.amount)
        elif change.kind is ChangeKind.FREEZE:
            act.freeze(line.budget_line_id, line.amount)
        elif change.kind is ChangeKind.UNFREEZE:
            act.freeze(line.budget_line_id, -line.amount)
        else:
            assert line.from_line_id is not None, "check_form saw to it"
            giving, receiving = act.lines[line.from_line_id], act.lines[line.budget_line_id]
            rule = virement.rule_for(rules, giving, receiving, on=change.effective_on)
            virement.check_share(rule, giving, line.amount)
            act.vire(line.from_line_id, line.budget_line_id, line.amount)
            relied_on.append(rule)
    return relied_on


def decide(change: Change, status: ChangeStatus, *, by: UUID, at: datetime, reason: str = "") -> Change:
    """The change approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    if change.status is not ChangeStatus.PROPOSED:
        raise ChangeNotProposed(
            f"{change.kind.value} {change.document_number} is {change.status.value} since {change.decided_at}",
            metadata={"document_number": change.document_number, "status": change.status.value},
        )
    if status is ChangeStatus.RECALLED:
        if by != change.proposed_by:
            raise NotTheProposer(
                f"{change.kind.value} {change.document_number} was proposed by another person, who alone may recall it",
                metadata={"document_number": change.document_number},
            )
    elif by == change.proposed_by:
        raise SamePerson(
            f"you proposed {change.kind.value} {change.document_number}: another person decides on it",
            metadata={"document_number": change.document_number},
        )
    return replace(
        change,
        status=status,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
        version=change.version + 1,
    )


@dataclass(frozen=True)
class ReleasePart:
    """A part of a release that leaves a line (below zero) or comes to it."""

    budget_line_id: UUID
    month_from: int
    month_to: int
    amount: int


def release_shifts(
    change: Change, after: Mapping[UUID, Line], releases: Mapping[UUID, Sequence[Release]]
) -> list[ReleasePart]:
    """How releases follow the money: no line stays released above its revised budget.

    What is too much leaves by the latest months, so that what was requested to date stays covered. With a virement it
    goes to the receiving lines, up to what each got; with a supplementary budget it is withdrawn.
    """
    shifts: list[ReleasePart] = []
    for giving_id in sorted({line.from_line_id or line.budget_line_id for line in change.lines}):
        given = releases.get(giving_id, ())
        excess = sum(release.amount for release in given) - after[giving_id].revised
        if excess <= 0:
            continue
        room = {line.budget_line_id: line.amount for line in change.lines if line.from_line_id == giving_id}
        for month_from, month_to, amount in _latest(given, excess):
            shifts.append(ReleasePart(giving_id, month_from, month_to, -amount))
            rest = amount
            for receiver_id in list(room):
                part = min(rest, room[receiver_id])
                if part:
                    shifts.append(ReleasePart(receiver_id, month_from, month_to, part))
                    room[receiver_id] -= part
                    rest -= part
    return shifts


def _latest(releases: Iterable[Release], excess: int) -> list[tuple[int, int, int]]:
    """Which periods `excess` is taken from: the latest first, each no further than what it still gives."""
    net: dict[tuple[int, int], int] = {}
    for release in releases:
        period = (release.month_from, release.month_to)
        net[period] = net.get(period, 0) + release.amount
    taken = []
    for period in sorted(net, reverse=True):
        part = min(excess, max(0, net[period]))
        if part:
            taken.append((*period, part))
            excess -= part
    return taken
