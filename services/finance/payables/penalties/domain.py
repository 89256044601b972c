"""What a penalty for late delivery comes to, and when one may be taken. Pure.

A share of the price without VAT of the late part, or of the contract, for each day of delay (Perpres 16/2018 art. 79,
as quoted in the domain rules §2); rate and cap are dated data of the country pack. Amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction

from chassis.errors import FailedPrecondition
from chassis.money import Money, allocate, round_half_away, total


class Base(Enum):
    """What the rate is taken of, without VAT."""

    LATE_PART = "LATE_PART"
    CONTRACT = "CONTRACT"


class DeliveryNotLate(FailedPrecondition):
    """It was delivered on the day that it was due, or before."""

    reason = "DELIVERY_NOT_LATE"


class PenaltyNil(FailedPrecondition):
    """The penalty is less than half a coin."""

    reason = "PENALTY_NIL"


class PenaltyBaseTooHigh(FailedPrecondition):
    """The base is above the price of what could be late."""

    reason = "PENALTY_BASE_TOO_HIGH"


class PenaltyAssessed(FailedPrecondition):
    """The delivery has a penalty already."""

    reason = "PENALTY_ASSESSED"


class PenaltyAbovePayable(FailedPrecondition):
    """Nothing would be left to pay after penalties and what is withheld."""

    reason = "PENALTY_ABOVE_PAYABLE"


class PenaltyAboveFund(FailedPrecondition):
    """The funds of the payable have too little left of a payment over several."""

    reason = "PENALTY_ABOVE_FUND"


class PenaltyUndecided(FailedPrecondition):
    """A proposed penalty waits for its decision."""

    reason = "PENALTY_UNDECIDED"


class PenaltyPayableNotOpen(FailedPrecondition):
    """Penalties are decided before the payment is requested."""

    reason = "PENALTY_PAYABLE_NOT_OPEN"


class PenaltyNotAllowed(FailedPrecondition):
    """The payable is none that a penalty can be kept from."""

    reason = "PENALTY_NOT_ALLOWED"


class PenaltyNotLess(FailedPrecondition):
    """A reduction leaves less than the penalty is, and comes once."""

    reason = "PENALTY_NOT_LESS"


@dataclass(frozen=True)
class Rule:
    """A daily share of a base, at most `cap_share` of it in all (None: no cap), with the source of law."""

    base: Base
    daily_rate: Fraction
    cap_share: Fraction | None
    legal_source: str


@dataclass(frozen=True)
class Assessed:
    """How many days late, and what that costs."""

    days: int
    amount: int
    capped: bool


def assess(base_minor: int, *, due_on: date, delivered_on: date, rule: Rule) -> Assessed:
    """Days x rate x base, rounded once, half away from zero, and never above the cap.

    The day that the delivery was due is no day of delay; the day of delivery is one.
    """
    days = (delivered_on - due_on).days
    if days <= 0:
        raise DeliveryNotLate(
            f"due on {due_on}, delivered on {delivered_on}: that is not late",
            metadata={"due_on": str(due_on), "delivered_on": str(delivered_on)},
        )
    share = days * rule.daily_rate
    capped = rule.cap_share is not None and share > rule.cap_share
    if rule.cap_share is not None and capped:
        share = rule.cap_share
    amount = round_half_away(base_minor * share)
    if amount == 0:
        raise PenaltyNil(
            f"{days} days x {rule.daily_rate} of {base_minor} minor units come to less than half a coin: there is no "
            "penalty to keep",
            metadata={"days": str(days)},
        )
    return Assessed(days, amount, capped)


@dataclass(frozen=True)
class Delivery:
    """What was late: its base without VAT, from when to when."""

    base: Base
    base_minor: int
    due_on: date
    delivered_on: date


def check_base(new: Delivery, live: Sequence[Delivery], *, price: int, currency: str, number: str) -> None:
    """One penalty for a delivery: the late parts of a payable are within `price`, and a contract is penalised once.

    `live` are the payable's other penalties that are not rejected or recalled; `price` is without VAT.
    """
    if any((one.due_on, one.delivered_on) == (new.due_on, new.delivered_on) for one in live):
        raise PenaltyAssessed(
            f"the delivery due on {new.due_on} and made on {new.delivered_on} of {number} has its penalty; reduce that "
            "one, or have it ended first",
            metadata={"due_on": str(new.due_on), "delivered_on": str(new.delivered_on)},
        )
    if live and Base.CONTRACT in {new.base, *(one.base for one in live)}:
        raise PenaltyAssessed(
            f"{number} has a penalty, and one of them is of the whole contract, which holds every late part; have the "
            "other one ended first"
        )
    taken = total(one.base_minor for one in live)
    if taken + new.base_minor > price:
        raise PenaltyBaseTooHigh(
            f"{Money(new.base_minor, currency)} without VAT are above {Money(price - taken, currency)}, which is left "
            f"of the price without VAT of {number}",
            metadata={"price_minor": str(price), "taken_minor": str(taken)},
        )


def check_agreement(base: Base, others: Mapping[str, Base], *, due_on: date) -> None:
    """What a contract had due on a day is penalised whole, on one payable, or part by part.

    `others` are the bases of its live penalties for that day on its other payables, by the number of their paper.
    """
    if others and Base.CONTRACT in {base, *others.values()}:
        raise PenaltyAssessed(
            f"what the contract had due on {due_on} is penalised on {', '.join(sorted(others))}, and a penalty of the "
            "whole contract holds every late part; have the other one ended first",
            metadata={"due_on": str(due_on), "penalised_on": ",".join(sorted(others))},
        )


def check_room(penalties: int, *, owed: int, withheld: int, currency: str, number: str) -> None:
    """Penalties never reach what is left to pay: the bank debits no payment of nil."""
    if penalties >= owed - withheld:
        raise PenaltyAbovePayable(
            f"penalties of {Money(penalties, currency)} leave nothing of {Money(owed, currency)} owed for {number}, of "
            f"which {Money(withheld, currency)} are withheld for others; reduce the penalty (withdraw the payment "
            "request first, if there is one)",
            metadata={
                "penalties_minor": str(penalties),
                "owed_minor": str(owed),
                "withheld_minor": str(withheld),
            },
        )


def shares(amount: int, left: Mapping[str, int], *, currency: str, number: str) -> dict[str, int]:
    """What each fund of a payable keeps of a penalty: by what is `left` of it to pay, so that none pays less than nil.

    PENALTY_ABOVE_FUND when that is too little: what one payment withholds is shared over all its funds, so another
    payable in it may have used up the funds of this one.
    """
    funds = sorted(left)
    if amount > total(left.values()):
        raise PenaltyAboveFund(
            f"a penalty of {Money(amount, currency)} on {number} is kept from its own funds ({', '.join(funds)}), of "
            f"which this payment leaves {Money(total(left.values()), currency)} after what it withholds for others; "
            f"request the payment of {number} by itself, or reduce the penalty (withdraw this request first)",
            metadata={"penalty_minor": str(amount), "left_minor": str(total(left.values())), "funds": ",".join(funds)},
        )
    kept = allocate(amount, [left[fund] for fund in funds])
    return {fund: share for fund, share in zip(funds, kept, strict=True) if share}


def check_reduction(left: int, *, now: int, reduced: bool, currency: str) -> None:
    """A reduction leaves less than now, and comes once; nil waives the penalty."""
    if reduced:
        raise PenaltyNotLess(
            f"the penalty was reduced to {Money(now, currency)} before; a penalty is reduced or waived once",
            metadata={"amount_minor": str(now)},
        )
    if left >= now:
        raise PenaltyNotLess(
            f"{Money(left, currency)} is not less than the penalty of {Money(now, currency)}; a reduction takes off, "
            "and nil waives it",
            metadata={"amount_minor": str(now)},
        )
