"""What happened to the budget, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.finance.budget.domain import Document
from services.finance.budget.span import Span


@dataclass(frozen=True)
class EventItem:
    """One line of a funds event; the amount is what entered the bucket that the event names."""

    document_line_id: UUID
    budget_line_id: UUID
    funds_movement_id: UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class FundsEvent:
    """Funds moved in the name of a document; `sequence` is how many movements the document has made."""

    agency_id: UUID
    document: Document
    items: tuple[EventItem, ...]
    sequence: int


@dataclass(frozen=True)
class FundsReserved(FundsEvent):
    """available -> R."""


@dataclass(frozen=True)
class FundsObligated(FundsEvent):
    """R or available -> O."""


@dataclass(frozen=True)
class FundsReleased(FundsEvent):
    """R or O -> available."""


@dataclass(frozen=True)
class FundsExpended(FundsEvent):
    """O or available -> E."""


@dataclass(frozen=True)
class FundsRevalued(FundsEvent):
    """available <-> R, O, E or S at a new exchange rate; an amount below zero went back to available."""


@dataclass(frozen=True)
class FundsRefused:
    """A document asked for more than a line has; nothing moved."""

    agency_id: UUID
    document: Document
    budget_line_id: UUID
    currency: str
    asked_minor: int
    available_minor: int
    message: str
    sequence: int


@dataclass(frozen=True)
class AppropriationChanged:
    """An appropriation came into force; a project's for the years of its span."""

    appropriation_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    line_count: int
    total_minor: int
    currency: str
    effective_on: date
    version: int
    span: Span | None = None


@dataclass(frozen=True)
class FundsAllotted:
    """Funds were released for a period."""

    allotment_order_id: UUID
    agency_id: UUID
    fiscal_year: int
    document_number: str
    month_from: int
    month_to: int
    line_count: int
    total_minor: int
    currency: str
