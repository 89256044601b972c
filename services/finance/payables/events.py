"""What happened to invoices and payments, before it becomes a message (event_wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from uuid import UUID

from services.finance.payables.domain import Hold, Source


@dataclass(frozen=True)
class ApprovedLine:
    """One line of an approved invoice."""

    purchase_order_line_id: UUID
    quantity: Fraction
    amount_minor: int
    variance_minor: int


@dataclass(frozen=True)
class InvoiceApproved:
    """A creditor's claim is a payable."""

    invoice_id: UUID
    agency_id: UUID
    purchase_order_id: UUID
    supplier_id: UUID
    payable_id: UUID
    currency: str
    total_minor: int
    due_on: date
    lines: tuple[ApprovedLine, ...]
    version: int


@dataclass(frozen=True)
class InvoiceHeld:
    """An invoice did not match."""

    invoice_id: UUID
    agency_id: UUID
    purchase_order_id: UUID
    currency: str
    holds: tuple[Hold, ...]
    version: int


@dataclass(frozen=True)
class InvoiceSplit:
    """The matched part of a held invoice is an invoice of its own (`invoice_id`)."""

    invoice_id: UUID
    agency_id: UUID
    purchase_order_id: UUID
    split_from_invoice_id: UUID
    currency: str
    total_minor: int
    rest_minor: int
    version: int


@dataclass(frozen=True)
class PaidItem:
    """One payable in a payment event."""

    payable_id: UUID
    source: Source
    source_document_id: UUID
    purchase_order_id: UUID | None
    amount_minor: int
    source_settled: bool = False
    contract_id: UUID | None = None


@dataclass(frozen=True)
class PaymentRequested:
    """SPP."""

    payment_request_id: UUID
    agency_id: UUID
    currency: str
    amount_minor: int
    items: tuple[PaidItem, ...]
    version: int


@dataclass(frozen=True)
class PaymentAuthorised:
    """SPM."""

    payment_request_id: UUID
    agency_id: UUID
    currency: str
    amount_minor: int
    version: int


@dataclass(frozen=True)
class PaymentOrdered:
    """SP2D, numbered: the bank may have it."""

    payment_order_id: UUID
    agency_id: UUID
    order_number: str
    currency: str
    gross_minor: int
    net_minor: int
    items: tuple[PaidItem, ...]
    version: int


@dataclass(frozen=True)
class PaymentMade:
    """The bank debited the treasury's account."""

    payment_order_id: UUID
    agency_id: UUID
    order_number: str
    currency: str
    value_date: date
    items: tuple[PaidItem, ...]
    version: int


@dataclass(frozen=True)
class PaymentRejected:
    """The bank rejected the order before any debit."""

    payment_order_id: UUID
    agency_id: UUID
    order_number: str
    currency: str
    explanation: str
    items: tuple[PaidItem, ...]
    version: int
