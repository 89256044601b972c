"""What the ledger shows: trial balance and account statement, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.finance.ledger.domain import Basis


@dataclass(frozen=True)
class Scope:
    """Which books a report reads. None is no limit; the agencies are those that the caller may see."""

    basis: Basis
    agency_id: UUID | None = None
    fund_code: str | None = None
    currency: str | None = None
    account_code: str | None = None
    as_of: date | None = None
    known_at: datetime | None = None
    without_adjustments: bool = False
    without_closing: bool = False


@dataclass(frozen=True)
class Sums:
    """Debits and credits of an account (or of all of them) in one currency, minor units."""

    account_code: str
    display_name: str
    currency: str
    debit_minor: int
    credit_minor: int
    functional_minor: int  # debits less credits in the functional currency
    line_count: int


@dataclass(frozen=True)
class TrialBalance:
    """A page of accounts, and the sums over all pages by currency."""

    rows: Sequence[Sums]
    totals: Sequence[Sums]
    functional_currency: str
    known_at: datetime | None


@dataclass(frozen=True)
class StatementLine:
    """One line of an account."""

    journal_entry_id: UUID
    line_no: int
    accounting_on: date
    effective_on: date
    description: str
    fund_code: str
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True)
class Statement:
    """A page of an account's lines, and debits less credits before its first one."""

    opening_minor: int
    lines: Sequence[StatementLine]
