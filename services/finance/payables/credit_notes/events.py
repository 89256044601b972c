"""What happened to credit notes, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from uuid import UUID


@dataclass(frozen=True)
class CreditedLine:
    """One line of an approved credit note; `variance_minor` is negative when the goods are worth less."""

    purchase_order_line_id: UUID
    quantity: Fraction
    amount_minor: int
    variance_minor: int
    invoiced_quantity: Fraction
    invoiced_before: Fraction


@dataclass(frozen=True)
class CreditNoteApproved:
    """The payable is smaller, or the creditor owes the amount."""

    credit_note_id: UUID
    agency_id: UUID
    invoice_id: UUID
    purchase_order_id: UUID
    supplier_id: UUID
    currency: str
    total_minor: int
    receivable: bool
    replaced: bool
    lines: tuple[CreditedLine, ...]
    version: int


@dataclass(frozen=True)
class Refunded:
    """The creditor paid back."""

    credit_note_id: UUID
    agency_id: UUID
    invoice_id: UUID
    purchase_order_id: UUID
    currency: str
    amount_minor: int
    refunded_on: date
    replaced: bool
    version: int
    # Of the amount, what had been withheld from the payment and did not come from the creditor.
    withheld_minor: int = 0


@dataclass(frozen=True)
class ExpenditureRefunded(Refunded):
    """In the year of the expenditure: it is that much less."""


@dataclass(frozen=True)
class PriorYearRefunded(Refunded):
    """After that year: other revenue of the year in which it came."""
