"""Between PurchaseOrderService's and finance's messages and the domain."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from google.protobuf.message import Message

from chassis import outbox
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.finance.v1 import budget_pb2, credit_note_events_pb2, payables_events_pb2
from kelola.logistics.v1 import ordering_events_pb2, purchase_order_pb2
from services.logistics.etag import etag_of
from services.logistics.ordering.domain import (
    AskedLine,
    AskedOrder,
    CreditedLine,
    Line,
    Order,
    PurchaseOrderCancelled,
    PurchaseOrderIssued,
    PurchaseOrderPaid,
    PurchaseOrderRefused,
    Status,
)
from services.logistics.pricing import domain as pricing
from services.logistics.requisition.wire import due_month
from services.logistics.wire import (
    from_enum,
    optional_decimal,
    refusal_message,
    text_of,
    to_enum,
    to_treatment,
)

PURCHASE_ORDERS = "purchaseOrders"
_STATUS = "PURCHASE_ORDER_STATUS"


def asked_order(message: purchase_order_pb2.PurchaseOrder) -> AskedOrder:
    """The order that a request asks to write down."""
    return AskedOrder(
        agency_id=to_uuid(message.agency_id, "purchase_order.agency_id"),
        supplier_id=to_uuid(message.supplier_id, "purchase_order.supplier_id"),
        deliver_by=from_date(message.deliver_by, "purchase_order.deliver_by"),
        lines=tuple(_asked_line(line, f"purchase_order.lines[{nth}]") for nth, line in enumerate(message.lines)),
    )


def _asked_line(message: purchase_order_pb2.PurchaseOrderLine, field: str) -> AskedLine:
    rate = optional_decimal(message, "tax_rate", f"{field}.tax_rate")
    return AskedLine(
        requisition_line_id=to_uuid(message.requisition_line_id, f"{field}.requisition_line_id"),
        quantity=pricing.positive_quantity(from_decimal(message.quantity, f"{field}.quantity"), f"{field}.quantity"),
        unit_price=pricing.unit_price(from_decimal(message.unit_price, f"{field}.unit_price"), f"{field}.unit_price"),
        tax_rate=None if rate is None else pricing.tax_rate(rate, f"{field}.tax_rate"),
        final=message.final,
    )


def status_filter(number: int) -> str:
    """The status that a list is asked for; empty for all."""
    return from_enum(purchase_order_pb2.PurchaseOrderStatus, _STATUS, number, Status) or ""


def _line_message(line: Line, currency: str) -> purchase_order_pb2.PurchaseOrderLine:
    return purchase_order_pb2.PurchaseOrderLine(
        purchase_order_line_id=str(line.purchase_order_line_id),
        requisition_line_id=str(line.requisition_line_id),
        quantity=to_decimal(line.quantity),
        unit_price=to_decimal(line.unit_price),
        tax_rate=to_decimal(line.tax_rate),
        final=line.final,
        item_id=text_of(line.item_id),
        description=line.description,
        budget_line_id=str(line.budget_line_id),
        fund_code=line.fund_code,
        treatment=to_treatment(line.treatment),
        net_amount=to_money(line.amount.net),
        tax_amount=to_money(line.amount.tax),
        amount=to_money(line.amount.gross),
        accepted_quantity=to_decimal(line.accepted_quantity),
        accepted_value=to_money(Money(line.accepted_value_minor, currency)),
        cancelled_quantity=to_decimal(line.cancelled_quantity),
        invoiced_quantity=to_decimal(line.invoiced_quantity),
        invoiced_amount=to_money(Money(line.invoiced_minor, currency)),
    )


def order_message(order: Order) -> purchase_order_pb2.PurchaseOrder:
    """The order as the wire shows it."""
    return purchase_order_pb2.PurchaseOrder(
        name=resource_name(PURCHASE_ORDERS, order.purchase_order_id),
        purchase_order_id=str(order.purchase_order_id),
        agency_id=str(order.agency_id),
        purchase_order_number=order.purchase_order_number,
        supplier_id=str(order.supplier_id),
        deliver_by=to_date(order.deliver_by),
        lines=[_line_message(line, order.currency) for line in order.lines],
        currency_code=order.currency,
        status=to_enum(purchase_order_pb2.PurchaseOrderStatus, _STATUS, order.status),
        amount=to_money(order.amount),
        paid_amount=to_money(Money(order.paid_minor, order.currency)),
        made_by_person_id=str(order.made_by_person_id),
        signed_by_person_id=text_of(order.signed_by_person_id),
        refusal=refusal_message(order.refusal),
        create_time=to_timestamp(order.created_at),
        approve_time=to_timestamp(order.signed_at) if order.signed_at else None,
        issued_on=to_date(order.issued_on) if order.issued_on else None,
        etag=etag_of(order.version),
        requisition_id=str(order.requisition_id),
    )


def _document(order: Order) -> budget_pb2.FundsDocument:
    return budget_pb2.FundsDocument(
        kind=budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER,
        document_id=str(order.purchase_order_id),
        document_number=order.purchase_order_number,
    )


def obligate_request(order: Order) -> budget_pb2.ObligateFundsRequest:
    """What finance is asked to obligate: each line's amount, using up its requisition line by share of quantity."""
    assert order.issued_on is not None, "a signed order has its day"
    items = []
    for line in order.lines:
        share = due_month(order.deliver_by, order.issued_on)
        share.amount.CopyFrom(to_money(line.amount.gross))
        items.append(
            budget_pb2.FundsItem(
                document_line_id=str(line.purchase_order_line_id),
                budget_line_id=str(line.budget_line_id),
                amount=to_money(line.amount.gross),
                quantity=to_decimal(line.quantity),
                liquidates_document_line_id=str(line.requisition_line_id),
                liquidated_quantity=to_decimal(line.quantity),
                final=line.final,
                schedule=[share],
            )
        )
    return budget_pb2.ObligateFundsRequest(
        agency_id=str(order.agency_id),
        document=_document(order),
        items=items,
        effective_on=to_date(order.issued_on),
    )


def release_request(
    order: Order, effective_on: date, *, restore_liquidated: bool
) -> budget_pb2.ReleaseFundsRequest | None:
    """What finance is asked to free: the amounts of what is not accepted; None when nothing of it is obligated.

    Amounts are named, and not "all that is open", since finance may not have taken in the last acceptance yet.
    """
    items = [
        budget_pb2.FundsItem(
            document_line_id=str(line.purchase_order_line_id),
            budget_line_id=str(line.budget_line_id),
            amount=to_money(Money(line.open_minor, order.currency)),
            quantity=to_decimal(line.open_quantity),
        )
        for line in order.lines
        if line.open_minor
    ]
    if not items:
        return None
    return budget_pb2.ReleaseFundsRequest(
        agency_id=str(order.agency_id),
        document=_document(order),
        items=items,
        restore_liquidated=restore_liquidated,
        effective_on=to_date(effective_on),
    )


def invoiced_lines(message: payables_events_pb2.InvoiceApproved) -> tuple[tuple[UUID, Decimal, Money], ...]:
    """Order line, quantity and amount of an approved invoice's lines."""
    return tuple(
        (
            to_uuid(line.purchase_order_line_id, f"lines[{nth}].purchase_order_line_id"),
            from_decimal(line.quantity, f"lines[{nth}].quantity"),
            from_money(line.amount, f"lines[{nth}].amount"),
        )
        for nth, line in enumerate(message.lines)
    )


def variances(message: payables_events_pb2.InvoiceApproved) -> tuple[int, ...]:
    """By how many minor units each line of an approved invoice differs from the order's price."""
    return tuple(from_money(line.variance, "variance").minor for line in message.lines)


def credited_lines(message: credit_note_events_pb2.CreditNoteApproved) -> tuple[CreditedLine, ...]:
    """What an approved credit note takes back of each line; a paid invoice stays invoiced, its refund is finance's."""
    return tuple(
        CreditedLine(
            purchase_order_line_id=to_uuid(line.purchase_order_line_id, f"lines[{nth}].purchase_order_line_id"),
            quantity=from_decimal(line.quantity, f"lines[{nth}].quantity"),
            amount_minor=0 if message.receivable else from_money(line.amount, f"lines[{nth}].amount").minor,
            variance_minor=from_money(line.variance, f"lines[{nth}].variance").minor,
            invoiced_quantity=from_decimal(line.invoiced_quantity, f"lines[{nth}].invoiced_quantity"),
            invoiced_before=from_decimal(line.invoiced_before, f"lines[{nth}].invoiced_before"),
        )
        for nth, line in enumerate(message.lines)
    )


def paid_orders(message: payables_events_pb2.PaymentMade) -> list[tuple[UUID, Money]]:
    """Orders and amounts that a payment paid, in the order of the orders' ids."""
    return sorted(
        (
            (to_uuid(item.source_document_id, "source_document_id"), from_money(item.amount))
            for item in message.items
            if item.source_kind == payables_events_pb2.PAYMENT_SOURCE_KIND_PURCHASE_ORDER
        ),
        key=lambda paid: paid[0],
    )


def _envelope(message: Message, order: Order) -> outbox.Envelope:
    return outbox.Envelope(message, order.purchase_order_id, order.agency_id, order.version)


@outbox.translates(PurchaseOrderIssued)
def _issued(event: PurchaseOrderIssued) -> outbox.Envelope:
    order = event.order
    assert order.issued_on is not None, "an issued order has its day"
    message = ordering_events_pb2.PurchaseOrderIssued(
        purchase_order_id=str(order.purchase_order_id),
        agency_id=str(order.agency_id),
        purchase_order_number=order.purchase_order_number,
        supplier_id=str(order.supplier_id),
        legal_entity_id=str(order.legal_entity_id),
        currency_code=order.currency,
        issued_on=to_date(order.issued_on),
        deliver_by=to_date(order.deliver_by),
        amount=to_money(order.amount),
        lines=[
            ordering_events_pb2.IssuedOrderLine(
                purchase_order_line_id=str(line.purchase_order_line_id),
                requisition_line_id=str(line.requisition_line_id),
                item_id=text_of(line.item_id),
                description=line.description,
                quantity=to_decimal(line.quantity),
                unit_price=to_decimal(line.unit_price),
                tax_rate=to_decimal(line.tax_rate),
                net_amount=to_money(line.amount.net),
                tax_amount=to_money(line.amount.tax),
                amount=to_money(line.amount.gross),
                budget_line_id=str(line.budget_line_id),
                fund_code=line.fund_code,
                treatment=to_treatment(line.treatment),
            )
            for line in order.lines
        ],
    )
    return _envelope(message, order)


@outbox.translates(PurchaseOrderRefused)
def _refused(event: PurchaseOrderRefused) -> outbox.Envelope:
    order = event.order
    message = ordering_events_pb2.PurchaseOrderRefused(
        purchase_order_id=str(order.purchase_order_id),
        agency_id=str(order.agency_id),
        refusal=refusal_message(order.refusal),
    )
    return _envelope(message, order)


@outbox.translates(PurchaseOrderCancelled)
def _cancelled(event: PurchaseOrderCancelled) -> outbox.Envelope:
    order = event.order
    message = ordering_events_pb2.PurchaseOrderCancelled(
        purchase_order_id=str(order.purchase_order_id),
        agency_id=str(order.agency_id),
        cause=order.cancel_cause,
        lines=[
            ordering_events_pb2.CancelledOrderLine(
                purchase_order_line_id=str(cancelled.line.purchase_order_line_id),
                cancelled_quantity=to_decimal(cancelled.quantity),
                cancelled_amount=to_money(cancelled.amount),
                budget_line_id=str(cancelled.line.budget_line_id),
            )
            for cancelled in event.lines
        ],
    )
    return _envelope(message, order)


@outbox.translates(PurchaseOrderPaid)
def _paid(event: PurchaseOrderPaid) -> outbox.Envelope:
    order = event.order
    message = ordering_events_pb2.PurchaseOrderPaid(
        purchase_order_id=str(order.purchase_order_id),
        agency_id=str(order.agency_id),
        paid_amount=to_money(Money(order.paid_minor, order.currency)),
    )
    return _envelope(message, order)
