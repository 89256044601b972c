"""Purchase orders: what a supplier is bound to deliver, and how far it has been accepted, invoiced and paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money, total
from services.logistics.catalog.domain import Treatment
from services.logistics.pricing.domain import LineAmount, cumulative_share, shown
from services.logistics.requisition import domain as requisitions
from services.logistics.requisition.domain import Refusal, Taking


class Status(StrEnum):
    """Where an order stands."""

    DRAFT = "DRAFT"
    PENDING = "PENDING"
    ISSUED = "ISSUED"
    REFUSED = "REFUSED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    PAID = "PAID"


class OrderNotOpen(FailedPrecondition):
    """The order does not stand where this act needs it."""

    reason = "ORDER_STATUS"


class DeliveryUnderInspection(FailedPrecondition):
    """A delivery of the order waits for inspection."""

    reason = "DELIVERY_UNDER_INSPECTION"


class OverAcceptance(FailedPrecondition):
    """More would be accepted than was ordered and not cancelled."""

    reason = "OVER_ACCEPTANCE"


class InvoiceExceedsOrder(FailedPrecondition):
    """An invoice takes more than was ordered."""

    reason = "INVOICE_EXCEEDS_ORDER"


@dataclass(frozen=True)
class Line:
    """One thing that is ordered."""

    purchase_order_line_id: UUID
    requisition_line_id: UUID
    item_id: UUID | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    tax_rate: Decimal
    budget_line_id: UUID
    fund_code: str
    treatment: Treatment
    amount: LineAmount
    final: bool
    accepted_quantity: Decimal = Decimal(0)
    accepted_value_minor: int = 0
    cancelled_quantity: Decimal = Decimal(0)
    invoiced_quantity: Decimal = Decimal(0)
    invoiced_minor: int = 0

    @property
    def open_quantity(self) -> Decimal:
        """What may still be accepted."""
        return self.quantity - self.accepted_quantity - self.cancelled_quantity

    @property
    def open_minor(self) -> int:
        """What is still obligated for it: the line's amount less what was accepted, nil when nothing is open."""
        return self.amount.gross.minor - self.accepted_value_minor if self.open_quantity else 0


@dataclass(frozen=True)
class Order:
    """A contract with a supplier."""

    purchase_order_id: UUID
    agency_id: UUID
    requisition_id: UUID
    supplier_id: UUID
    legal_entity_id: UUID
    currency: str
    deliver_by: date
    lines: tuple[Line, ...]
    status: Status
    made_by_person_id: UUID
    created_at: datetime
    purchase_order_number: str = ""
    signed_by_person_id: UUID | None = None
    signed_at: datetime | None = None
    issued_on: date | None = None
    cancelled_by_person_id: UUID | None = None
    cancel_cause: str = ""
    refusal: Refusal | None = None
    paid_minor: int = 0
    version: int = 1

    @property
    def amount(self) -> Money:
        """The sum of the lines, tax included."""
        return Money(total(line.amount.gross.minor for line in self.lines), self.currency)

    @property
    def takings(self) -> tuple[Taking, ...]:
        """What it takes from its requisition."""
        return tuple(Taking(line.requisition_line_id, line.quantity, line.final) for line in self.lines)

    @property
    def anything_accepted(self) -> bool:
        """Whether some of it was accepted."""
        return any(line.accepted_quantity for line in self.lines)

    def line(self, purchase_order_line_id: UUID) -> Line:
        """The line with this id; INVALID_ARGUMENT when it is none of ours."""
        for line in self.lines:
            if line.purchase_order_line_id == purchase_order_line_id:
                return line
        raise InvalidArgument.field(
            "purchase_order_line_id", f"{purchase_order_line_id} is no line of order {self.purchase_order_id}"
        )


@dataclass(frozen=True)
class Acceptance:
    """What was accepted of an order line now: its value, and the sums so far."""

    purchase_order_line_id: UUID
    quantity: Decimal
    value: Money
    cumulative_quantity: Decimal
    cumulative_value: Money


@dataclass(frozen=True)
class CancelledLine:
    """What was cancelled of an order line, and what that had obligated."""

    line: Line
    quantity: Decimal
    amount: Money


@dataclass(frozen=True)
class PurchaseOrderIssued:
    """Event: the order is a legal commitment."""

    order: Order


@dataclass(frozen=True)
class PurchaseOrderRefused:
    """Event: finance refused the funds."""

    order: Order


@dataclass(frozen=True)
class PurchaseOrderCancelled:
    """Event: what had not been accepted is cancelled, its funds are free."""

    order: Order
    lines: tuple[CancelledLine, ...]


@dataclass(frozen=True)
class PurchaseOrderPaid:
    """Event: all that was accepted is invoiced and paid."""

    order: Order


def _require(order: Order, *allowed: Status) -> None:
    if order.status not in allowed:
        raise OrderNotOpen(
            f"order {order.purchase_order_id} is {order.status}; this needs {' or '.join(allowed)}",
            metadata={"status": order.status, "purchase_order_id": str(order.purchase_order_id)},
        )


def sign(order: Order, *, by: UUID, at: datetime, on: date, number: str) -> Order:
    """A commitment officer other than the maker signs; finance is asked next. A REFUSED one may be signed again."""
    _require(order, Status.DRAFT, Status.REFUSED)
    requisitions.refuse_self_approval(order.made_by_person_id, by, f"order {order.purchase_order_id}")
    return replace(
        order,
        status=Status.PENDING,
        purchase_order_number=number,
        signed_by_person_id=by,
        signed_at=at,
        issued_on=on,
        refusal=None,
        version=order.version + 1,
    )


def obligated(order: Order) -> Order:
    """Finance obligated the funds: the order is issued."""
    _require(order, Status.PENDING)
    return replace(order, status=Status.ISSUED, version=order.version + 1)


def refused(order: Order, refusal: Refusal) -> Order:
    """Finance refused the funds: a state of the document, with the figures."""
    _require(order, Status.PENDING)
    return replace(order, status=Status.REFUSED, refusal=refusal, issued_on=None, version=order.version + 1)


def cancel(order: Order, *, by: UUID, cause: str, under_inspection: bool) -> Order:
    """Cancel what has not been accepted: at once when nothing is obligated, else after finance has freed it."""
    _require(order, Status.DRAFT, Status.REFUSED, Status.ISSUED)
    if under_inspection:
        raise DeliveryUnderInspection(
            f"a delivery of order {order.purchase_order_number} waits for inspection; accept or reject it first",
            metadata={"purchase_order_id": str(order.purchase_order_id)},
        )
    status = Status.CANCELLING if order.status is Status.ISSUED else Status.CANCELLED
    return replace(order, status=status, cancelled_by_person_id=by, cancel_cause=cause, version=order.version + 1)


def released(order: Order) -> tuple[Order, tuple[CancelledLine, ...]]:
    """Finance freed the rest: CANCELLED when nothing was accepted, else COMPLETED; and what was cancelled."""
    _require(order, Status.CANCELLING)
    cancelled = tuple(
        CancelledLine(line, line.open_quantity, Money(line.open_minor, order.currency))
        for line in order.lines
        if line.open_quantity
    )
    lines = tuple(
        replace(line, cancelled_quantity=line.cancelled_quantity + line.open_quantity) for line in order.lines
    )
    status = Status.COMPLETED if order.anything_accepted else Status.CANCELLED
    return replace(order, lines=lines, status=status, version=order.version + 1), cancelled


def require_deliverable(order: Order) -> None:
    """Refuse unless the supplier may deliver on it."""
    _require(order, Status.ISSUED)


def accept(order: Order, quantities: tuple[tuple[UUID, Decimal], ...]) -> tuple[Order, tuple[Acceptance, ...]]:
    """Accept quantities of lines; more than is open is refused. COMPLETED when nothing is open any more.

    The value is the line's amount × cumulative share of quantity, less what was accepted before: the same arithmetic
    by which finance liquidates the obligation (N3), so that both agree to the minor unit and the last takes the rest.
    """
    _require(order, Status.ISSUED)
    acceptances = []
    for purchase_order_line_id, quantity in quantities:
        line = order.line(purchase_order_line_id)
        if quantity > line.open_quantity:
            raise OverAcceptance(
                f"{shown(quantity)} accepted of {line.description!r}, {shown(line.open_quantity)} open of "
                f"{shown(line.quantity)} ordered; reject the excess",
                metadata={
                    "purchase_order_line_id": str(purchase_order_line_id),
                    "accepted_now": f"{shown(quantity)}",
                    "open": f"{shown(line.open_quantity)}",
                    "ordered": f"{shown(line.quantity)}",
                },
            )
        cumulative = line.accepted_quantity + quantity
        value_so_far = cumulative_share(line.amount.gross.minor, cumulative, line.quantity)
        acceptances.append(
            Acceptance(
                purchase_order_line_id=purchase_order_line_id,
                quantity=quantity,
                value=Money(value_so_far - line.accepted_value_minor, order.currency),
                cumulative_quantity=cumulative,
                cumulative_value=Money(value_so_far, order.currency),
            )
        )
        accepted = replace(line, accepted_quantity=cumulative, accepted_value_minor=value_so_far)
        order = replace(order, lines=tuple(accepted if other is line else other for other in order.lines))
    complete = all(line.open_quantity == 0 for line in order.lines)
    status = Status.COMPLETED if complete else Status.ISSUED
    return replace(order, status=status, version=order.version + 1), tuple(acceptances)


def invoice(order: Order, purchase_order_line_id: UUID, quantity: Decimal, amount: Money) -> Order:
    """An approved invoice takes a quantity of a line; never more than was ordered."""
    line = order.line(purchase_order_line_id)
    if line.invoiced_quantity + quantity > line.quantity:
        raise InvoiceExceedsOrder(
            f"{shown(line.invoiced_quantity + quantity)} invoiced of {shown(line.quantity)} ordered on "
            f"line {line.description!r}",
            metadata={"purchase_order_line_id": str(purchase_order_line_id)},
        )
    invoiced = replace(
        line,
        invoiced_quantity=line.invoiced_quantity + quantity,
        invoiced_minor=line.invoiced_minor + (amount - Money(0, order.currency)).minor,
    )
    lines = tuple(invoiced if other is line else other for other in order.lines)
    return replace(order, lines=lines, version=order.version + 1)


@dataclass(frozen=True)
class CreditedLine:
    """What a credit note takes back of an order line; `invoiced_*` say which units its invoice billed."""

    purchase_order_line_id: UUID
    quantity: Decimal
    amount_minor: int
    variance_minor: int
    invoiced_quantity: Decimal
    invoiced_before: Decimal


def credit(order: Order, credited: CreditedLine, *, replaced: bool) -> Order:
    """A credit note takes back a part of what was invoiced.

    Goods that come again, and stock that is still here, may be invoiced anew; other goods are done with.
    """
    line = order.line(credited.purchase_order_line_id)
    again = replaced or line.treatment is Treatment.STOCK
    less = replace(
        line,
        invoiced_quantity=line.invoiced_quantity - (credited.quantity if again else 0),
        invoiced_minor=line.invoiced_minor - credited.amount_minor,
    )
    lines = tuple(less if other is line else other for other in order.lines)
    return replace(order, lines=lines, version=order.version + 1)


def pay(order: Order, amount: Money) -> Order:
    """A payment on the order was debited at the bank: gross, withheld taxes included."""
    paid = Money(order.paid_minor, order.currency) + amount
    return replace(order, paid_minor=paid.minor, version=order.version + 1)


def settle(order: Order) -> Order | None:
    """PAID when nothing is open, all that was accepted is invoiced and all invoices are paid; None when not."""
    if order.status is not Status.COMPLETED:
        return None
    if any(line.invoiced_quantity < line.accepted_quantity for line in order.lines):
        return None
    if order.paid_minor < sum(line.invoiced_minor for line in order.lines):
        return None
    return replace(order, status=Status.PAID, version=order.version + 1)


@dataclass(frozen=True)
class AskedLine:
    """An order line as its maker asks for it; the rest comes from the requisition line."""

    requisition_line_id: UUID
    quantity: Decimal
    unit_price: Decimal
    tax_rate: Decimal | None
    final: bool


@dataclass(frozen=True)
class AskedOrder:
    """An order as its maker asks for it."""

    agency_id: UUID
    supplier_id: UUID
    deliver_by: date
    lines: tuple[AskedLine, ...]
