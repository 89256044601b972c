"""What a document line holds in a foreign currency, beside its functional amounts. Pure.

Domain rules §2, Foreign currency: the movement keeps foreign amount, rate and functional amount. A position in a
foreign currency keeps the foreign amount of each bucket; its functional amounts are what these stood at when they
came in, or were last revalued. Shares are taken of the foreign amount, which never changes with a rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from chassis.errors import FailedPrecondition
from chassis.money import CurrencyMismatch, round_half_away
from services.finance.budget.buckets import BUCKET_NAMES, EMPTY, Buckets


class LiquidationExceeded(FailedPrecondition):
    """More is to be freed than the document line holds in its own currency."""

    reason = "LIQUIDATION_EXCEEDED"


class ForeignActUnsupported(FailedPrecondition):
    """The act is not made for funds that are held in a foreign currency."""

    reason = "FOREIGN_ACT_UNSUPPORTED"


@dataclass(frozen=True)
class ForeignAmount:
    """An item's amount in a foreign currency, in its minor units, and the rate at which it was converted."""

    currency: str
    minor: int
    rate: Decimal
    on: date


@dataclass(frozen=True)
class ForeignChange:
    """What a movement moved in a foreign currency; `rate` is set where the movement brought a new rate in."""

    currency: str
    changes: Buckets
    rate: Decimal | None = None

    @property
    def minor(self) -> int:
        """The foreign amount that moved: what entered buckets, or left them."""
        into = sum(max(amount, 0) for amount in self.changes.amounts())
        return max(into, sum(max(-amount, 0) for amount in self.changes.amounts()))


@dataclass(frozen=True)
class ForeignHeld:
    """The foreign side of a position: `total` set aside, `liquidated` of it used up, and every bucket.

    What is open stands at the rate of the day `rated_on`.
    """

    currency: str
    total: int = 0
    liquidated: int = 0
    buckets: Buckets = EMPTY
    rated_on: date | None = None

    @property
    def open(self) -> int:
        """What is reserved or obligated and not used up."""
        return self.buckets.reserved + self.buckets.obligated

    def share(self, cumulative: Fraction) -> int:
        """What is used up when `cumulative` of the whole (0 to 1) is: round(total × share) - used up already (N3)."""
        wanted = round_half_away(self.total * cumulative) - self.liquidated
        return max(0, min(wanted, self.open))

    def worth(self, minor: int, open_minor: int) -> int:
        """What `minor` of the open foreign amount stands at in the functional currency: the whole with the whole."""
        return open_minor if minor >= self.open else round_half_away(Fraction(open_minor) * minor / self.open)

    def used_up(self, minor: int) -> ForeignHeld:
        """After `minor` of what is open was used up or freed, the reserved part first."""
        reserved = min(minor, self.buckets.reserved)
        gone = Buckets(reserved=-reserved, obligated=-(minor - reserved))
        return replace(self, liquidated=self.liquidated + minor, buckets=self.buckets + gone)

    def reopened(self, minor: int) -> ForeignHeld:
        """After `minor` that was ordered in advance is obligated again."""
        back = Buckets(ordered=-minor, obligated=minor)
        return replace(self, liquidated=self.liquidated - minor, buckets=self.buckets + back)

    def given_back_from(self, bucket: str, minor: int, again: int) -> ForeignHeld:
        """After a creditor took `minor` of what was used up back from `bucket`; `again` of it is obligated anew."""
        back = Buckets(**{bucket: -minor}) + Buckets(obligated=again)
        return replace(self, liquidated=self.liquidated - again, buckets=self.buckets + back)

    def moved(self, changes: Buckets) -> ForeignHeld:
        """After a change of its buckets."""
        return replace(self, buckets=self.buckets + changes)

    def part(self, minor: int, amount: int, whole: int) -> int:
        """The part of `minor` that goes with `amount` of `whole`, in another currency: all with all."""
        return minor if amount == whole else round_half_away(Fraction(minor) * amount / whole)

    def shifted(self, before: Buckets, changes: Buckets, minor: int | None = None) -> ForeignHeld:
        """When funds moved between buckets, or between one and available: `minor`, or what goes with the amount."""
        moves = dict(zip(BUCKET_NAMES, changes.amounts(), strict=True))
        giving = [name for name, change in moves.items() if change < 0]
        taking = [name for name, change in moves.items() if change > 0]
        if len(giving) > 1 or len(taking) > 1 or (minor is None and not giving):
            return self
        if minor is None:
            minor = self.part(getattr(self.buckets, giving[0]), -moves[giving[0]], getattr(before, giving[0]))
        elif not giving or not taking:
            # A variance: its own foreign amount, above or below zero as it is.
            return self.moved(Buckets(**{(giving or taking)[0]: minor}))
        return self.moved(Buckets(**{giving[0]: -minor, **dict.fromkeys(taking, minor)}))

    def only(self, kept: Buckets) -> ForeignHeld:
        """What of R, O and E goes over to next year's line: the whole of each bucket of which `kept` says any does."""
        parts = {name: getattr(self.buckets, name) if getattr(kept, name) else 0 for name in ("obligated", "expended")}
        buckets = Buckets(**parts)
        return replace(self, total=self.liquidated + buckets.obligated, buckets=buckets)

    def with_advance_spent(self) -> ForeignHeld:
        """What was paid in advance counts as paid when its year ends."""
        advanced = self.buckets.advanced
        return self.moved(Buckets(advanced=-advanced, paid=advanced))

    def ended(self) -> ForeignHeld:
        """What stays on the line whose year ended: what was paid."""
        gone = Buckets(self.buckets.reserved, self.buckets.obligated, 0, self.buckets.expended)
        return replace(self, total=self.total - self.open, buckets=self.buckets + -gone)

    def change(self, going: ForeignHeld | None, *, ended: bool) -> ForeignChange:
        """The foreign side of what lapses at a year's end (`ended`), or of what opens on next year's line."""
        over = Buckets() if going is None else going.buckets
        gone = Buckets(self.buckets.reserved, self.buckets.obligated, 0, self.buckets.expended)
        return ForeignChange(self.currency, over + -gone if ended else over)

    def named(self, minor: int, currency: str) -> int:
        """An amount that a caller names to be freed: in this currency, above zero, not more than is open."""
        if currency != self.currency:
            raise CurrencyMismatch(
                f"what is to be freed is named in {currency}, it is held in {self.currency}",
                metadata={"left": currency, "right": self.currency},
            )
        if not 0 < minor <= self.open:
            raise LiquidationExceeded(
                f"{minor} minor units of {self.currency} are to be freed, {self.open} are open",
                metadata={"open_minor": str(self.open), "currency": self.currency},
            )
        return minor

    def given_back(self, before: ForeignHeld | None) -> ForeignHeld:
        """After a release by amount: what was set aside is less from now on."""
        gone = 0 if before is None else before.open - self.open
        return replace(self, total=self.total - gone, liquidated=self.liquidated - gone)

    def set_to(self, wanted: ForeignAmount | None) -> ForeignHeld:
        """With `wanted` obligated instead of what is."""
        if wanted is None:
            return self
        change, after = wanted.minor - self.buckets.obligated, replace(self, rated_on=wanted.on)
        return replace(after, total=self.total + change, buckets=self.buckets + Buckets(obligated=change))

    def restored(self, amount: int, liquidated: int) -> ForeignHeld:
        """With the part of what was used up open again that goes with `amount` of the functional `liquidated`."""
        minor = self.part(self.liquidated, amount, liquidated)
        return replace(self, liquidated=self.liquidated - minor, buckets=self.buckets + Buckets(reserved=minor))

    def check(self, before: ForeignHeld | None, moved: Buckets, what: str) -> None:
        """Refuse an act that moved a bucket in one of the two currencies and not in the other, or went below zero."""
        changes = self.buckets + -(before.buckets if before is not None else Buckets())
        for name, functional, foreign in zip(BUCKET_NAMES, moved.amounts(), changes.amounts(), strict=True):
            if getattr(self.buckets, name) < 0:
                raise LiquidationExceeded(
                    f"{what}: {name} would be {getattr(self.buckets, name)} minor units of {self.currency}, below zero",
                    metadata={"currency": self.currency, "bucket": name},
                )
            if functional and not foreign:
                raise ForeignActUnsupported(
                    f"{what} is held in {self.currency}: this act would move {functional} minor units {name} and "
                    f"nothing in {self.currency}; imprests are for commitments in the currency of the budget line",
                    metadata={"currency": self.currency, "bucket": name},
                )


def refuse_foreign(changes: Iterable[ForeignChange | None], what: str) -> None:
    """Refuse an act of a document that is kept in the currency of the budget line alone."""
    for change in changes:
        if change is not None:
            raise ForeignActUnsupported(
                f"{what} is kept in the currency of its budget lines, not in {change.currency}",
                metadata={"currency": change.currency},
            )


def change_between(
    before: ForeignHeld | None, after: ForeignHeld | None, *, rate: Decimal | None = None
) -> ForeignChange | None:
    """What a movement did to the foreign side of a position; None when it has none, or nothing changed and no rate."""
    held = after or before
    if held is None:
        return None
    changes = (after.buckets if after else Buckets()) + -(before.buckets if before else Buckets())
    return ForeignChange(held.currency, changes, rate) if any(changes.amounts()) or rate is not None else None


def together(first: ForeignChange | None, second: ForeignChange | None) -> ForeignChange | None:
    """Two foreign sides of one movement; refused in two currencies, of which a movement can keep only one."""
    if first is None or second is None:
        return first or second
    if first.currency != second.currency:
        raise CurrencyMismatch(
            f"what is set aside in {first.currency} cannot be used up in {second.currency}: release it first",
            metadata={"left": first.currency, "right": second.currency},
        )
    return ForeignChange(first.currency, first.changes + second.changes, second.rate or first.rate)
