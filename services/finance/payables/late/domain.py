"""Interest on a payable that was, or still is, unpaid after its due date. Pure.

Day by day, at the rate of each day and on what was owed on that day, so that neither a rate nor a debt that changes in
between is a question; exact, rounded once (domain rules §8). What is set off or credited was owed up to the day of its
effect, that day included, as what is paid is owed up to the day of its debit.
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


class LateInterestChanged(FailedPrecondition):
    """What was owed on the days of a proposed charge is known otherwise since: a debit, an offset or a credit note."""

    reason = "LATE_INTEREST_CHANGED"


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
class Fall:
    """By how much a debt fell on a day: an approved offset or credit note."""

    on: date
    amount: int


@dataclass(frozen=True)
class Owed:
    """What was owed, in minor units, on each of the days `from_on` … `until`."""

    from_on: date
    until: date
    amount: int


def owed(amount: int, falls: Sequence[Fall], *, due_on: date, until: date) -> list[Owed]:
    """The days after `due_on` up to `until` in pieces of one amount, the first first.

    `amount` is what is owed after all `falls`, in whatever order they are given; days on which nothing was owed are in
    no piece.
    """
    found: list[Owed] = []
    first = due_on + timedelta(days=1)
    for last in (*sorted({fall.on for fall in falls if first <= fall.on < until}), until):
        left = amount + sum(fall.amount for fall in falls if fall.on >= last)
        if first <= last and left > 0:
            found.append(Owed(first, last, left))
        first = last + timedelta(days=1)
    return found


@dataclass(frozen=True)
class Late:
    """How late, and what that costs in minor units."""

    days: int
    interest: int


def interest(pieces: Sequence[Owed], *, rates: Sequence[Rate]) -> Late:
    """The interest on what was owed on each day; late are the days of all pieces, which follow one another.

    LATE_INTEREST_RATE_MISSING for a day without a rate.
    """
    days = sum((piece.until - piece.from_on).days + 1 for piece in pieces)
    if not pieces:
        return Late(0, 0)
    first, until = pieces[0].from_on, pieces[-1].until
    parts = [(piece, rate, rate.holds(piece.from_on, piece.until)) for piece in pieces for rate in rates]
    covered = sum(held for _, _, held in parts)
    if covered != days:
        raise LateInterestRateMissing(
            f"rates of late interest cover {covered} of the {days} days {first} to {until}: complete late_interest.csv",
            metadata={"from": str(first), "to": str(until)},
        )
    if days <= next(rate.grace_days for _, rate, held in parts if held):
        return Late(days, 0)
    exact = sum((piece.amount * rate.rate * held / rate.basis_days for piece, rate, held in parts), Fraction(0))
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


def charge(
    number: str, pieces: Sequence[Owed], *, due_on: date, until: date, rates: Sequence[Rate], charged: Charged
) -> Charge:
    """The interest of the days that no charge has yet: cumulative, so that all charges come to the whole.

    Each day of a payable is charged once. What falls on a day that was charged already is taken off the charges that
    follow. `number` is the invoice's, for messages.
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
    late = interest(pieces, rates=rates)
    left = late.interest - charged.amount
    if left <= 0:
        why = "days of grace, or less than one minor unit"
        if charged.amount:
            why += f"; {charged.amount} minor units are charged already, {late.interest} are owed for all days"
        raise LateInterestNil(
            f"interest on {number} for {first} to {until} comes to nil ({why})",
            metadata={"from": str(first), "to": str(until)},
        )
    return Charge(first, until, (until - first).days + 1, left)


def check_unchanged(number: str, pieces: Sequence[Owed], *, until: date, charged: int, rates: Sequence[Rate]) -> None:
    """Refuse to approve a charge of days up to `until` when all charges with it are no longer what is owed for them.

    `pieces` are what was owed up to that day as it is known now; `charged` is what all charges come to, it included.
    """
    late = interest(pieces, rates=rates)
    last = pieces[-1].until if pieces else None
    if (last, late.interest) != (until, charged):
        raise LateInterestChanged(
            f"the interest on {number} was proposed up to {until}, {charged} minor units in all; by what is known now "
            f"it was owed up to {last or 'no day'}, {late.interest} in all: recall the charge and propose it anew",
            metadata={"until": str(until), "owed_until": str(last or "")},
        )
