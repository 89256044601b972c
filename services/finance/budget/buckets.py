"""The six open buckets of funds: amounts, or changes of amounts, in minor units of one currency. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields

from chassis.money import checked


@dataclass(frozen=True)
class Buckets:
    """Amounts, or changes of amounts, of the six open buckets."""

    reserved: int = 0
    obligated: int = 0
    advanced: int = 0
    expended: int = 0
    ordered: int = 0
    paid: int = 0

    def __add__(self, other: Buckets) -> Buckets:
        return Buckets(*(checked(mine + theirs) for mine, theirs in zip(self.amounts(), other.amounts(), strict=True)))

    def __neg__(self) -> Buckets:
        return Buckets(*(-amount for amount in self.amounts()))

    def amounts(self) -> tuple[int, ...]:
        """The six amounts in the order R, O, V, E, S, P."""
        return (self.reserved, self.obligated, self.advanced, self.expended, self.ordered, self.paid)

    @property
    def total(self) -> int:
        """What the buckets take from available."""
        return checked(sum(self.amounts()))


BUCKET_NAMES = tuple(bucket.name for bucket in fields(Buckets))
EMPTY = Buckets()
