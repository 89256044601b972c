"""What becomes of a budget year's funds when it ends: lapsed, cancelled, or carried into next year's lines. Pure.

A project's line ends with the last year of its span; at the ends of its earlier years it stands as it is.

Domain rules §2, year end: R lapses; each O is carried or cancelled; E is owed and is carried always; S must be nil.
What is carried gives next year's line authority (carried in) of the same amount, and the same obligation or liability
opens there. N7: revised 1 000, P 600, E 50, O 200, R 30, all carried: carried 250, lapsed 150.

V is spent in its year: its cash has left. Closing moves it to P; the advance lives on in the ledger by contract, and
next year's bills recover it without a movement of funds (N11).

    revised = P + lapsed + carried out
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.finance.budget.buckets import Buckets
from services.finance.budget.domain import (
    Document,
    DocumentKind,
    Key,
    Line,
    Movement,
    MovementKind,
    Position,
    SamePerson,
    nodes,
)
from services.finance.budget.foreign.held import ForeignChange, change_between
from services.finance.classification.fiscal_calendar import FiscalCalendar, Period

_BLOCKERS_SHOWN = 20


class Decision(Enum):
    """What becomes of an obligation at the end of its year."""

    CARRY = "CARRY"
    CANCEL = "CANCEL"


class YearEndStatus(Enum):
    """Where a year-end document stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class YearEndBlocked(FailedPrecondition):
    """Something stands in the way of the year's end; every thing of it is listed."""

    reason = "BUDGET_YEAR_END_BLOCKED"


class YearEndNotProposed(FailedPrecondition):
    """The document was decided or recalled already."""

    reason = "BUDGET_YEAR_END_NOT_PROPOSED"


class YearEndExists(AlreadyExists):
    """The agency's year has ended, or a proposal to end it waits."""

    reason = "BUDGET_YEAR_END_EXISTS"


class NotTheProposer(FailedPrecondition):
    """Only who proposed a document may recall it."""

    reason = "NOT_THE_PROPOSER"


@dataclass(frozen=True)
class LineResult:
    """What became of one line."""

    budget_line_id: UUID
    revised: int
    paid: int
    carried: int
    next_line_id: UUID | None
    # What of `paid` was paid in advance and is not delivered yet.
    closed_advances: int = 0

    @property
    def lapsed(self) -> int:
        """F7 at year end: revised = P + lapsed + carried out."""
        return self.revised - self.paid - self.carried


@dataclass(frozen=True)
class YearEnd:
    """One document: the end of an agency's budget year."""

    budget_year_end_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    explanation: str
    default: Decision
    opened_on: date
    proposed_by: UUID
    proposed_at: datetime
    decisions: Mapping[Key, Decision] = field(default_factory=dict)
    status: YearEndStatus = YearEndStatus.PROPOSED
    currency: str = ""
    lapsed: int = 0
    carried: int = 0
    paid: int = 0
    closed_advances: int = 0
    line_count: int = 0
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    version: int = 1

    def decision_on(self, position: Position) -> Decision:
        """What becomes of an obligation: as named; else posts are cancelled, which their year alone pays."""
        named = self.decisions.get(position.key)
        if named is not None:
            return named
        return Decision.CANCEL if position.document.kind is DocumentKind.POSITION else self.default


def check_form(year_end: YearEnd, calendar: FiscalCalendar) -> None:
    """Refuse a day of opening that is not in the next year."""
    if calendar.year_of(year_end.opened_on) != year_end.fiscal_year + 1:
        raise InvalidArgument.field("budget_year_end.opened_on", f"not a day of {year_end.fiscal_year + 1}")


def decide(year_end: YearEnd, status: YearEndStatus, *, by: UUID, at: datetime, reason: str = "") -> YearEnd:
    """Approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    number = year_end.document_number
    if year_end.status is not YearEndStatus.PROPOSED:
        raise YearEndNotProposed(
            f"year end {number} is {year_end.status.value} since {year_end.decided_at}",
            metadata={"document_number": number, "status": year_end.status.value},
        )
    if status is YearEndStatus.RECALLED and by != year_end.proposed_by:
        raise NotTheProposer(
            f"year end {number} was proposed by another person, who alone may recall it",
            metadata={"document_number": number},
        )
    if status is not YearEndStatus.RECALLED and by == year_end.proposed_by:
        raise SamePerson(
            f"you proposed year end {number}: another person decides on it", metadata={"document_number": number}
        )
    return replace(
        year_end, status=status, decided_by=by, decided_at=at, decision_reason=reason, version=year_end.version + 1
    )


def blocked(blockers: Iterable[str]) -> YearEndBlocked:
    """The refusal, with the first of what stands in the way and how much of it there is."""
    found = list(blockers)
    shown = "; ".join(found[:_BLOCKERS_SHOWN])
    more = len(found) - _BLOCKERS_SHOWN
    return YearEndBlocked(
        f"the year cannot end yet: {shown}" + (f"; and {more} more" if more > 0 else ""),
        metadata={
            "blocker_count": str(len(found)),
            **{f"blocker_{nth}": what for nth, what in enumerate(found[:_BLOCKERS_SHOWN], start=1)},
        },
    )


@dataclass(frozen=True)
class Debt:
    """What is owed in one currency, below zero when it is a claim; `functional_minor` is set in a foreign one."""

    minor: int
    currency: str
    functional_minor: int | None = None


def debts(owed: int, foreign_owed: int, currency: str, own: str) -> list[Debt]:
    """A balance of debts as what lines can carry: one side each, the foreign and the functional amount alike.

    A debt in a foreign currency keeps its foreign amount; what of its worth is on the other side, or left over from
    rates, goes over in the currency of the books.
    """
    if currency == own:
        return [Debt(owed, own)] if owed else []
    if foreign_owed and (owed >= 0) == (foreign_owed > 0):
        return [Debt(foreign_owed, currency, abs(owed))]
    left = [Debt(foreign_owed, currency, 0)] if foreign_owed else []
    return [*left, Debt(owed, own)] if owed else left


class YearEndAct:
    """The end of a year on locked lines: `lines` are this year's and next year's with every node above."""

    def __init__(
        self,
        year_end: YearEnd,
        lines: Iterable[Line],
        positions: Iterable[Position],
        *,
        next_lines: Mapping[UUID, UUID],
        new_id: Callable[[], UUID],
        calendar: FiscalCalendar,
    ) -> None:
        self.year_end = year_end
        self._first = calendar.period_of(year_end.opened_on)
        self.before: Mapping[UUID, Line] = {line.budget_line_id: line for line in lines}
        self.lines: dict[UUID, Line] = dict(self.before)
        self.positions: list[Position] = []
        self.ended: list[Movement] = []
        self.opened: list[Movement] = []
        self.carried: dict[UUID, int] = {}
        self.closed_advances: dict[UUID, int] = {}
        self._cause = Document(DocumentKind.YEAR_END, year_end.budget_year_end_id, year_end.document_number)
        self._positions = list(positions)
        self._next = next_lines
        self._new_id = new_id

    def blockers(self) -> list[str]:
        """What the lines themselves put in the way: orders under way, overrides not covered."""
        found = []
        for line in self._this_year():
            name = f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id})"
            if line.buckets.ordered:
                found.append(f"{name}: {line.buckets.ordered} minor units are ordered and not debited")
            if line.override:
                found.append(f"{name}: overrides of {line.override} minor units are open")
        for position in self._positions:
            if self._carried_of(position).total and position.key.budget_line_id not in self._next:
                found.append(
                    f"budget line {position.key.budget_line_id}: {position.document.kind.value} "
                    f"{position.document.document_number} is to be carried, and no active line of "
                    f"{self.year_end.fiscal_year + 1} has its segments"
                )
        return found

    def end(self, direct: Mapping[tuple[UUID, Document], int]) -> None:
        """End every position, and what journal entries spent directly (`direct`, by line and entry)."""
        for position in self._positions:
            self._end_position(position)
        for (line_id, document), amount in sorted(direct.items(), key=lambda one: (one[0][0], one[0][1].document_id)):
            self._carry(line_id, document, None, Buckets(expended=amount), None)

    def results(self) -> list[LineResult]:
        """What became of each line of the year, in id order."""
        return [
            LineResult(
                line.budget_line_id,
                line.revised,
                line.buckets.paid,
                self.carried.get(line.budget_line_id, 0),
                self._next.get(line.budget_line_id),
                self.closed_advances.get(line.budget_line_id, 0),
            )
            for line in self._this_year()
        ]

    def _this_year(self) -> list[Line]:
        return [
            line
            for _, line in sorted(self.lines.items())
            if line.last_year == self.year_end.fiscal_year and line.postable
        ]

    def _carried_of(self, position: Position) -> Buckets:
        """What of a position goes on in the next year."""
        carried = Buckets(expended=position.buckets.expended)
        if position.buckets.obligated and self.year_end.decision_on(position) is Decision.CARRY:
            carried += Buckets(obligated=position.buckets.obligated)
        return carried

    def _end_position(self, position: Position) -> None:
        advanced = position.buckets.advanced
        if advanced:
            position = self._close_advance(position, advanced)
        buckets = position.buckets
        gone = Buckets(reserved=buckets.reserved, obligated=buckets.obligated, expended=buckets.expended)
        if not gone.total and not advanced:
            return
        line_id, carried = position.key.budget_line_id, self._carried_of(position)
        lapsed, held = gone + -carried, position.foreign
        # What goes on and what ends in the commitment's own currency, at what it stands at.
        going = None if held is None else held.only(carried)
        if lapsed.total:
            left = None if held is None else held.change(going, ended=True)
            self._record(self.ended, MovementKind.LAPSE, line_id, -lapsed, position.document, position, left)
        self.positions.append(
            replace(
                position,
                total=position.total - position.open,
                buckets=buckets + -gone,
                schedule={},
                closed=True,
                foreign=None if held is None else held.ended(),
            )
        )
        if carried.total:
            moved = None if held is None else held.change(going, ended=False)
            movement = self._carry(line_id, position.document, position.key.document_line_id, carried, position, moved)
            # Shares of quantity go on where they were: what was used up stays counted, paid or not.
            self.positions.append(
                replace(
                    position,
                    key=Key(position.key.document_line_id, self._next[line_id]),
                    total=position.liquidated + carried.obligated,
                    buckets=carried,
                    schedule=self._next_schedule(position, carried.obligated),
                    source=None,
                    opening_movement_id=movement.funds_movement_id,
                    foreign=going,
                )
            )

    def _close_advance(self, position: Position, advanced: int) -> Position:
        """V -> P: an advance is spent in the year that paid it, in the name of the year's end."""
        spent, line_id = Buckets(advanced=-advanced, paid=advanced), position.key.budget_line_id
        foreign = None if position.foreign is None else position.foreign.with_advance_spent()
        self._record(
            self.ended,
            MovementKind.CLOSE_ADVANCE,
            line_id,
            spent,
            self._cause,
            position,
            change_between(position.foreign, foreign),
        )
        self.closed_advances[line_id] = self.closed_advances.get(line_id, 0) + advanced
        return replace(position, buckets=position.buckets + spent, foreign=foreign)

    def _next_schedule(self, position: Position, obligated: int) -> dict[Period, int]:
        """What was due in the year that ended is due on the day of opening; what is due later stays."""
        if not obligated:
            return {}
        found: dict[Period, int] = {}
        for period, amount in position.schedule.items():
            due = max(period, self._first, key=lambda one: (one.year, one.number))
            found[due] = found.get(due, 0) + amount
        return found

    def _carry(
        self,
        line_id: UUID,
        document: Document,
        document_line_id: UUID | None,
        amounts: Buckets,
        from_: Position | None,
        foreign: ForeignChange | None = None,
    ) -> Movement:
        next_id = self._next[line_id]
        gone = None if foreign is None else replace(foreign, changes=-foreign.changes)
        out = self._record(self.ended, MovementKind.CARRY, line_id, -amounts, document, from_, gone)
        self.carried[line_id] = self.carried.get(line_id, 0) + amounts.total
        for node in nodes(self.lines, next_id):
            self.lines[node.budget_line_id] = replace(node, carried_in=node.carried_in + amounts.total)
        movement = Movement(
            self._new_id(),
            MovementKind.CARRY,
            next_id,
            amounts,
            document,
            document_line_id,
            liquidates_movement_id=out.funds_movement_id,
            authority=amounts.total,
            foreign=foreign,
        )
        self._move(next_id, amounts)
        self.opened.append(movement)
        return movement

    def _record(
        self,
        into: list[Movement],
        kind: MovementKind,
        line_id: UUID,
        changes: Buckets,
        document: Document,
        position: Position | None,
        foreign: ForeignChange | None = None,
    ) -> Movement:
        movement = Movement(
            self._new_id(),
            kind,
            line_id,
            changes,
            document,
            position.key.document_line_id if position else None,
            position_document_line_id=position.key.document_line_id if position else None,
            liquidates_movement_id=position.opening_movement_id if position else None,
            foreign=foreign,
        )
        self._move(line_id, changes)
        into.append(movement)
        return movement

    def _move(self, line_id: UUID, changes: Buckets) -> None:
        for node in nodes(self.lines, line_id):
            self.lines[node.budget_line_id] = node.moved(changes)
