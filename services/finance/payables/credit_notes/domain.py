"""What a credit note takes back of an invoice, and where it may stand. Pure.

Domain rules §3 (return, price) and §2 (refunds). Amounts are minor units of the invoice's currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money, round_half_away
from services.finance.payables.domain import Treatment, shown


class CreditNoteKind(Enum):
    """What a credit note is for."""

    # Goods or services that were given back: quantities of the invoice's lines.
    RETURN = "RETURN"
    # The price alone: amounts of the invoice's lines, nothing goes back.
    PRICE = "PRICE"


class CreditNoteStatus(Enum):
    """Where a credit note stands."""

    REGISTERED = "REGISTERED"
    # The invoice's payable is that much smaller.
    APPROVED = "APPROVED"
    # The invoice was paid: the creditor owes the amount.
    RECEIVABLE = "RECEIVABLE"
    REFUNDED = "REFUNDED"
    # What the creditor owed was set off against what he was owed.
    OFFSET = "OFFSET"
    WITHDRAWN = "WITHDRAWN"


# Notes that have had their effect, and count for the next one of the same invoice line.
COUNTED = (CreditNoteStatus.APPROVED, CreditNoteStatus.RECEIVABLE, CreditNoteStatus.REFUNDED, CreditNoteStatus.OFFSET)


class CreditExceedsInvoice(FailedPrecondition):
    """More is credited than the invoice's line still claims, all its credit notes together."""

    reason = "CREDIT_EXCEEDS_INVOICE"


class CreditTotalMismatch(FailedPrecondition):
    """The credit note's total is not what its lines come to."""

    reason = "CREDIT_TOTAL_MISMATCH"


class InvoiceNotCreditable(FailedPrecondition):
    """The invoice is not approved, or a payment of it is under way."""

    reason = "INVOICE_NOT_CREDITABLE"


class StockNotReturned(FailedPrecondition):
    """Stock of a paid invoice can only leave the books by the stock ledger's own movement."""

    reason = "STOCK_NOT_RETURNED"


class RefundAmountMismatch(FailedPrecondition):
    """The creditor refunded another amount than the credit note's."""

    reason = "REFUND_AMOUNT_MISMATCH"


@dataclass(frozen=True)
class InvoicedLine:
    """One line of an approved invoice with what approved credit notes took back of it so far.

    `amount` is the line's claim (net + tax), `cleared` the part of it that had been received-not-invoiced, the rest is
    a price variance. What the invoice's total was rounded by is in neither: `rounding` is what notes left of it.
    """

    purchase_order_line_id: UUID
    treatment: Treatment
    quantity: Fraction
    order_price: Fraction
    unit_price: Fraction
    amount: int
    tax: int
    variance: int
    credited_quantity: Fraction = Fraction(0)
    credited: int = 0
    credited_tax: int = 0
    # Of what was credited, by returns alone: received-not-invoiced.
    credited_cleared: int = 0
    # What is left of the line's cost in the currency of the books; None when that is the invoice's own.
    cost: Cost | None = None
    rounding: int = 0

    @property
    def left(self) -> int:
        """What the line still claims, with the invoice's rounding where it bears it."""
        return self.amount - self.credited + self.rounding

    @property
    def cleared(self) -> int:
        """What the invoice took from received-not-invoiced."""
        return self.amount - self.variance


@dataclass(frozen=True)
class Cost:
    """What goods were recorded at in the currency of the books: `whole`, of which `cleared` at the order's price."""

    whole: int
    cleared: int


@dataclass(frozen=True)
class CreditLine:
    """What a credit note takes back of one invoice line.

    `cleared` goes back to received-not-invoiced (returns), `variance` to what the goods became; together `amount`.
    A variance below zero is a saving that ends with the return.
    `price_difference` is what the line's Σ (invoice price - order price) × quantity falls by, in currency units.
    """

    purchase_order_line_id: UUID
    quantity: Fraction
    amount: int
    tax: int
    cleared: int
    variance: int
    price_difference: Fraction
    # What the approved line took of the payable, or stands at as a receivable, in the currency of the books when that
    # is another one. It changes with rates and is no part of what the note says.
    carried: int | None = field(default=None, compare=False)
    # What the note's total was rounded by (EN 16931 BT-114), on the line that bears it: in `amount` and `variance`.
    rounding: int = 0

    @property
    def net(self) -> int:
        """The price without tax."""
        return self.amount - self.tax - self.rounding


def returned(line: InvoicedLine, quantity: Fraction) -> CreditLine:
    """`quantity` of an invoice line goes back, at the invoice's own price.

    Cumulative share of claim, tax and received-not-invoiced, so that the last return takes the rest; what price notes
    took back before is shared out too, so all notes together never exceed the claim.
    """
    left = line.quantity - line.credited_quantity
    if quantity > left:
        raise CreditExceedsInvoice(
            f"{shown(quantity)} are to go back, {shown(left)} of {shown(line.quantity)} invoiced are left",
            metadata={"purchase_order_line_id": str(line.purchase_order_line_id), "quantity_left": shown(left)},
        )
    share = quantity / left
    amount = round_half_away((line.amount - line.credited) * share)
    tax = round_half_away((line.tax - line.credited_tax) * share)
    cleared = round_half_away((line.cleared - line.credited_cleared) * share)
    return CreditLine(
        line.purchase_order_line_id,
        quantity,
        amount,
        tax,
        cleared,
        amount - cleared,
        (line.unit_price - line.order_price) * quantity,
    )


def repriced(line: InvoicedLine, net: int, tax: int | None, minor_per_unit: int) -> CreditLine:
    """`net` of an invoice line's price is taken back, with its tax (as written, or by the line's own share)."""
    if tax is None:
        tax = round_half_away(Fraction(line.tax * net, line.amount - line.tax)) if line.amount != line.tax else 0
    left, tax_left = line.amount - line.credited, line.tax - line.credited_tax
    # Each by itself: a price that took the tax's part would leave a tax to withhold of no price.
    if net > left - tax_left or tax > tax_left:
        raise CreditExceedsInvoice(
            f"{net + tax} minor units ({tax} of them tax) are credited, {left} ({tax_left} of them tax) of the line's "
            f"{line.amount} are left; neither price nor tax is credited beyond what is left of it",
            metadata={"purchase_order_line_id": str(line.purchase_order_line_id), "left_minor": str(left)},
        )
    return CreditLine(
        line.purchase_order_line_id,
        Fraction(0),
        net + tax,
        tax,
        0,
        net + tax,
        Fraction(net, minor_per_unit),
    )


def rounded(line: CreditLine, invoiced: InvoicedLine, rounding: int) -> CreditLine:
    """The line with what the note's total was rounded by, no more than the invoice's line still claims."""
    amount = line.amount + rounding
    if amount < line.tax:
        raise InvalidArgument.field(
            "credit_note.rounding", f"{rounding} minor units take more off than the last line comes to without tax"
        )
    if amount > invoiced.left:
        raise CreditExceedsInvoice(
            f"{amount} minor units are credited, {rounding} of them rounding; the line claims {invoiced.left}, of "
            f"which {invoiced.rounding} are what the invoice was rounded by: have the note rounded as the invoice was",
            metadata={
                "purchase_order_line_id": str(line.purchase_order_line_id),
                "left_minor": str(invoiced.left),
                "rounding_minor": str(invoiced.rounding),
            },
        )
    return replace(line, amount=amount, variance=line.variance + rounding, rounding=rounding)


def check_total(lines: Sequence[CreditLine], total: Money) -> None:
    """The total as written is the sum of the lines, to the minor unit."""
    found = sum(line.amount for line in lines)
    if found != total.minor:
        raise CreditTotalMismatch(
            f"the credit note says {total}, its lines come to {Money(found, total.currency)}",
            metadata={"total": str(total), "lines": str(Money(found, total.currency))},
        )


def check_kind(kind: CreditNoteKind, nth: int, quantity: Fraction, net: Money | None) -> None:
    """A return says quantities and no amounts, a price note amounts and no quantities."""
    where = f"credit_note.lines[{nth}]"
    if kind is CreditNoteKind.RETURN and (quantity <= 0 or net is not None):
        raise InvalidArgument.field(f"{where}.quantity", "above zero, without net: a return is at the invoice's price")
    if kind is CreditNoteKind.PRICE and (quantity != 0 or net is None or net.minor <= 0):
        raise InvalidArgument.field(f"{where}.net", "above zero, without quantity: a price note returns no goods")


def check_offset(invoice_number: str, payable_status: str, offset: int) -> None:
    """A payable that is paid in part, by what its creditor owed, is credited once the rest is paid too."""
    if payable_status == "OPEN" and offset:
        raise InvoiceNotCreditable(
            f"a part of invoice {invoice_number} is paid by what the creditor owed: pay the rest, then credit it",
            metadata={"payable_status": payable_status},
        )


def effect(
    invoice_number: str,
    invoice_status: str,
    payable_status: str | None,
    kind: CreditNoteKind,
    lines: Sequence[Treatment],
) -> CreditNoteStatus:
    """What approving a note makes of it: APPROVED while the payable is open, RECEIVABLE once it is paid."""
    if payable_status == "OPEN":
        return CreditNoteStatus.APPROVED
    if payable_status == "PAID":
        if kind is CreditNoteKind.RETURN and Treatment.STOCK in lines:
            raise StockNotReturned(
                f"invoice {invoice_number} is paid and bought stock: the goods have to leave the stock ledger first; "
                "credit the price alone, or replace the goods",
                metadata={"invoice_number": invoice_number},
            )
        return CreditNoteStatus.RECEIVABLE
    advice = {
        None: "withdraw it and ask for a right one",
        "REQUESTED": "withdraw the payment request first",
        "ORDERED": "wait for the bank's debit, or stop the payment order",
        "CREDITED": "nothing of it is left",
    }[payable_status]
    raise InvoiceNotCreditable(
        f"invoice {invoice_number} is {invoice_status}, its payable {payable_status or 'not there yet'}: {advice}",
        metadata={"invoice_status": invoice_status, "payable_status": payable_status or ""},
    )
