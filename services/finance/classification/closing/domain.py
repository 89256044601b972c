"""Reopening a period as a two-person act, and the issue of the year's statements. Pure.

Domain rules §7: SOFT → OPEN and HARD → SOFT by two persons, with reason, until the year's statements are issued; then
never. PP 71/2010, PSAP 04: statements that were issued are not changed, later corrections stand in later years.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.finance.classification.domain import (
    ADJUSTMENT_PERIOD,
    Area,
    FiscalPeriod,
    FiscalYear,
    PeriodOutOfTurn,
    PeriodState,
)

# What a refused close tells by itself; the list tells the rest.
BLOCKERS_SHOWN_MAX = 10


class ReopeningStatus(Enum):
    """Where a reopening stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class BlockerKind(Enum):
    """What stands in the way of a close for good."""

    GRNI_UNEXPLAINED = "GRNI_UNEXPLAINED"
    INVOICE_UNSETTLED = "INVOICE_UNSETTLED"
    STOCK_IN_FLIGHT = "STOCK_IN_FLIGHT"
    PAYROLL_UNPOSTED = "PAYROLL_UNPOSTED"
    EVENT_PARKED = "EVENT_PARKED"
    OVERRIDE_OPEN = "OVERRIDE_OPEN"


class StatementsIssued(FailedPrecondition):
    """The year's statements are issued: none of its periods opens again."""

    reason = "STATEMENTS_ISSUED"


class PeriodBlocked(FailedPrecondition):
    """Something that belongs into the period is not there yet."""

    reason = "PERIOD_BLOCKED"


class YearNotClosed(FailedPrecondition):
    """A period of the year is not closed for good."""

    reason = "YEAR_NOT_CLOSED"


class ReopeningPending(AlreadyExists):
    """The period has a proposal that nobody has decided on."""

    reason = "REOPENING_PENDING"


class ReopeningNotProposed(FailedPrecondition):
    """The proposal was decided or recalled already."""

    reason = "REOPENING_NOT_PROPOSED"


class SamePerson(FailedPrecondition):
    """Who proposed does not decide."""

    reason = "SAME_PERSON"


class NotTheProposer(FailedPrecondition):
    """Only who proposed may recall."""

    reason = "NOT_THE_PROPOSER"


@dataclass(frozen=True)
class Blocker:
    """One thing that stands in the way of closing `area`."""

    kind: BlockerKind
    area: Area
    subject: str
    description: str


@dataclass(frozen=True)
class Reopening:
    """A proposal to bring one period one step back, and what became of it."""

    fiscal_period_reopening_id: UUID
    agency_id: UUID
    year: int
    number: int
    areas: tuple[Area, ...]
    reason: str
    proposed_by: UUID
    proposed_at: datetime
    from_state: PeriodState = PeriodState.SOFT_CLOSED
    status: ReopeningStatus = ReopeningStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""

    @property
    def to_state(self) -> PeriodState:
        """The state one step back."""
        return _BACK[self.from_state]


# The only ways back. A period that takes postings again is softly closed first, so that its authority looks at it.
_BACK: Mapping[PeriodState, PeriodState] = {
    PeriodState.SOFT_CLOSED: PeriodState.OPEN,
    PeriodState.HARD_CLOSED: PeriodState.SOFT_CLOSED,
}


def check_not_issued(year: FiscalYear) -> None:
    """Refuse whatever would open a period of a year whose statements are issued."""
    if year.statements_issued_on is not None:
        raise StatementsIssued(
            f"the statements of {year.year} were issued on {year.statements_issued_on} "
            f"({year.statements_document_number}): its books are final; correct it in a later year",
            metadata={"year": str(year.year), "issued_on": str(year.statements_issued_on)},
        )


def common_state(periods: Sequence[FiscalPeriod]) -> PeriodState:
    """The state that a reopening's periods have in common; refused when they differ or are not closed."""
    states = {period.state for period in periods}
    first = periods[0]
    if len(states) > 1 or not states <= set(_BACK):
        shown = ", ".join(f"{period.area.value} {period.state.value}" for period in periods)
        raise PeriodOutOfTurn(
            f"period {first.year}-{first.number:02}: only areas that are all SOFT_CLOSED, or all HARD_CLOSED, are "
            f"opened again in one act; they are {shown}",
            metadata={period.area.value: period.state.value for period in periods},
        )
    return first.state


def reopen(
    periods: Sequence[FiscalPeriod], same_number: Iterable[FiscalPeriod], later: Iterable[FiscalPeriod]
) -> list[FiscalPeriod]:
    """`periods` (one number, several areas) one step back.

    `same_number` are the other areas' periods, `later` the later ones of the year in these areas. Months are closed
    for good in order and the ledger after its areas; back it goes the other way round.
    """
    state = common_state(periods)
    if state is PeriodState.HARD_CLOSED:
        first = periods[0]
        ahead = [period for period in later if period.state is PeriodState.HARD_CLOSED]
        if ahead:
            last = max(ahead, key=lambda period: period.number)
            raise PeriodOutOfTurn(
                f"period {last.year}-{last.number:02} of {last.area.value} is closed for good and comes after "
                f"{first.number:02}: open the later one first",
                metadata={"area": last.area.value, "number": str(last.number)},
            )
        if any(period.area is Area.LEDGER and period.state is PeriodState.HARD_CLOSED for period in same_number):
            raise PeriodOutOfTurn(
                f"the ledger's {first.year}-{first.number:02} is closed for good: open it with its areas, or first",
                metadata={"area": Area.LEDGER.value, "number": str(first.number)},
            )
    return [replace(period, state=_BACK[state]) for period in periods]


def decide(
    reopening: Reopening, status: ReopeningStatus, *, by: UUID, at: datetime, decision_reason: str = ""
) -> Reopening:
    """The reopening approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    if reopening.status is not ReopeningStatus.PROPOSED:
        raise ReopeningNotProposed(
            f"the reopening of {reopening.year}-{reopening.number:02} is {reopening.status.value} since "
            f"{reopening.decided_at}",
            metadata={"status": reopening.status.value},
        )
    own = by == reopening.proposed_by
    if status is ReopeningStatus.RECALLED and not own:
        raise NotTheProposer("the reopening was proposed by another person, who alone may recall it")
    if status is not ReopeningStatus.RECALLED and own:
        raise SamePerson("you proposed this reopening: another person decides on it")
    return replace(reopening, status=status, decided_by=by, decided_at=at, decision_reason=decision_reason)


def issue(
    year: FiscalYear,
    periods: Iterable[FiscalPeriod],
    *,
    issued_on: date,
    document_number: str,
    today: date,
    ends_on: date,
) -> FiscalYear:
    """The year with its statements issued. Refused: issued before, months that may still change."""
    check_not_issued(year)
    if not ends_on < issued_on <= today:
        raise InvalidArgument.field(
            "issued_on", f"{issued_on} is not between the end of {year.year} and today, {today}"
        )
    changing = [
        period
        for period in periods
        if period.state is not PeriodState.HARD_CLOSED
        and not (period.number == ADJUSTMENT_PERIOD and period.state is PeriodState.FUTURE)
    ]
    if changing:
        shown = ", ".join(f"{p.area.value} {p.number:02} {p.state.value}" for p in changing[:BLOCKERS_SHOWN_MAX])
        raise YearNotClosed(
            f"{len(changing)} periods of {year.year} are not closed for good: {shown}",
            metadata={"open_periods": str(len(changing))},
        )
    return replace(year, statements_issued_on=issued_on, statements_document_number=document_number)


def blocked(year: int, number: int, blockers: Sequence[Blocker], *, more: bool) -> PeriodBlocked:
    """The refusal of a close, with what blocks it."""
    shown = blockers[:BLOCKERS_SHOWN_MAX]
    count = f"more than {len(blockers)}" if more else str(len(blockers))
    return PeriodBlocked(
        f"{count} things stand in the way of closing {year}-{number:02}, the first: {shown[0].description}; "
        "ListFiscalPeriodBlockers lists them",
        metadata={
            "blockers": count,
            **{f"blocker_{nth}": f"{one.kind.value}: {one.description}" for nth, one in enumerate(shown, start=1)},
        },
    )
