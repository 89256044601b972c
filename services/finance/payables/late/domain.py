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


class PayableNotLate(FailedPrecondition):
    """The payable is not, or was not, past its due date: no interest is owed."""

    reason = "PAYABLE_NOT_LATE"


class LateInterestCharged(FailedPrecondition):
    """The days up to the one asked for are in a charge already."""

    reason = "LATE_INTEREST_CHARGED"


class LateInterestPending(FailedPrecondition):
    """An earlier charge of the payable is not decided: were it refused, its days would be left between two charges."""

    reason = "LATE_INTEREST_PENDING"


class LateInterestNil(FailedPrecondition):
    """The interest of these days comes to nil."""

    reason = "LATE_INTEREST_NIL"


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


@dataclass(frozen=True)
class Charged:
    """What live charges of a payable hold: up to which day, and how much. `pending`: the first day not decided yet."""

    until: date | None
    amount: int
    pending: date | None = None


@dataclass(frozen=True)
class Charge:
    """Interest to be paid for the days `from_on` … `until`, in minor units."""

    from_on: date
    until: date
    days: int
    amount: int


def charge(number: str, amount: int, *, due_on: date, until: date, rates: Sequence[Rate], charged: Charged) -> Charge:
    """The interest of the days that no charge has yet: cumulative, so that all charges come to the whole.

    Each day of a payable is charged once. `number` is the invoice's, for messages.
    """
    if until <= due_on:
        raise PayableNotLate(f"{number} was due on {due_on}: no interest is owed up to {until}")
    first = (charged.until or due_on) + timedelta(days=1)
    if until < first:
        raise LateInterestCharged(
            f"interest on {number} is charged up to {charged.until}; ask for a later day",
            metadata={"charged_until": str(charged.until)},
        )
    if charged.pending is not None:
        raise LateInterestPending(
            f"interest on {number} from {charged.pending} to {charged.until} is proposed and not decided: have it "
            "approved, rejected or recalled first, then charge the days after it",
            metadata={"pending_from": str(charged.pending)},
        )
    late = interest(amount, due_on=due_on, until=until, rates=rates)
    left = late.interest - charged.amount
    if left <= 0:
        raise LateInterestNil(
            f"interest on {number} for {first} to {until} comes to nil (days of grace, or less than one minor unit)",
            metadata={"from": str(first), "to": str(until)},
        )
    return Charge(first, until, (until - first).days + 1, left)
