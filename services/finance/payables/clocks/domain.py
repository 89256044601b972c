"""By which day a step of a payment is due, and whether it was late. Pure.

PP 12/2019 art. 149: the treasury orders a payment (SP2D) within two days of its authorisation (SPM), and sends back
within one what it cannot pay. The days are dated data of the country pack; a step that is late is on record and stops
nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum


class Step(Enum):
    """A step of a payment request that has its days."""

    # From the request (SPP) to its authorisation (SPM), the verification of its papers included.
    AUTHORISATION = "AUTHORISATION"
    # From the authorisation to the payment order (SP2D).
    ORDER = "ORDER"


class Outcome(Enum):
    """How a step ended."""

    DONE = "DONE"
    # Whoever had the request sent it back.
    RETURNED = "RETURNED"
    # Whoever made the request took it back.
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True)
class StepRule:
    """Within how many days a step is done, or the request sent back; days of the week in `rest_days` do not count.

    `rest_days` are ISO numbers, Monday being 1; without any, days are calendar days.
    """

    step: Step
    days_max: int
    return_days_max: int
    rest_days: frozenset[int]

    def due_on(self, started_on: date) -> date:
        """The last day for the step."""
        return _after(started_on, self.days_max, self.rest_days)

    def return_due_on(self, started_on: date) -> date:
        """The last day for sending the request back."""
        return _after(started_on, self.return_days_max, self.rest_days)


def _after(started_on: date, days: int, rest_days: Collection[int]) -> date:
    """The day `days` counted days after the one on which it started, which is not counted."""
    day = started_on
    while days:
        day += timedelta(days=1)
        days -= day.isoweekday() not in rest_days
    return day


def days_late(*, due_on: date, return_due_on: date, ended_on: date | None, outcome: Outcome | None, today: date) -> int:
    """Whole days after the last day, up to the end or today; nil when it is in time."""
    last = return_due_on if outcome is Outcome.RETURNED else due_on
    return max(0, ((today if ended_on is None else ended_on) - last).days)
