"""Interest on a payable that was, or still is, unpaid after its due date. Pure.

Day by day at the rate of each day, so that a rate that changes in between is no question; exact, rounded once
(domain rules §8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from chassis.errors import FailedPrecondition
from chassis.money import round_half_away


class LateInterestRateMissing(FailedPrecondition):
    """No rate is known for a day that interest is asked for."""

    reason = "LATE_INTEREST_RATE_MISSING"


@dataclass(frozen=True)
class Rate:
    """A yearly rate on [valid_from, valid_to) (None: open) by a year of `basis_days`.

    Nothing is owed up to `grace_days` late; beyond them interest counts from the first day.
    """

    rate: Fraction
    basis_days: int
    grace_days: int
    valid_from: date
    valid_to: date | None

    def holds(self, first: date, last: date) -> int:
        """How many of the days first … last it holds for."""
        end = last + timedelta(days=1)
        if self.valid_to is not None:
            end = min(end, self.valid_to)
        return max(0, (end - max(first, self.valid_from)).days)


@dataclass(frozen=True)
class Late:
    """How late, and what that costs in minor units."""

    days: int
    interest: int


def interest(amount: int, *, due_on: date, until: date, rates: Sequence[Rate]) -> Late:
    """The interest on `amount` minor units for the days after `due_on` up to `until` (the day of payment, or today)."""
    days = (until - due_on).days
    if days <= 0:
        return Late(0, 0)
    first = due_on + timedelta(days=1)
    parts = [(rate, rate.holds(first, until)) for rate in rates]
    covered = sum(held for _, held in parts)
    if covered != days:
        raise LateInterestRateMissing(
            f"rates of late interest cover {covered} of the {days} days {first} to {until}: complete late_interest.csv",
            metadata={"from": str(first), "to": str(until)},
        )
    if days <= next(rate.grace_days for rate, held in parts if held):
        return Late(days, 0)
    exact = sum((amount * rate.rate * held / rate.basis_days for rate, held in parts), Fraction(0))
    return Late(days, round_half_away(exact))
