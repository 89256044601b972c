"""Which part of a held invoice matches. Pure (domain rules §3: the approver splits off the matched part)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition
from chassis.money import round_half_away
from services.finance.payables.domain import Hold, HoldReason, InvoiceLine, OrderLine, Tolerance

# These are about the invoice as a whole: no part of it is better than the rest.
_OF_THE_WHOLE = frozenset({HoldReason.TOTAL, HoldReason.CURRENCY_MISMATCH, HoldReason.DUPLICATE})


class InvoiceNotSplittable(FailedPrecondition):
    """Nothing of the invoice matches, or its hold is not of single lines."""

    reason = "INVOICE_NOT_SPLITTABLE"


@dataclass(frozen=True)
class Cut:
    """One invoice line in two: what is split off and what stays; None for nothing."""

    taken: InvoiceLine | None
    rest: InvoiceLine | None


def matched_part(
    invoice_number: str,
    lines: Sequence[InvoiceLine],
    order_lines: Mapping[UUID, OrderLine],
    *,
    holds: Sequence[Hold],
    tolerance: Tolerance,
) -> list[Cut]:
    """Line by line, as much as quantity and price let pass; both parts add up to the line in every amount."""
    whole = sorted({hold.reason.value for hold in holds if hold.reason in _OF_THE_WHOLE})
    if whole:
        raise InvoiceNotSplittable(
            f"invoice {invoice_number} is held as a whole ({', '.join(whole)}): put that right first",
            metadata={"holds": ",".join(whole)},
        )
    cuts = [_cut(line, order_lines[line.purchase_order_line_id], tolerance) for line in lines]
    if not any(cut.taken for cut in cuts):
        raise InvoiceNotSplittable(
            f"invoice {invoice_number}: no line matches even in part, so there is nothing to split off",
            metadata={"holds": ",".join(sorted({hold.reason.value for hold in holds}))},
        )
    return cuts


def _cut(line: InvoiceLine, order_line: OrderLine, tolerance: Tolerance) -> Cut:
    accepted = order_line.accepted_quantity * (1 + tolerance.quantity_rate) - order_line.invoiced_quantity
    quantity = min(line.quantity, max(Fraction(0), accepted))
    if order_line.accepted_quantity == 0 or quantity == 0 or not _price_passes(line, quantity, order_line, tolerance):
        return Cut(None, line)
    if quantity == line.quantity:
        return Cut(line, None)
    minor = order_line.minor_per_unit
    net = round_half_away(quantity * line.unit_price * minor)
    net += round_half_away(line.adjustment(minor) * quantity / line.quantity)
    rate = order_line.tax_rate
    # Tax by the order's rate stays by the order's rate, so that neither part differs from what matching recomputes.
    by_rate = line.tax == round_half_away(Fraction(line.net) * rate)
    tax = round_half_away(Fraction(net) * rate) if by_rate else round_half_away(line.tax * quantity / line.quantity)
    taken = InvoiceLine(line.purchase_order_line_id, quantity, line.unit_price, net, tax)
    rest = InvoiceLine(
        line.purchase_order_line_id,
        line.quantity - quantity,
        line.unit_price,
        line.net - net,
        line.tax - tax,
        # What is split off is exact; the document's rounding stays with what is left of it.
        line.rounding,
    )
    return Cut(taken, rest)


def _price_passes(line: InvoiceLine, quantity: Fraction, order_line: OrderLine, tolerance: Tolerance) -> bool:
    difference = order_line.price_difference + line.above(order_line, quantity)
    value = (order_line.invoiced_quantity + quantity) * order_line.unit_price * order_line.minor_per_unit
    return difference <= tolerance.price_limit(value)
