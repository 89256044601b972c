"""At which steps releases to date limit, and what an act adds to what has reached such a step. Pure.

Domain rules §2, period to date (F3): at a step listed in data, what has reached that step or a later one and is
phased to periods up to t stays within what has been allotted up to t. R and O count by their schedule, E, S, P and V
in the month of their accounting. The payment request is such a step everywhere; RESERVE and OBLIGATE where an agency
says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, InvalidArgument
from chassis.money import Money
from services.finance.budget.domain import AllotmentExceeded, Key, Line, Movement, Position, User
from services.finance.budget.span import running_period
from services.finance.budget.todate import ToDateShortage
from services.finance.classification.fiscal_calendar import Period


class Step(Enum):
    """A step at which an agency may check releases to date, beside the payment request."""

    RESERVE = "RESERVE"
    OBLIGATE = "OBLIGATE"


class PeriodLimitExists(AlreadyExists):
    """The agency has a limit at that step on a common day, with other content."""

    reason = "PERIOD_LIMIT_EXISTS"


@dataclass(frozen=True)
class PeriodLimit:
    """Releases to date limit at this step of an agency on [valid_from, valid_to)."""

    period_limit_id: UUID
    agency_id: UUID
    step: Step
    legal_source: str
    valid_from: date
    valid_to: date | None


def admit(wanted: Sequence[PeriodLimit], present: Iterable[PeriodLimit]) -> list[tuple[PeriodLimit, bool]]:
    """What each wanted limit becomes: (the limit, is it new). One with equal content is taken as it is."""
    known = list(present)
    outcome = []
    for limit in wanted:
        if limit.valid_to is not None and limit.valid_to <= limit.valid_from:
            raise InvalidArgument.field("valid_to", f"{limit.valid_to} is not after valid_from {limit.valid_from}")
        others = [one for one in known if (one.agency_id, one.step) == (limit.agency_id, limit.step)]
        same = next((one for one in others if replace(limit, period_limit_id=one.period_limit_id) == one), None)
        if same is not None:
            outcome.append((same, False))
            continue
        for one in others:
            if (one.valid_to is None or limit.valid_from < one.valid_to) and (
                limit.valid_to is None or one.valid_from < limit.valid_to
            ):
                raise PeriodLimitExists(
                    f"{limit.step.value} has a limit from {one.valid_from} until {one.valid_to or 'further notice'} "
                    "with other content; end it first",
                    metadata={"step": limit.step.value, "valid_from": str(one.valid_from)},
                )
        known.append(limit)
        outcome.append((limit, True))
    return outcome


def added(
    step: Step,
    before: Mapping[Key, Position],
    after: Mapping[Key, Position],
    movements: Iterable[Movement],
    *,
    lines: Mapping[UUID, Line],
    on: Period,
) -> dict[UUID, dict[int, int]]:
    """What an act adds (±) to what has reached `step`, by budget line and running period of its years."""
    found: dict[UUID, dict[int, int]] = {}

    def add(line_id: UUID, period: Period, amount: int) -> None:
        line = lines[line_id]
        month = running_period(line.fiscal_year, line.last_year, period)
        if month is not None and amount:
            months = found.setdefault(line_id, {})
            months[month] = months.get(month, 0) + amount

    for key in {*before, *after}:
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        for position, sign in ((was, -1), (now, 1)):
            if position is not None and (step is Step.RESERVE or position.buckets.obligated):
                for period, amount in position.schedule.items():
                    add(key.budget_line_id, period, sign * amount)
    for movement in movements:
        change = movement.changes
        add(
            movement.budget_line_id,
            on,
            change.advanced + change.expended + change.ordered + change.paid,
        )
    return found


def exceeded_to_date(line: Line, step: Step, short: ToDateShortage, users: Sequence[User]) -> AllotmentExceeded:
    """The refusal, with every figure and the line's biggest users."""

    def money(minor: int) -> str:
        return str(Money(minor, line.currency))

    biggest = ", ".join(f"{u.document.kind.value} {u.document.document_number} {money(u.amount)}" for u in users)
    return AllotmentExceeded(
        f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id}): "
        f"{money(short.allotted)} released to month {short.month}, {money(short.reached)} had reached "
        f"{step.value} by then, {money(short.asked)} asked: short by {money(short.short_by)}; release more (SPD), or "
        "phase it later" + (f"; biggest users: {biggest}" if biggest else ""),
        metadata={
            "budget_line_id": str(line.budget_line_id),
            "step": step.value,
            "month": str(short.month),
            "released": money(short.allotted),
            "reached": money(short.reached),
            "asked": money(short.asked),
            "short_by": money(short.short_by),
            "biggest_users": biggest,
        },
    )
