"""Quantities, prices and the amounts of a document line (domain rules §2, §6, §8).

Quantities and prices have up to 6 decimals and are exact decimals; amounts are whole minor units. Rounding is half
away from zero, once for quantity × price and once for the tax; partial amounts are cumulative shares, so that the
last part takes the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from chassis.errors import InvalidArgument
from chassis.money import Money, checked, exponent, round_half_away

DECIMALS_MAX = 6
# numeric(24, 6) holds 18 digits before the point; a million million units are more than any document has.
QUANTITY_MAX = Decimal(10) ** 12
PRICE_MAX = Decimal(10) ** 15


@dataclass(frozen=True)
class LineAmount:
    """What a line costs: net of tax, the tax that cannot be recovered, and both."""

    net: Money
    tax: Money

    @property
    def gross(self) -> Money:
        """Net and tax: what funds are charged with (domain rules §1)."""
        return self.net + self.tax


def _decimals(value: Decimal) -> int:
    _, digits, exponent_of_value = value.as_tuple()
    if not isinstance(exponent_of_value, int):
        return DECIMALS_MAX + 1
    trailing = 0
    for digit in reversed(digits):
        if digit:
            break
        trailing += 1
    return 0 if not any(digits) else max(0, -exponent_of_value - trailing)


def _within(value: Decimal, limit: Decimal, field: str, what: str) -> Decimal:
    if _decimals(value) > DECIMALS_MAX:
        raise InvalidArgument.field(field, f"{what} {value} has more than {DECIMALS_MAX} decimals")
    if value > limit:
        raise InvalidArgument.field(field, f"{what} {value} is more than {limit:f}")
    return value


def shown(value: Decimal) -> str:
    """A quantity, price or rate for people and metadata: plain decimals without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def positive_quantity(value: Decimal, field: str = "quantity") -> Decimal:
    """`value` itself if it is a quantity above zero with at most 6 decimals, else INVALID_ARGUMENT."""
    if value <= 0:
        raise InvalidArgument.field(field, f"quantity {value} is not above 0")
    return _within(value, QUANTITY_MAX, field, "quantity")


def quantity_from_zero(value: Decimal, field: str = "quantity") -> Decimal:
    """`value` itself if it is a quantity of at least zero with at most 6 decimals, else INVALID_ARGUMENT."""
    if value < 0:
        raise InvalidArgument.field(field, f"quantity {value} is negative")
    return _within(value, QUANTITY_MAX, field, "quantity")


def unit_price(value: Decimal, field: str = "unit_price") -> Decimal:
    """`value` itself if it is a price of at least zero with at most 6 decimals, else INVALID_ARGUMENT."""
    if value < 0:
        raise InvalidArgument.field(field, f"price {value} is negative")
    return _within(value, PRICE_MAX, field, "price")


def tax_rate(value: Decimal, field: str = "tax_rate") -> Decimal:
    """`value` itself if it is a fraction from 0 to 1 with at most 6 decimals (0.11 is 11 %), else INVALID_ARGUMENT."""
    if not 0 <= value <= 1:
        raise InvalidArgument.field(field, f"rate {value} is not from 0 to 1; 11 % is 0.11")
    return _within(value, Decimal(1), field, "rate")


def value_of(quantity: Decimal, price: Decimal, currency: str) -> Money:
    """round(quantity × price): price in currency units, the result in minor units."""
    exact = Fraction(quantity) * Fraction(price) * 10 ** exponent(currency)
    return Money(round_half_away(exact), currency)


def line_amount(quantity: Decimal, price: Decimal, rate: Decimal, currency: str) -> LineAmount:
    """Net = round(quantity × price), tax = round(net × rate)."""
    net = value_of(quantity, price, currency)
    return LineAmount(net, net.times(Fraction(rate)))


def cumulative_share(total_minor: int, quantity_so_far: Decimal, quantity_total: Decimal) -> int:
    """round(total × quantity so far / total quantity): what has been used up after that quantity (N3).

    The difference of two such shares is the amount of one step; the last step takes the rest.
    """
    return checked(round_half_away(Fraction(total_minor) * Fraction(quantity_so_far) / Fraction(quantity_total)))
