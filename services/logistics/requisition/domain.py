"""Requisitions: asked for by one person, approved by another, funded by finance, used up by orders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from chassis.money import Money, total
from services.logistics.catalog.domain import Treatment
from services.logistics.pricing.domain import shown


class Status(StrEnum):
    """Where a requisition stands."""

    DRAFT = "DRAFT"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    ORDERED = "ORDERED"
    PAID = "PAID"


class RequisitionNotOpen(FailedPrecondition):
    """The requisition does not stand where this act needs it."""

    reason = "REQUISITION_STATUS"


class MakerIsChecker(PermissionDenied):
    """The person who made a document may not approve it (trust I9)."""

    reason = "MAKER_IS_CHECKER"


class OrderExceedsRequisition(FailedPrecondition):
    """An order asks for more than its requisition line still has."""

    reason = "ORDER_EXCEEDS_REQUISITION"


class OrderPending(FailedPrecondition):
    """An order of the requisition waits for finance's answer."""

    reason = "ORDER_PENDING"


class ReleaseRefused(FailedPrecondition):
    """Finance did not free funds that logistics knows to be held; a person must look at both."""

    reason = "RELEASE_REFUSED"


@dataclass(frozen=True)
class Refusal:
    """Why finance refused funds, kept on the document."""

    reason: str
    message: str
    figures: dict[str, str]
    refused_at: datetime


@dataclass(frozen=True)
class Line:
    """One thing that is asked for. `amount` is what is reserved: tax that cannot be recovered included."""

    requisition_line_id: UUID
    item_id: UUID | None
    description: str
    quantity: Decimal
    estimated_unit_price: Decimal
    tax_rate: Decimal
    budget_line_id: UUID
    fund_code: str
    treatment: Treatment
    amount: Money
    ordered_quantity: Decimal = Decimal(0)
    closed: bool = False

    @property
    def remaining_quantity(self) -> Decimal:
        """What orders may still take."""
        return Decimal(0) if self.closed else self.quantity - self.ordered_quantity


@dataclass(frozen=True)
class Requisition:
    """A request to buy."""

    requisition_id: UUID
    agency_id: UUID
    purpose: str
    currency: str
    needed_on: date
    lines: tuple[Line, ...]
    status: Status
    requested_by_person_id: UUID
    created_at: datetime
    requisition_number: str = ""
    approved_by_person_id: UUID | None = None
    approved_at: datetime | None = None
    cancelled_by_person_id: UUID | None = None
    cancel_cause: str = ""
    refusal: Refusal | None = None
    version: int = 1

    @property
    def amount(self) -> Money:
        """The sum of the lines."""
        return Money(total(line.amount.minor for line in self.lines), self.currency)

    def line(self, requisition_line_id: UUID) -> Line:
        """The line with this id, which must be one of ours."""
        return next(line for line in self.lines if line.requisition_line_id == requisition_line_id)


@dataclass(frozen=True)
class RequisitionApproved:
    """Event: funds were reserved."""

    requisition: Requisition


@dataclass(frozen=True)
class RequisitionRefused:
    """Event: finance refused the funds."""

    requisition: Requisition


@dataclass(frozen=True)
class RequisitionCancelled:
    """Event: what was not ordered is cancelled, its funds are free."""

    requisition: Requisition


@dataclass(frozen=True)
class RequisitionPaid:
    """Event: every order of it is paid."""

    requisition: Requisition


@dataclass(frozen=True)
class Taking:
    """What an order takes from one requisition line."""

    requisition_line_id: UUID
    quantity: Decimal
    final: bool


def refuse_self_approval(maker: UUID, checker: UUID, document: str) -> None:
    """Refuse with MAKER_IS_CHECKER when both are one person, whatever roles the person holds."""
    if maker == checker:
        raise MakerIsChecker(
            f"{document} was made by you; another person must approve it", metadata={"document": document}
        )


def treatment_of(item_treatment: Treatment | None, asked: Treatment | None, field: str) -> Treatment:
    """The item's treatment, or what is asked for something without an item: EXPENSE unless said, never STOCK."""
    if item_treatment is not None:
        if asked not in (None, item_treatment):
            raise InvalidArgument.field(field, f"the item is {item_treatment}, not {asked}; leave the treatment out")
        return item_treatment
    if asked is Treatment.STOCK:
        raise InvalidArgument.field(field, "stock needs an item of the catalog, since its method values it")
    return asked or Treatment.EXPENSE


def _require(requisition: Requisition, *allowed: Status) -> None:
    if requisition.status not in allowed:
        raise RequisitionNotOpen(
            f"requisition {requisition.requisition_id} is {requisition.status}; this needs {' or '.join(allowed)}",
            metadata={"status": requisition.status, "requisition_id": str(requisition.requisition_id)},
        )


def approve(requisition: Requisition, *, by: UUID, at: datetime, number: str) -> Requisition:
    """A person other than the maker approves it; finance is asked next. A REFUSED one may be approved again."""
    _require(requisition, Status.DRAFT, Status.REFUSED)
    refuse_self_approval(requisition.requested_by_person_id, by, f"requisition {requisition.requisition_id}")
    return replace(
        requisition,
        status=Status.PENDING,
        requisition_number=number,
        approved_by_person_id=by,
        approved_at=at,
        refusal=None,
        version=requisition.version + 1,
    )


def reserved(requisition: Requisition) -> Requisition:
    """Finance reserved the funds."""
    _require(requisition, Status.PENDING)
    return replace(requisition, status=Status.APPROVED, version=requisition.version + 1)


def refused(requisition: Requisition, refusal: Refusal) -> Requisition:
    """Finance refused the funds: a state of the document, with the figures."""
    _require(requisition, Status.PENDING)
    return replace(requisition, status=Status.REFUSED, refusal=refusal, version=requisition.version + 1)


def cancel(requisition: Requisition, *, by: UUID, cause: str, order_pending: bool) -> Requisition:
    """Cancel what has not been ordered: at once when nothing is reserved, else after finance has freed it."""
    _require(requisition, Status.DRAFT, Status.REFUSED, Status.APPROVED)
    if order_pending:
        raise OrderPending(
            f"an order of requisition {requisition.requisition_id} waits for funds; cancel when it is answered",
            metadata={"requisition_id": str(requisition.requisition_id)},
        )
    status = Status.CANCELLING if requisition.status is Status.APPROVED else Status.CANCELLED
    return replace(
        requisition,
        status=status,
        cancelled_by_person_id=by,
        cancel_cause=cause,
        version=requisition.version + 1,
    )


def released(requisition: Requisition) -> Requisition:
    """Finance freed the rest: CANCELLED when nothing was ordered, else ORDERED, its lines closed."""
    _require(requisition, Status.CANCELLING)
    lines = tuple(replace(line, closed=True) for line in requisition.lines)
    anything_ordered = any(line.ordered_quantity for line in lines)
    return replace(
        requisition,
        lines=lines,
        status=Status.ORDERED if anything_ordered else Status.CANCELLED,
        version=requisition.version + 1,
    )


def take(requisition: Requisition, takings: tuple[Taking, ...]) -> Requisition:
    """An order takes quantities; never more than remains. A final one closes its line."""
    _require(requisition, Status.APPROVED)
    for taking in takings:
        line = requisition.line(taking.requisition_line_id)
        if taking.quantity > line.remaining_quantity:
            raise OrderExceedsRequisition(
                f"{shown(taking.quantity)} asked of line {line.description!r}, {shown(line.remaining_quantity)} left "
                "to order; order less or make another requisition",
                metadata={
                    "requisition_line_id": str(line.requisition_line_id),
                    "asked": f"{shown(taking.quantity)}",
                    "remaining": f"{shown(line.remaining_quantity)}",
                },
            )
        taken = replace(
            line, ordered_quantity=line.ordered_quantity + taking.quantity, closed=line.closed or taking.final
        )
        lines = tuple(taken if other is line else other for other in requisition.lines)
        requisition = replace(requisition, lines=lines)
    return _restated(replace(requisition, version=requisition.version + 1))


def give_back(requisition: Requisition, takings: tuple[Taking, ...]) -> Requisition:
    """An order was refused or cancelled as a whole: its quantities may be ordered again, its final lines reopen.

    A requisition that was closed by its own cancellation stays closed (domain rules §2).
    """
    _require(requisition, Status.APPROVED, Status.ORDERED, Status.CANCELLING, Status.CANCELLED)
    cancelled = requisition.cancelled_by_person_id is not None
    for taking in takings:
        line = requisition.line(taking.requisition_line_id)
        given = replace(
            line,
            ordered_quantity=line.ordered_quantity - taking.quantity,
            closed=line.closed and (cancelled or not taking.final),
        )
        lines = tuple(given if other is line else other for other in requisition.lines)
        requisition = replace(requisition, lines=lines)
    requisition = replace(requisition, version=requisition.version + 1)
    return requisition if requisition.status is Status.CANCELLING else _restated(requisition)


def _restated(requisition: Requisition) -> Requisition:
    if all(line.remaining_quantity == 0 for line in requisition.lines):
        anything = any(line.ordered_quantity for line in requisition.lines)
        return replace(requisition, status=Status.ORDERED if anything else Status.CANCELLED)
    return replace(requisition, status=Status.APPROVED)


def settle(requisition: Requisition, *, all_orders_paid: bool) -> Requisition | None:
    """PAID when everything is ordered and every order is paid; None when nothing changes."""
    if requisition.status is not Status.ORDERED or not all_orders_paid:
        return None
    return replace(requisition, status=Status.PAID, version=requisition.version + 1)


@dataclass(frozen=True)
class AskedLine:
    """A line as its requester asks for it; what the catalog knows is filled in by the use case."""

    item_id: UUID | None
    description: str
    quantity: Decimal
    estimated_unit_price: Decimal
    tax_rate: Decimal
    budget_line_id: UUID
    fund_code: str
    treatment: Treatment | None


@dataclass(frozen=True)
class AskedRequisition:
    """A requisition as its requester asks for it."""

    agency_id: UUID
    purpose: str
    currency: str
    needed_on: date
    lines: tuple[AskedLine, ...]
