"""What an invoice must agree with, what is withheld, and who may act in which order. Pure.

Domain rules §3 (match, withholding) and §4 (payment chain). Amounts are minor units; quantities, prices and rates
exact fractions; prices are in the currency's units, without tax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition
from chassis.money import Money, exponent, round_half_away


class InvoiceStatus(Enum):
    """Where an invoice stands."""

    WAITING_RECEIPT = "WAITING_RECEIPT"
    HELD = "HELD"
    MATCHED = "MATCHED"
    APPROVED = "APPROVED"
    PAID = "PAID"
    VOID = "VOID"


# Invoices whose quantities and prices count for the next one of the same order line.
COUNTED = (InvoiceStatus.MATCHED, InvoiceStatus.APPROVED, InvoiceStatus.PAID)


class HoldReason(Enum):
    """Why an invoice is held."""

    QUANTITY = "QUANTITY"
    PRICE = "PRICE"
    TOTAL = "TOTAL"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    DUPLICATE = "DUPLICATE"


class Treatment(Enum):
    """What an accepted thing is to the books: the account's role that it debits."""

    STOCK = "INV"
    EXPENSE = "EXP"
    ASSET = "FA"


class Source(Enum):
    """Where a payable comes from."""

    INVOICE = "INVOICE"
    PAYROLL = "PAYROLL"
    EMPLOYER_CONTRIBUTION = "EMPLOYER_CONTRIBUTION"
    PREPAYMENT = "PREPAYMENT"
    BILL = "BILL"
    RETENTION = "RETENTION"
    IMPREST = "IMPREST"
    REPLENISHMENT = "REPLENISHMENT"
    REMITTANCE = "REMITTANCE"
    LATE_INTEREST = "LATE_INTEREST"

    @property
    def of_payroll(self) -> bool:
        """Whether it comes from a payroll run."""
        return self in (Source.PAYROLL, Source.EMPLOYER_CONTRIBUTION)

    @property
    def of_imprest(self) -> bool:
        """Whether it brings cash to an imprest: no expenditure, no budget line."""
        return self in (Source.IMPREST, Source.REPLENISHMENT)

    @property
    def without_budget(self) -> bool:
        """Whether its payment moves no budget line: cash of an imprest, or what was withheld for others."""
        return self.of_imprest or self is Source.REMITTANCE

    @property
    def role(self) -> str:
        """The account role that its payment order debits: a payable, or the advance that it makes.

        A remittance debits the account of its own kind of withholding: `remittances.pack.role`.
        """
        if self.of_imprest:
            return "IMPREST"
        return {Source.PREPAYMENT: "ADV", Source.RETENTION: "RET"}.get(self, "AP-PAYROLL" if self.of_payroll else "AP")


class SamePerson(FailedPrecondition):
    """Two steps that must be two persons' are asked of one (domain rules §4, trust I9)."""

    reason = "SAME_PERSON"


class OutOfTurn(FailedPrecondition):
    """The paper is not in the state that this step needs."""

    reason = "OUT_OF_TURN"


@dataclass(frozen=True)
class Tolerance:
    """How far an invoice may differ (dated data of the country pack). Both price limits must hold.

    `price_cap` None: no amount is named, the rate alone limits.
    """

    currency: str
    quantity_rate: Fraction
    price_rate: Fraction
    price_cap: int | None
    total: int
    duplicate_days: int
    terms_days: int

    def price_limit(self, value: Fraction) -> Fraction:
        """How far the price may be above an order value of `value` minor units."""
        by_rate = self.price_rate * value
        return by_rate if self.price_cap is None else min(by_rate, Fraction(self.price_cap))


@dataclass(frozen=True)
class OrderLine:
    """One order line as matching sees it: ordered, accepted so far, and invoiced so far by counted invoices."""

    purchase_order_line_id: UUID
    currency: str
    quantity: Fraction
    unit_price: Fraction
    tax_rate: Fraction
    amount: int
    accepted_quantity: Fraction = Fraction(0)
    accepted: int = 0
    invoiced_quantity: Fraction = Fraction(0)
    # Σ (invoice price - order price) × quantity of counted invoices, in minor units, exact.
    price_difference: Fraction = Fraction(0)
    cleared_quantity: Fraction = Fraction(0)
    cleared: int = 0

    @property
    def minor_per_unit(self) -> int:
        """Minor units of one unit of the currency."""
        return int(10 ** exponent(self.currency))

    def worth(self, quantity: Fraction) -> int:
        """The value of the first `quantity` accepted units at the order's price, tax included: cumulative share."""
        if quantity == self.accepted_quantity:
            return self.accepted
        return min(self.accepted, round_half_away(Fraction(self.amount) * quantity / self.quantity))


@dataclass(frozen=True)
class InvoiceLine:
    """One line of an invoice, priced."""

    purchase_order_line_id: UUID
    quantity: Fraction
    unit_price: Fraction
    net: int
    tax: int
    # What the document's total was rounded by (EN 16931 BT-114), on the line that bears it. It is no part of the price,
    # on which taxes are, and of no tax.
    rounding: int = 0

    @property
    def amount(self) -> int:
        """What the line claims."""
        return self.net + self.tax + self.rounding

    def adjustment(self, minor_per_unit: int) -> int:
        """What allowances took off the line (below zero), or charges put on it: net less quantity × price."""
        return self.net - round_half_away(self.quantity * self.unit_price * minor_per_unit)

    def above(self, order_line: OrderLine, quantity: Fraction) -> Fraction:
        """By how much `quantity` of the line are dearer than at the order's price, in minor units, exact.

        Allowances and charges are a part of the price, shared over the line by quantity.
        """
        minor = order_line.minor_per_unit
        share = self.adjustment(minor) * quantity / self.quantity
        return (self.unit_price - order_line.unit_price) * quantity * minor + share


@dataclass(frozen=True)
class Hold:
    """One failed test of the match."""

    reason: HoldReason
    message: str
    purchase_order_line_id: UUID | None = None
    excess_quantity: Fraction | None = None
    excess: int | None = None


@dataclass(frozen=True)
class Match:
    """The outcome of matching one invoice."""

    status: InvoiceStatus
    holds: tuple[Hold, ...] = field(default=())


def priced(
    order_line: OrderLine, quantity: Fraction, unit_price: Fraction, tax: int | None, adjustment: int = 0
) -> InvoiceLine:
    """The line's amounts: price × quantity rounded once, with what allowances and charges change of it; the tax as
    written, or by the order's rate."""
    net = round_half_away(quantity * unit_price * order_line.minor_per_unit) + adjustment
    if tax is None:
        tax = round_half_away(Fraction(net) * order_line.tax_rate)
    return InvoiceLine(order_line.purchase_order_line_id, quantity, unit_price, net, tax)


def match(
    lines: Sequence[InvoiceLine],
    order_lines: Mapping[UUID, OrderLine],
    *,
    currency: str,
    total: int,
    tolerance: Tolerance,
    duplicate_of: str | None = None,
) -> Match:
    """The three tests over all invoices and receipts of each order line, in any order of arrival (N9).

    A currency that differs makes amounts incomparable, so then no other test is made.
    """
    order_currency = next(iter(order_lines.values())).currency
    if currency != order_currency:
        message = (
            f"the invoice is in {currency}, the order in {order_currency}: ask the supplier for one in {order_currency}"
        )
        return Match(InvoiceStatus.HELD, (Hold(HoldReason.CURRENCY_MISMATCH, message),))
    waiting = [line for line in lines if order_lines[line.purchase_order_line_id].accepted_quantity == 0]
    holds: list[Hold] = []
    for line in lines:
        order_line = order_lines[line.purchase_order_line_id]
        if line not in waiting:
            holds += _quantity_hold(line, order_line, tolerance)
        holds += _price_hold(line, order_line, tolerance)
    holds += _total_hold(lines, order_lines, total, tolerance, currency)
    if duplicate_of is not None:
        holds.append(
            Hold(
                HoldReason.DUPLICATE,
                f"the supplier's invoice {duplicate_of} has the same number, or the same amount within "
                f"{tolerance.duplicate_days} days",
            )
        )
    if holds:
        return Match(InvoiceStatus.HELD, tuple(holds))
    return Match(InvoiceStatus.WAITING_RECEIPT if waiting else InvoiceStatus.MATCHED)


def _quantity_hold(line: InvoiceLine, order_line: OrderLine, tolerance: Tolerance) -> list[Hold]:
    """invoiced_cum ≤ accepted_cum × (1 + tq)."""
    allowed = order_line.accepted_quantity * (1 + tolerance.quantity_rate)
    excess = order_line.invoiced_quantity + line.quantity - allowed
    if excess <= 0:
        return []
    amount = round_half_away(excess * line.unit_price * order_line.minor_per_unit)
    return [
        Hold(
            HoldReason.QUANTITY,
            f"{shown(order_line.invoiced_quantity + line.quantity)} invoiced in all, "
            f"{shown(order_line.accepted_quantity)} accepted: {shown(excess)} too many "
            f"({Money(amount, order_line.currency)} without tax)",
            order_line.purchase_order_line_id,
            excess,
            amount,
        )
    ]


def _price_hold(line: InvoiceLine, order_line: OrderLine, tolerance: Tolerance) -> list[Hold]:
    """Σ (invoice price - order price) × q ≤ min(tp × order value of the invoiced quantity, cap)."""
    difference = order_line.price_difference + line.above(order_line, line.quantity)
    invoiced = order_line.invoiced_quantity + line.quantity
    value = invoiced * order_line.unit_price * order_line.minor_per_unit
    limit, by_rate, cap = tolerance.price_limit(value), f"{shown(tolerance.price_rate * 100)} %", tolerance.price_cap
    if difference <= limit:
        return []
    above = round_half_away(difference)
    if cap is not None:
        by_rate = f"the smaller of {by_rate} and {Money(cap, order_line.currency)} a line"
    return [
        Hold(
            HoldReason.PRICE,
            f"{Money(above, order_line.currency)} above the order's price over {shown(invoiced)} units, "
            f"{Money(round_half_away(limit), order_line.currency)} tolerated ({by_rate})",
            order_line.purchase_order_line_id,
            None,
            above,
        )
    ]


def _total_hold(
    lines: Sequence[InvoiceLine],
    order_lines: Mapping[UUID, OrderLine],
    total: int,
    tolerance: Tolerance,
    currency: str,
) -> list[Hold]:
    """|invoice total - total recomputed from its lines, tax at the order's rate| ≤ tt."""
    recomputed = sum(
        line.net
        + round_half_away(Fraction(line.net) * order_lines[line.purchase_order_line_id].tax_rate)
        + line.rounding
        for line in lines
    )
    if (
        abs(total - recomputed) <= tolerance.total
        and abs(total - sum(line.amount for line in lines)) <= tolerance.total
    ):
        return []
    return [
        Hold(
            HoldReason.TOTAL,
            f"the invoice says {Money(total, currency)}, its lines with tax come to {Money(recomputed, currency)}",
            None,
            None,
            total - recomputed,
        )
    ]


def beyond_cap(rounding: Money, cap: int) -> str | None:
    """Why a total may not be rounded by so much, up or down; None when it may. `cap` is in minor units."""
    if abs(rounding.minor) <= cap:
        return None
    most = f"at most {Money(cap, rounding.currency)} either way is taken" if cap else "none is taken"
    return f"{rounding} of rounding, {most} in {rounding.currency} (invoice_rounding.csv): have the exact total claimed"


def claims(lines: Sequence[InvoiceLine], total: int) -> list[int]:
    """What each line claims, so that the claims add up to the invoice's total (a tolerated difference: last line)."""
    amounts = [line.amount for line in lines]
    amounts[-1] += total - sum(amounts)
    return amounts


def cleared(order_line: OrderLine, quantity: Fraction) -> int:
    """What an invoice of `quantity` takes from received-not-invoiced: the rest of the cumulative share.

    Nil remains when ordered = accepted = invoiced.
    """
    cumulative = min(order_line.cleared_quantity + quantity, order_line.accepted_quantity)
    return max(0, order_line.worth(cumulative) - order_line.cleared)


def normalised(number: str) -> str:
    """An invoice number without what people write differently: case, spaces, dots, dashes, slashes."""
    return re.sub(r"[^0-9A-Z]", "", number.upper())


@dataclass(frozen=True)
class WithholdingRule:
    """What the treasurer keeps back of payments on an expenditure account (dated data): of the net or of the tax."""

    withholding_code: str
    expenditure_prefix: str
    of_tax: bool
    rate: Fraction
    threshold_net: int


@dataclass(frozen=True)
class TaxBase:
    """The taxable part of a payable on one expenditure account; `document_net` is the whole invoice's net."""

    account_code: str
    net: int
    tax: int
    document_net: int


def withheld(parts: Iterable[TaxBase], rules: Sequence[WithholdingRule]) -> dict[str, int]:
    """What is withheld by code (N12): per part, percentage of the base, rounded once, above the threshold only."""
    found: dict[str, int] = {}
    for part in parts:
        for code in sorted({rule.withholding_code for rule in rules}):
            fitting = [
                rule
                for rule in rules
                if rule.withholding_code == code and _covers(rule.expenditure_prefix, part.account_code)
            ]
            if not fitting:
                continue
            rule = max(fitting, key=lambda one: len(one.expenditure_prefix))
            if part.document_net <= rule.threshold_net:
                continue
            amount = round_half_away(Fraction(part.tax if rule.of_tax else part.net) * rule.rate)
            if amount:
                found[code] = found.get(code, 0) + amount
    return found


def _covers(prefix: str, code: str) -> bool:
    return code == prefix or code.startswith(prefix + ".")


def spread(rows: Sequence[int], columns: Sequence[int]) -> list[tuple[int, int, int]]:
    """(row, column, amount) whose sums are the rows' and the columns' amounts; the sums must be equal.

    In order, each row is filled from the columns' rests: at most rows + columns - 1 parts.
    """
    if sum(rows) != sum(columns):
        raise ValueError(f"rows add up to {sum(rows)}, columns to {sum(columns)}")
    parts, column, left = [], 0, list(columns)
    for row, amount in enumerate(rows):
        rest = amount
        while rest:
            part = min(rest, left[column])
            if part:
                parts.append((row, column, part))
                rest -= part
                left[column] -= part
            if not left[column]:
                column += 1
    return parts


def different_persons(person_id: UUID, others: Mapping[str, UUID | None], step: str) -> None:
    """Refuse when `person_id` took one of the `others` steps of the same chain."""
    for earlier, other in others.items():
        if other == person_id:
            raise SamePerson(
                f"you {earlier}; another person has to {step} (no two steps of one payment by one person)",
                metadata={"earlier_step": earlier, "step": step},
            )


def shown(value: Fraction) -> str:
    """A quantity for people: up to six decimals."""
    millionths = round_half_away(value * 10**6)
    whole, part = divmod(abs(millionths), 10**6)
    return f"{'-' if millionths < 0 else ''}{whole}.{part:06d}".rstrip("0").rstrip(".")


def numbered_on(today: date, last: date | None) -> date:
    """The day that a number carries: today, and never before the series' last one, whatever the clock does."""
    return today if last is None or today >= last else last
