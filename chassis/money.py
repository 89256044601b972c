"""Exact money: whole minor units and a currency. No float touches it.

Rounding is half away from zero to the minor unit (domain rules §8); shares are floor plus the largest
remainders, ties by order, so that the parts always sum to the whole and negative amounts mirror positive ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from chassis.errors import InvalidArgument, OutOfRange

INT64_MAX = 2**63 - 1

# ISO 4217 exponents that differ from 2 (amendment 176 of the maintenance agency's list one).
_EXPONENTS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


class CurrencyMismatch(InvalidArgument):
    """Two amounts of different currencies met where one currency is required."""

    reason = "CURRENCY_MISMATCH"


class AmountOutOfRange(OutOfRange):
    """An amount or a sum leaves int64 (domain rules §1)."""

    reason = "AMOUNT_OUT_OF_RANGE"


def exponent(currency: str) -> int:
    """The number of decimals of `currency` (ISO 4217): IDR 2, JPY 0, KWD 3."""
    return _EXPONENTS.get(currency, 2)


def round_half_away(value: Fraction) -> int:
    """The whole number nearest to `value`; halves go away from zero."""
    magnitude = (abs(value) * 2 + 1) // 2
    return int(magnitude) if value >= 0 else -int(magnitude)


def checked(minor: int) -> int:
    """`minor` itself if it fits int64, else AMOUNT_OUT_OF_RANGE."""
    if not -INT64_MAX - 1 <= minor <= INT64_MAX:
        raise AmountOutOfRange(f"{minor} minor units do not fit 64 bits; split the amount")
    return minor


def total(minors: Iterable[int]) -> int:
    """The sum of `minors`, exact, checked against int64."""
    return checked(sum(minors))


def allocate(minor: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Share `minor` by `weights` (none negative, not all zero): floor, then the largest remainders, ties by order."""
    whole = sum(weights, Fraction(0))
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights must be at least zero and not all zero")
    exact = [abs(minor) * Fraction(weight) / whole for weight in weights]
    floors = [int(part // 1) for part in exact]
    rest = abs(minor) - sum(floors)
    by_remainder = sorted(range(len(exact)), key=lambda i: (floors[i] - exact[i], i))
    for i in by_remainder[:rest]:
        floors[i] += 1
    return floors if minor >= 0 else [-part for part in floors]


@dataclass(frozen=True)
class Money:
    """An amount in whole minor units of one currency (IDR has exponent 2: 1 rupiah is 100 minor units)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        checked(self.minor)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(
                f"{self.currency} and {other.currency} cannot be combined; convert one at a dated rate first",
                metadata={"left": self.currency, "right": other.currency},
            )

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __gt__(self, other: Money) -> bool:
        return other < self

    def __ge__(self, other: Money) -> bool:
        return other <= self

    def __bool__(self) -> bool:
        return self.minor != 0

    def times(self, factor: Fraction | int) -> Money:
        """`self × factor`, rounded half away from zero to the minor unit: the one named place of rounding."""
        return Money(round_half_away(Fraction(self.minor) * factor), self.currency)

    def split(self, parts: int) -> list[Money]:
        """`parts` shares that differ by at most one minor unit and sum to the whole."""
        return self.allocate([1] * parts)

    def allocate(self, weights: Sequence[int | Fraction]) -> list[Money]:
        """Shares by `weights`; they sum to the whole."""
        return [Money(part, self.currency) for part in allocate(self.minor, weights)]

    def __str__(self) -> str:
        digits = exponent(self.currency)
        sign, magnitude = ("-" if self.minor < 0 else ""), abs(self.minor)
        whole, part = divmod(magnitude, 10**digits)
        grouped = f"{whole:,}".replace(",", " ")
        shown = f"{grouped}.{part:0{digits}d}" if digits and part else grouped
        return f"{self.currency} {sign}{shown}"
