"""Between ReceiptService's messages and the domain."""

from __future__ import annotations

from chassis import outbox
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_decimal,
    optional_uuid,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.logistics.v1 import receipt_pb2, receiving_events_pb2
from services.logistics.etag import etag_of
from services.logistics.pricing import domain as pricing
from services.logistics.receiving.domain import DeliveredLine, Delivery, GoodsAccepted, Inspection, Line, Receipt
from services.logistics.wire import text_of, to_enum, to_treatment

RECEIPTS = "receipts"
_STATUS = "RECEIPT_STATUS"


def delivery(message: receipt_pb2.Receipt) -> Delivery:
    """The delivery that a request asks to write down."""
    return Delivery(
        agency_id=to_uuid(message.agency_id, "receipt.agency_id"),
        purchase_order_id=to_uuid(message.purchase_order_id, "receipt.purchase_order_id"),
        warehouse_id=optional_uuid(message.warehouse_id, "receipt.warehouse_id"),
        delivery_note=message.delivery_note,
        delivered_on=from_date(message.delivered_on, "receipt.delivered_on"),
        lines=tuple(_delivered(line, f"receipt.lines[{nth}]") for nth, line in enumerate(message.lines)),
    )


def _delivered(message: receipt_pb2.ReceiptLine, field: str) -> DeliveredLine:
    quantity = from_decimal(message.delivered_quantity, f"{field}.delivered_quantity")
    return DeliveredLine(
        purchase_order_line_id=to_uuid(message.purchase_order_line_id, f"{field}.purchase_order_line_id"),
        quantity=pricing.positive_quantity(quantity, f"{field}.delivered_quantity"),
        lot=message.lot,
    )


def inspections(request: receipt_pb2.AcceptReceiptRequest) -> tuple[Inspection, ...]:
    """The outcome of inspecting each line."""
    found = []
    for nth, inspection in enumerate(request.inspections):
        field = f"inspections[{nth}]"
        accepted = from_decimal(inspection.accepted_quantity, f"{field}.accepted_quantity")
        rejected = from_decimal(inspection.rejected_quantity, f"{field}.rejected_quantity")
        found.append(
            Inspection(
                receipt_line_id=to_uuid(inspection.receipt_line_id, f"{field}.receipt_line_id"),
                accepted_quantity=pricing.quantity_from_zero(accepted, f"{field}.accepted_quantity"),
                rejected_quantity=pricing.quantity_from_zero(rejected, f"{field}.rejected_quantity"),
            )
        )
    return tuple(found)


def _line_message(line: Line, currency: str) -> receipt_pb2.ReceiptLine:
    return receipt_pb2.ReceiptLine(
        receipt_line_id=str(line.receipt_line_id),
        purchase_order_line_id=str(line.purchase_order_line_id),
        delivered_quantity=to_decimal(line.delivered_quantity),
        accepted_quantity=None if line.accepted_quantity is None else to_decimal(line.accepted_quantity),
        rejected_quantity=None if line.rejected_quantity is None else to_decimal(line.rejected_quantity),
        value=to_money(Money(line.value_minor, currency)),
        treatment=to_treatment(line.treatment),
        stock_movement_number=line.stock_movement_number,
        lot=line.lot,
    )


def receipt_message(receipt: Receipt) -> receipt_pb2.Receipt:
    """The receipt as the wire shows it."""
    return receipt_pb2.Receipt(
        name=resource_name(RECEIPTS, receipt.receipt_id),
        receipt_id=str(receipt.receipt_id),
        agency_id=str(receipt.agency_id),
        receipt_number=receipt.receipt_number,
        purchase_order_id=str(receipt.purchase_order_id),
        warehouse_id=text_of(receipt.warehouse_id),
        delivery_note=receipt.delivery_note,
        delivered_on=to_date(receipt.delivered_on),
        lines=[_line_message(line, receipt.currency) for line in receipt.lines],
        status=to_enum(receipt_pb2.ReceiptStatus, _STATUS, receipt.status),
        accepted_on=to_date(receipt.accepted_on) if receipt.accepted_on else None,
        value=to_money(receipt.value),
        received_by_person_id=str(receipt.received_by_person_id),
        accepted_by_person_id=text_of(receipt.accepted_by_person_id),
        create_time=to_timestamp(receipt.created_at),
        accept_time=to_timestamp(receipt.accepted_at) if receipt.accepted_at else None,
        etag=etag_of(receipt.version),
    )


@outbox.translates(GoodsAccepted)
def _accepted(event: GoodsAccepted) -> outbox.Envelope:
    receipt, order = event.receipt, event.order
    assert receipt.accepted_on is not None, "accepted goods have their day"
    entered = {each.receipt_line_id: each for each in event.entered}
    lines = []
    for line, acceptance in event.acceptances:
        ordered = order.line(line.purchase_order_line_id)
        stocked = entered.get(line.receipt_line_id)
        lines.append(
            receiving_events_pb2.AcceptedLine(
                receipt_line_id=str(line.receipt_line_id),
                purchase_order_line_id=str(ordered.purchase_order_line_id),
                budget_line_id=str(ordered.budget_line_id),
                fund_code=ordered.fund_code,
                item_id=text_of(ordered.item_id),
                treatment=to_treatment(line.treatment),
                ordered_quantity=to_decimal(ordered.quantity),
                accepted_quantity=to_decimal(acceptance.quantity),
                cumulative_accepted_quantity=to_decimal(acceptance.cumulative_quantity),
                unit_price=to_decimal(ordered.unit_price),
                value=to_money(acceptance.value),
                cumulative_value=to_money(acceptance.cumulative_value),
                stock_movement_number=stocked.stock_movement_number if stocked else 0,
                stock_movement_id=str(stocked.stock_movement_id) if stocked else "",
            )
        )
    message = receiving_events_pb2.GoodsAccepted(
        receipt_id=str(receipt.receipt_id),
        agency_id=str(receipt.agency_id),
        receipt_number=receipt.receipt_number,
        purchase_order_id=str(order.purchase_order_id),
        purchase_order_number=order.purchase_order_number,
        supplier_id=str(order.supplier_id),
        legal_entity_id=str(order.legal_entity_id),
        currency_code=order.currency,
        accepted_on=to_date(receipt.accepted_on),
        value=to_money(receipt.value),
        lines=lines,
    )
    return outbox.Envelope(message, order.purchase_order_id, order.agency_id, order.version)
