"""What an exchange difference may take beyond the budget, and what it stops. Pure.

Domain rules §2: the budget line bears every difference. A REVALUE that finds too little available is recorded all the
same, under an override of kind EXCHANGE with an owner, since the law of the rate is not the agency's to refuse; but
no payment request on the line passes until virement or a supplementary budget covers it (UU 1/2004 art. 3(3): no act
may charge a budget that is not there; to verify).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money
from services.finance.budget.domain import Document, Key, Line, Movement, MovementKind, nodes
from services.finance.budget.overrides.domain import Override, OverrideItem, OverrideKind, OverrideStatus
from services.finance.classification.fiscal_calendar import FiscalCalendar
from services.finance.ledger.rates.domain import Rate

# As many document lines as one revaluation locks and moves; an agency with more asks line by line.
ITEMS_MAX = 5_000


class ExchangeDifferenceUncovered(FailedPrecondition):
    """An exchange difference on the line has taken more than the budget: nothing on it is paid before it is covered."""

    reason = "EXCHANGE_DIFFERENCE_UNCOVERED"


class FundsRevaluationTooWide(FailedPrecondition):
    """More document lines are held in foreign currencies than one revaluation takes."""

    reason = "FUNDS_REVALUATION_TOO_WIDE"


class RevaluedInTheFuture(InvalidArgument):
    """Nobody knows the rates of a day that has not come."""

    reason = "REVALUED_IN_THE_FUTURE"


def uncovered(lines: Mapping[UUID, Line], movements: Iterable[Movement]) -> dict[UUID, int]:
    """What hard-stop nodes lack because of exchange differences, by node: never more than the differences took.

    What another cause lacks is not covered here: the act is then refused as a whole.
    """
    taken: dict[UUID, int] = {}
    for movement in movements:
        if movement.kind is MovementKind.REVALUE:
            for node in nodes(lines, movement.budget_line_id):
                taken[node.budget_line_id] = taken.get(node.budget_line_id, 0) + movement.changes.total
    found = {}
    for line_id, amount in sorted(taken.items()):
        line = lines[line_id]
        if line.controlling and 0 < -line.available <= amount:
            found[line_id] = -line.available
    return found


def bearing_year(line: Line, on: date, calendar: FiscalCalendar) -> int:
    """The budget year in which a line bears a difference of a day: its own, or that of the day within its span."""
    return max(line.fiscal_year, min(line.last_year, calendar.year_of(on)))


def automatic(
    short: Mapping[UUID, int],
    lines: Mapping[UUID, Line],
    document: Document,
    *,
    budget_override_id: UUID,
    owner: UUID,
    on: date,
    at: datetime,
    calendar: FiscalCalendar,
) -> Override:
    """The override that records what an exchange difference took beyond the budget of nodes of one year and currency.

    Nobody decided it, so it has no second person: its owner has to see to the cover.
    """
    first = lines[next(iter(short))]
    year = bearing_year(first, on, calendar)
    return Override(
        budget_override_id=budget_override_id,
        agency_id=first.agency_id,
        fiscal_year=year,
        document_number=f"EXCHANGE/{document.document_number[:60]}/{str(budget_override_id)[-12:]}",
        authority_document=f"{document.kind.value} {document.document_number}",
        reason=f"the exchange rates of {on} took more than was available",
        coverage="virement or a supplementary budget; no payment request on the line passes before",
        currency=first.currency,
        effective_on=on,
        expires_on=calendar.last_day(year),
        items=tuple(OverrideItem(line_id, amount, amount) for line_id, amount in sorted(short.items())),
        proposed_by=owner,
        proposed_at=at,
        status=OverrideStatus.OPEN,
        decided_at=at,
        kind=OverrideKind.EXCHANGE,
        owner=owner,
    )


@dataclass(frozen=True)
class OpenDifference:
    """What of an exchange override is open at a node."""

    budget_line_id: UUID
    document_number: str
    owner: UUID
    open_minor: int


def refuse_uncovered(open_: Sequence[OpenDifference], lines: Mapping[UUID, Line]) -> None:
    """Refuse a payment while an exchange difference on its lines, or on nodes above them, is not covered."""
    if not open_:
        return
    first = open_[0]
    line = lines[first.budget_line_id]
    amount = Money(first.open_minor, line.currency)
    raise ExchangeDifferenceUncovered(
        f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id}): exchange differences took "
        f"{amount} more than the budget (override {first.document_number}, owner {first.owner}); cover it by virement "
        "or a supplementary budget first, then request the payment again",
        metadata={
            "budget_line_id": str(line.budget_line_id),
            "override": first.document_number,
            "owner_person_id": str(first.owner),
            "uncovered": str(amount),
        },
    )


@dataclass(frozen=True)
class RevaluedFunds:
    """What a revaluation did to one document line on one budget line."""

    key: Key
    funds_movement_id: UUID
    foreign: Money
    carrying: Money
    revalued: Money
    rate: Rate


@dataclass(frozen=True)
class FundsRevaluation:
    """A revaluation of what an agency, or one of its lines, reserves and obligates in foreign currencies."""

    funds_revaluation_id: UUID
    agency_id: UUID
    document_number: str
    revalued_on: date
    budget_line_id: UUID | None
    budget_override_id: UUID | None
    person_id: UUID | None
    recorded_at: datetime
    items: tuple[RevaluedFunds, ...]


def check_day(revalued_on: date, today: date) -> None:
    """Refuse a day that has not come."""
    if revalued_on > today:
        raise RevaluedInTheFuture(
            f"funds are to be revalued at the rates of {revalued_on}, today is {today}",
            metadata={"revalued_on": str(revalued_on), "today": str(today)},
        )
