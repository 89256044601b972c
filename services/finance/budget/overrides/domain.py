"""Authority to exceed a hard stop: who asked, who answered, how it is used up, and when it ends. Pure.

Domain rules §2, Override: it adds authority at one node (F2), is consumed last, shrinks first when consumption falls,
and never outlives the year. Amounts are minor units.

    consumed = what the node has used beyond revised - frozen, at most the override
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.finance.budget.domain import Line, LineStatus, SamePerson
from services.finance.classification.fiscal_calendar import FiscalCalendar


class OverrideStatus(Enum):
    """Where an override stands in its life. OPEN: it gives authority, or has given some that is not covered yet."""

    PROPOSED = "PROPOSED"
    OPEN = "OPEN"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"
    CLOSED = "CLOSED"


class OverrideKind(Enum):
    """Why it exists: two persons gave authority, or an exchange difference found too little."""

    AUTHORITY = "AUTHORITY"
    EXCHANGE = "EXCHANGE"


class OverrideOutOfTurn(FailedPrecondition):
    """The override is not in the state that the act asks for."""

    reason = "BUDGET_OVERRIDE_OUT_OF_TURN"


class NotTheProposer(FailedPrecondition):
    """Only who proposed a document may recall it."""

    reason = "NOT_THE_PROPOSER"


class OverrideNumberTaken(AlreadyExists):
    """The agency has an override of that number in the year."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class OverrideInvalid(InvalidArgument):
    """The override says something that no state of the budget could take."""

    reason = "BUDGET_OVERRIDE_INVALID"


class NotAHardStop(FailedPrecondition):
    """There is no hard stop to exceed at the node, or it is not of the document's year and currency."""

    reason = "NOT_A_HARD_STOP"


@dataclass(frozen=True)
class OverrideItem:
    """What an override gives at one node: granted once; open is what is left of it; consumed is used of that."""

    budget_line_id: UUID
    granted: int
    open: int = 0
    consumed: int = 0


@dataclass(frozen=True)
class Override:
    """One document."""

    budget_override_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    authority_document: str
    reason: str
    coverage: str
    currency: str
    effective_on: date
    expires_on: date
    items: tuple[OverrideItem, ...]
    proposed_by: UUID
    proposed_at: datetime
    status: OverrideStatus = OverrideStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decided_role: str = ""
    decision_reason: str = ""
    version: int = 1
    kind: OverrideKind = OverrideKind.AUTHORITY
    # Who must see to the cover of an exchange difference.
    owner: UUID | None = None

    @property
    def open(self) -> int:
        """What it still gives, used or not."""
        return sum(item.open for item in self.items)


def check_form(override: Override, calendar: FiscalCalendar) -> None:
    """Refuse what is wrong whatever the state of the budget."""
    year = override.fiscal_year
    if calendar.year_of(override.effective_on) != year or calendar.year_of(override.expires_on) != year:
        raise OverrideInvalid(
            f"it begins on {override.effective_on} and expires on {override.expires_on}: an override lies within its "
            f"budget year {year} and never outlives it"
        )
    if override.expires_on < override.effective_on:
        raise OverrideInvalid(f"it expires on {override.expires_on}, before it begins on {override.effective_on}")
    if any(item.granted <= 0 for item in override.items):
        raise OverrideInvalid("every amount is above zero")
    if len({item.budget_line_id for item in override.items}) != len(override.items):
        raise OverrideInvalid("a budget line is named twice")


def check_nodes(override: Override, lines: Iterable[Line]) -> None:
    """Refuse nodes where nothing stops, and lines of another year or currency."""
    for line in lines:
        why = None
        if not line.controlling:
            why = "is no hard stop; there is nothing to exceed"
        elif line.status is not LineStatus.ACTIVE:
            why = f"is {line.status.value}"
        elif line.currency != override.currency or not line.covers(override.fiscal_year):
            why = f"is of {line.fiscal_year} in {line.currency}"
        if why is not None:
            raise NotAHardStop(
                f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id}) {why}",
                metadata={"budget_line_id": str(line.budget_line_id)},
            )


def decide(
    override: Override, status: OverrideStatus, *, by: UUID, at: datetime, role: str = "", reason: str = ""
) -> Override:
    """The override opened, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    _expect(override, OverrideStatus.PROPOSED)
    if status is OverrideStatus.RECALLED and by != override.proposed_by:
        raise NotTheProposer(
            f"override {override.document_number} was proposed by another person, who alone may recall it",
            metadata={"document_number": override.document_number},
        )
    if status is not OverrideStatus.RECALLED and by == override.proposed_by:
        raise SamePerson(
            f"you proposed override {override.document_number}: another person decides on it",
            metadata={"document_number": override.document_number},
        )
    items = override.items
    if status is OverrideStatus.OPEN:
        items = tuple(replace(item, open=item.granted) for item in items)
    return replace(
        override,
        status=status,
        items=items,
        decided_by=by,
        decided_at=at,
        decided_role=role,
        decision_reason=reason,
        version=override.version + 1,
    )


def unused_ended(override: Override) -> Override:
    """The override without what nobody used: it expired, or was ended early. What was used stays until covered."""
    _expect(override, OverrideStatus.OPEN)
    return shrunk(override, {item.budget_line_id: item.open - item.consumed for item in override.items})


def shrunk(override: Override, by_line: dict[UUID, int], *, consumed_too: bool = False) -> Override:
    """The override less these amounts by node; with nothing open left it is CLOSED."""
    items = tuple(
        replace(
            item,
            open=item.open - by_line.get(item.budget_line_id, 0),
            consumed=item.consumed - (by_line.get(item.budget_line_id, 0) if consumed_too else 0),
        )
        for item in override.items
    )
    status = OverrideStatus.OPEN if any(item.open for item in items) else OverrideStatus.CLOSED
    return replace(override, items=items, status=status, version=override.version + 1)


def _expect(override: Override, status: OverrideStatus) -> None:
    if override.status is not status:
        raise OverrideOutOfTurn(
            f"override {override.document_number} is {override.status.value}, this act is for a {status.value} one",
            metadata={"document_number": override.document_number, "status": override.status.value},
        )


# --- how open overrides of one node are used -------------------------------------------------------------------


@dataclass(frozen=True)
class OpenItem:
    """An open override's share of a node, as an act finds it; they are ordered by their opening."""

    budget_override_id: UUID
    expires_on: date
    open: int
    consumed: int


def consumed_of(line: Line) -> int:
    """What of the node's overrides is used: the ordinary budget is used first, so it is what lies beyond it."""
    return max(0, line.override - max(0, line.available))


def resettled(items: Sequence[OpenItem], line: Line) -> list[OpenItem]:
    """The node's open items after an act that left the node as `line`.

    More is used than before: the oldest override is consumed first. Less is used: the newest shrinks first, by what
    is no longer used, so that money that comes back pays for the excess before anybody may spend it again.
    """
    now, before = consumed_of(line), sum(item.consumed for item in items)
    if now >= before:
        rest, after = now - before, []
        for item in items:
            part = min(rest, item.open - item.consumed)
            rest -= part
            after.append(replace(item, consumed=item.consumed + part))
        return after
    rest, turned = before - now, []
    for item in reversed(items):
        part = min(rest, item.consumed)
        rest -= part
        turned.append(replace(item, open=item.open - part, consumed=item.consumed - part))
    return turned[::-1]


def expired(items: Sequence[OpenItem], line: Line, *, on: date) -> list[OpenItem]:
    """The node's open items on a day: of those that expired before it, what nobody used is gone."""
    return [replace(item, open=item.consumed) if item.expires_on < on else item for item in resettled(items, line)]
