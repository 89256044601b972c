"""The validity span of a budget that outlives one year: a project's. Pure.

Domain rules §2: a line is of a fiscal year, or of a validity span for a project. Over its span a line is one line: what
is available, reserved, obligated, advanced, expended and ordered stands on over the ends of the years within it,
nothing lapses and nothing is carried; its releases, its limits and the identities F1 to F7 are of the whole span.
The last of its years ends it, as the end of a year ends any other line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from services.finance.classification.fiscal_calendar import PERIODS, FiscalCalendar, Period


class BudgetLineOutOfSpan(FailedPrecondition):
    """The day is outside the validity span of a project's line."""

    reason = "BUDGET_LINE_OUT_OF_SPAN"


@dataclass(frozen=True)
class Span:
    """A project's line is usable on [valid_from, valid_to); `last_year` is the fiscal year of its last day."""

    valid_from: date
    valid_to: date
    last_year: int

    def __str__(self) -> str:
        return f"from {self.valid_from} until before {self.valid_to}"

    def holds(self, day: date) -> bool:
        """Whether the line is usable on a day."""
        return self.valid_from <= day < self.valid_to

    def check(self, name: str, budget_line_id: UUID, day: date) -> None:
        """BUDGET_LINE_OUT_OF_SPAN on a day on which the line is not usable."""
        if not self.holds(day):
            raise BudgetLineOutOfSpan(
                f"{name} is valid {self}, not on {day}",
                metadata={"budget_line_id": str(budget_line_id), "on": str(day)},
            )


def span_of(
    valid_from: date | None,
    valid_to: date | None,
    *,
    fiscal_year: int,
    calendar: FiscalCalendar,
    last_year: int = 0,
) -> Span | None:
    """The span of an appropriation of `fiscal_year`; None for one of that year alone, which names no days.

    It begins in its first fiscal year and reaches into a later one: a shorter one is that year's budget. `last_year`
    instead of days, 0 for none, gives the whole of its years.
    """
    if last_year:
        if valid_from is not None or valid_to is not None:
            raise InvalidArgument.field(
                "last_fiscal_year", "give either the days of a project's span or its last fiscal year, not both"
            )
        if last_year <= fiscal_year:
            raise InvalidArgument.field(
                "last_fiscal_year",
                f"{last_year} is not after the budget year {fiscal_year}; a budget of one year has no span",
            )
        return Span(calendar.first_day(fiscal_year), calendar.first_day(last_year + 1), last_year)
    if valid_from is None and valid_to is None:
        return None
    if valid_from is None or valid_to is None:
        raise InvalidArgument.field("valid_to", "give both days of a project's span, or neither")
    if calendar.year_of(valid_from) != fiscal_year:
        raise InvalidArgument.field("valid_from", f"{valid_from} is not in the first fiscal year {fiscal_year}")
    last_year = calendar.year_of(valid_to - timedelta(days=1))
    if last_year <= fiscal_year:
        raise InvalidArgument.field(
            "valid_to", f"{valid_to}: the span ends within {last_year}; a budget of one year has no span"
        )
    return Span(valid_from, valid_to, last_year)


def period_within(running: int) -> int:
    """The period of its own year, 1 to 12, that a running period is."""
    return (running - 1) % PERIODS + 1


def running_period(first_year: int, last_year: int, period: Period) -> int | None:
    """The how manieth period of a line's years something due in `period` counts in; None when it is due after them.

    1 to 12 for a line of one year. What was due before counts in the first.
    """
    if period.year > last_year:
        return None
    return PERIODS * (period.year - first_year) + period.number if period.year >= first_year else 1


def current_period(first_year: int, last_year: int, on: Period) -> int:
    """The period of a line's years from which releases are looked at."""
    found = running_period(first_year, last_year, on)
    return PERIODS * (1 + last_year - first_year) if found is None else found
