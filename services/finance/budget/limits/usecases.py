"""Releases to date at the steps of an agency, and what an act would find (what-if)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.budget import request_store
from services.finance.budget import store as funds
from services.finance.budget.domain import Line, MovementKind, Shortage, User
from services.finance.budget.limits import domain, store
from services.finance.budget.limits.domain import PeriodLimit, Step
from services.finance.budget.movements import FundsAct
from services.finance.budget.span import current_period
from services.finance.budget.todate import ToDateShortage, to_date_shortage
from services.finance.classification.pack import fiscal_calendar

# What brings funds to a step. A delivery, a payment or a cancellation is a fact, which no release undoes.
_TAKING = (MovementKind.RESERVE, MovementKind.OBLIGATE, MovementKind.TRUE_UP)


@dataclass(frozen=True)
class ReleaseShortage:
    """A line whose releases to date are too small at a step."""

    line: Line
    step: Step
    short: ToDateShortage


def check(session: Session, act: FundsAct, agency_id: UUID, *, on: date) -> None:
    """F3 at the agency's steps: refused with every figure when what `act` takes is not released to date."""
    short = shortages(session, act, agency_id, on=on)
    if short:
        first = short[0]
        raise domain.exceeded_to_date(
            first.line, first.step, first.short, funds.biggest_users(session, first.line.budget_line_id)
        )


def shortages(session: Session, act: FundsAct, agency_id: UUID, *, on: date) -> list[ReleaseShortage]:
    """Each line and step at which what `act` takes is not released to date, in id order."""
    if not any(m.kind in _TAKING or m.liquidates_movement_id is None for m in act.movements):
        return []
    calendar = fiscal_calendar()
    found, period = [], calendar.period_of(on)
    for step in store.steps_on(session, agency_id, on):
        added = domain.added(
            step,
            act.positions_before,
            act.positions,
            act.movements,
            lines=act.lines,
            on=period,
        )
        asking = sorted(line_id for line_id, months in added.items() if any(part > 0 for part in months.values()))
        if not asking:
            continue
        releases = request_store.releases(session, asking)
        reached = store.reached(session, step, asking, calendar)
        for line_id in asking:
            line = act.before[line_id]
            short = to_date_shortage(
                releases.get(line_id, []),
                reached.get(line_id, {}),
                added[line_id],
                current_month=current_period(line.fiscal_year, line.last_year, period),
            )
            if short is not None:
                found.append(ReleaseShortage(line, step, short))
    return found


@dataclass(frozen=True)
class Checked:
    """What an act would find: every line and node that it touches, before and after; what stops it, what warns."""

    before: dict[UUID, Line]
    after: dict[UUID, Line]
    short: list[Shortage]
    over: list[Shortage]
    unreleased: list[ReleaseShortage]
    users: dict[UUID, list[User]]

    @property
    def fits(self) -> bool:
        """Whether the act would pass."""
        return not self.short and not self.unreleased


def what_if(session: Session, act: FundsAct, agency_id: UUID, *, on: date) -> Checked:
    """The decisions of a real act, on one that was tried; nothing is written."""
    short, over = act.shortages(), act.over_limits()
    unreleased = shortages(session, act, agency_id, on=on)
    asked = {one.line.budget_line_id for one in [*short, *over]} | {one.line.budget_line_id for one in unreleased}
    return Checked(
        before=dict(act.before),
        after=dict(act.lines),
        short=short,
        over=over,
        unreleased=unreleased,
        users={line_id: funds.biggest_users(session, line_id) for line_id in sorted(asked)},
    )


def create_limits(session: Session, limits: Sequence[PeriodLimit]) -> list[tuple[PeriodLimit, bool]]:
    """Add limits, all or none; (limit, is it new) in the order given."""
    store.lock_limits(session)
    outcome = domain.admit(limits, store.limits_of(session, {limit.agency_id for limit in limits}))
    store.add_limits(session, [limit for limit, is_new in outcome if is_new])
    return outcome
