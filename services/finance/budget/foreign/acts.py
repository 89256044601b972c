"""What a foreign currency adds to an act on funds: conversion at the day's rate, and REVALUE. Pure.

A part of `FundsAct` (movements.py), which holds the lines, positions and rates. Domain rules §2: R and O are at the
rate of their date; a revaluation moves between available and the bucket; the line bears every difference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from chassis.money import CurrencyMismatch, Money, allocate
from services.finance.budget.buckets import Buckets
from services.finance.budget.domain import FundsItemInvalid, Item, Key, Line, Movement, MovementKind, Position
from services.finance.budget.foreign.held import ForeignAmount, ForeignChange, ForeignHeld
from services.finance.ledger.rates.domain import Rate, functional_amount


@dataclass(frozen=True)
class Step:
    """One step on a position: what it uses up, what it frees because it is final, and the quantity it stands for."""

    used: int
    freed: int
    quantity: Fraction
    # The same in the position's own currency; nil when that is the budget line's.
    foreign_used: int = 0
    foreign_freed: int = 0

    @property
    def whole(self) -> int:
        """What leaves the position."""
        return self.used + self.freed

    @property
    def foreign_whole(self) -> int:
        """What leaves it of the foreign amount."""
        return self.foreign_used + self.foreign_freed


def converted(item: Item, rate: Rate, functional_currency: str, on: date) -> Item:
    """The item in the budget line's currency at `rate` of the day `on`; its schedule by shares of the foreign one."""
    assert item.amount is not None, "only amounts are converted"
    worth = functional_amount(Money(item.amount, item.currency), rate.rate, functional_currency).minor
    parts = [part for _, part in item.schedule]
    if parts and (sum(parts) != item.amount or min(parts) < 0):
        raise FundsItemInvalid(
            f"document line {item.document_line_id}: the schedule adds up to {sum(parts)} minor units of "
            f"{item.currency}, none below zero; the amount is {item.amount}"
        )
    shares = allocate(worth, parts) if any(parts) else parts
    schedule = tuple((period, share) for (period, _), share in zip(item.schedule, shares, strict=True))
    foreign = ForeignAmount(item.currency, item.amount, rate.rate, on)
    return replace(item, amount=worth, currency=functional_currency, schedule=schedule, foreign=foreign)


def check_same_currency(position: Position, item: Item) -> None:
    """Refuse an amount in another currency than the one that the document line is held in."""
    if item.amount is None:
        return
    held = "" if position.foreign is None else position.foreign.currency
    said = "" if item.foreign is None else item.foreign.currency
    if held != said:
        raise CurrencyMismatch(
            f"document line {item.document_line_id} is in {said or item.currency or 'the currency of its line'}, "
            f"{position.document.kind.value} {position.document.document_number} is held in "
            f"{held or 'the currency of its line'}; give the amount in that one",
            metadata={"left": said, "right": held},
        )


def opened(present: Position | None, item: Item, bucket: str) -> ForeignHeld | None:
    """The foreign side of a position that opens with the item's amount in `bucket`, or opens again."""
    earlier = None if present is None else present.foreign
    if present is not None and (earlier is not None or any(present.buckets.amounts())):
        check_same_currency(present, item)
    if item.foreign is None:
        return None
    held = Buckets(**{bucket: item.foreign.minor})
    buckets = held if earlier is None else earlier.buckets + held
    return ForeignHeld(item.foreign.currency, item.foreign.minor, 0, buckets, item.foreign.on)


def expended(held: ForeignHeld | None, item: Item) -> ForeignHeld | None:
    """The foreign side of a position on which the item's amount was expended."""
    if held is None or item.foreign is None:
        return held
    return held.moved(Buckets(expended=item.foreign.minor))


def brought(item: Item, bucket: str) -> ForeignChange | None:
    """The foreign side of what an item brings into `bucket`."""
    if item.foreign is None:
        return None
    return ForeignChange(item.foreign.currency, Buckets(**{bucket: item.foreign.minor}), item.foreign.rate)


class ForeignActs(ABC):
    """The acts of a foreign currency on lines and positions that were locked."""

    before: Mapping[UUID, Line]
    lines: dict[UUID, Line]
    positions: dict[Key, Position]
    # The day's rates that the act may need, by foreign and functional currency.
    rates: Mapping[tuple[str, str], Rate]
    day: date

    @abstractmethod
    def _position(self, key: Key) -> Position:
        """The position; DOCUMENT_LINE_UNKNOWN when there is none."""

    @abstractmethod
    def _bucket_movement(
        self, kind: MovementKind, position: Position, after: Position, *, rate: Decimal | None = None
    ) -> Movement:
        """Record the difference between two states of a position; LIQUIDATION_EXCEEDED below zero."""

    def cover(self, given: Mapping[UUID, int]) -> None:
        """Note authority beyond the budget that was given at nodes while this act was decided."""
        self.before, self.lines = (
            {**kept, **{key: replace(kept[key], override=kept[key].override + given[key]) for key in given}}
            for kept in (self.before, self.lines)
        )

    def in_functional(self, item: Item) -> Item:
        """The item in its budget line's currency, at the day's rate when it is in another one that has a rate."""
        line = self.lines.get(item.budget_line_id)
        if line is None or item.amount is None or item.currency in ("", line.currency):
            return item
        rate = self.rates.get((item.currency, line.currency))
        return item if rate is None else converted(item, rate, line.currency, self.day)

    def revalue(self, key: Key, changes: Buckets, *, rate: Decimal | None = None) -> Movement | None:
        """available <-> R, O, E or S: the same foreign amounts are worth `changes` more, or less below zero.

        The schedule of what is open keeps its shares.
        """
        if not any(changes.amounts()):
            return None
        position = self._position(key)
        opened = changes.reserved + changes.obligated
        schedule = dict(position.schedule)
        if opened and schedule:
            shares = allocate(position.open + opened, list(schedule.values()))
            schedule = {period: share for period, share in zip(schedule, shares, strict=True) if share}
        after = replace(position, total=position.total + opened, buckets=position.buckets + changes, schedule=schedule)
        return self._bucket_movement(MovementKind.REVALUE, position, after, rate=rate)

    def revalue_open(self, key: Key, rate: Rate) -> Movement | None:
        """Bring what a document line reserves and obligates to `rate`."""
        position = self._position(key)
        held = position.foreign
        if held is None:
            return None
        changes = {}
        for name in ("reserved", "obligated"):
            foreign = Money(getattr(held.buckets, name), held.currency)
            worth = functional_amount(foreign, rate.rate, rate.functional_currency).minor
            changes[name] = worth - getattr(position.buckets, name)
        self.positions[key] = replace(position, foreign=replace(held, rated_on=self.day))
        return self.revalue(key, Buckets(**changes), rate=rate.rate)

    def bring_obligated_to(self, key: Key, foreign: int, worth: int, *, rate: Decimal | None = None) -> Movement | None:
        """REVALUE: `foreign` of what a contract obligates is worth `worth`, in the currency of the books, from now on.

        Before it is ordered in advance or claimed by a bill: the line bears the difference. Nothing in one currency.
        """
        position = self._position(key)
        if position.foreign is None:
            return None
        return self.revalue(key, Buckets(obligated=worth - position.worth_of(foreign)), rate=rate)

    def _at_the_days_rate(self, source: Position, item: Item, step: Step) -> tuple[Item, Step]:
        """REVALUE of what a delivery uses up to the day's rate, before it becomes E: the exchange difference alone.

        A difference in price stays with the delivery, so that the two are told apart, and refused apart.
        """
        held = source.foreign
        if held is None:
            return item, step
        line = self.lines[source.key.budget_line_id]
        rate = item.foreign.rate if item.foreign is not None else self.rates[held.currency, line.currency].rate
        worth = functional_amount(Money(step.foreign_used, held.currency), rate, line.currency).minor
        name = "reserved" if held.buckets.reserved else "obligated"
        self.revalue(source.key, Buckets(**{name: worth - step.used}), rate=rate)
        if item.foreign is None:
            item = replace(item, foreign=ForeignAmount(held.currency, step.foreign_used, rate, self.day))
        return item, replace(step, used=worth)
