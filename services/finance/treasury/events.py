"""What happened between the treasury and its bank, before it becomes a message (event_wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class RunApproved:
    """A run was approved by a second person."""

    payment_run_id: UUID
    agency_id: UUID
    instruction_count: int
    currency: str
    total_minor: int
    version: int


@dataclass(frozen=True)
class RunExported:
    """A run's file was written."""

    payment_run_id: UUID
    agency_id: UUID
    instruction_count: int
    currency: str
    total_minor: int
    file_sha256: str
    version: int


@dataclass(frozen=True)
class RunCancelled:
    """A run was given up."""

    payment_run_id: UUID
    agency_id: UUID
    explanation: str
    version: int


@dataclass(frozen=True)
class Returned:
    """What all events of a returned payment say."""

    payment_return_id: UUID
    payment_order_id: UUID
    paying_agency_id: UUID
    order_number: str
    currency: str
    amount_minor: int
    on: date
    version: int


@dataclass(frozen=True)
class PaymentReturned:
    """Money came back after the debit."""

    what: Returned
    explanation: str


@dataclass(frozen=True)
class PaymentReissued:
    """A returned payment was ordered anew."""

    what: Returned


@dataclass(frozen=True)
class ReissuedPaymentMade:
    """The bank debited a re-issued payment."""

    what: Returned


@dataclass(frozen=True)
class EntryUnmatched:
    """Nothing explains an entry of the bank. `signed_minor` below zero: out of the account."""

    bank_entry_id: UUID
    agency_id: UUID
    bank_account_id: UUID
    currency: str
    signed_minor: int
    booked_on: date
    explanation: str


@dataclass(frozen=True)
class EntryMatched:
    """A person said what explains an entry."""

    bank_entry_id: UUID
    agency_id: UUID
    payment_order_id: UUID
    version: int
