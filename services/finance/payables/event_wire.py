"""Events of payables: what comes from logistics, and what leaves. No decisions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from uuid import UUID

from chassis import outbox
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    optional_uuid,
    to_date,
    to_decimal,
    to_money,
    to_uuid,
)
from kelola.finance.v1 import payables_events_pb2 as pb
from kelola.logistics.v1 import (
    catalog_pb2,
    ordering_events_pb2,
    receiving_events_pb2,
    stock_events_pb2,
    stock_pb2,
)
from services.finance.payables import events
from services.finance.payables.domain import Source, Treatment
from services.finance.payables.receiving import (
    Acceptance,
    AcceptedLine,
    Order,
    OrderedLine,
    StockMovement,
)
from services.finance.payables.wire import hold_message


def _treatment(number: int) -> Treatment:
    return Treatment[catalog_pb2.GoodsTreatment.Name(number).removeprefix("GOODS_TREATMENT_")]


def order(message: ordering_events_pb2.PurchaseOrderIssued) -> Order:
    """An issued order."""
    return Order(
        purchase_order_id=to_uuid(message.purchase_order_id),
        agency_id=to_uuid(message.agency_id),
        purchase_order_number=message.purchase_order_number,
        supplier_id=to_uuid(message.supplier_id),
        legal_entity_id=to_uuid(message.legal_entity_id),
        currency=message.currency_code,
        lines=tuple(
            OrderedLine(
                purchase_order_line_id=to_uuid(line.purchase_order_line_id),
                budget_line_id=to_uuid(line.budget_line_id),
                item_id=optional_uuid(line.item_id),
                description=line.description,
                quantity=Fraction(from_decimal(line.quantity)),
                unit_price=Fraction(from_decimal(line.unit_price)),
                tax_rate=Fraction(from_decimal(line.tax_rate)),
                amount_minor=from_money(line.amount).minor,
                treatment=_treatment(line.treatment),
            )
            for line in message.lines
        ),
    )


def cancelled_lines(message: ordering_events_pb2.PurchaseOrderCancelled) -> list[tuple[UUID, Fraction]]:
    """What of which order line was cancelled."""
    return [
        (to_uuid(line.purchase_order_line_id), Fraction(from_decimal(line.cancelled_quantity)))
        for line in message.lines
    ]


def acceptance(message: receiving_events_pb2.GoodsAccepted) -> Acceptance:
    """An acceptance."""
    return Acceptance(
        receipt_id=to_uuid(message.receipt_id),
        agency_id=to_uuid(message.agency_id),
        receipt_number=message.receipt_number,
        purchase_order_id=to_uuid(message.purchase_order_id),
        accepted_on=from_date(message.accepted_on),
        currency=message.currency_code,
        lines=tuple(
            AcceptedLine(
                receipt_line_id=to_uuid(line.receipt_line_id),
                purchase_order_line_id=to_uuid(line.purchase_order_line_id),
                budget_line_id=to_uuid(line.budget_line_id),
                item_id=optional_uuid(line.item_id),
                treatment=_treatment(line.treatment),
                ordered_quantity=Fraction(from_decimal(line.ordered_quantity)),
                accepted_quantity=Fraction(from_decimal(line.accepted_quantity)),
                cumulative_quantity=Fraction(from_decimal(line.cumulative_accepted_quantity)),
                unit_price=Fraction(from_decimal(line.unit_price)),
                value_minor=from_money(line.value).minor,
                cumulative_minor=from_money(line.cumulative_value).minor,
                stock_movement_number=line.stock_movement_number,
                stock_movement_id=optional_uuid(line.stock_movement_id),
            )
            for line in message.lines
        ),
    )


def stock_movement(message: stock_events_pb2.StockMovementPosted) -> StockMovement:
    """A numbered stock movement."""
    value = from_money(message.value)
    return StockMovement(
        stock_movement_id=to_uuid(message.stock_movement_id),
        agency_id=to_uuid(message.agency_id),
        number=message.stock_movement_number,
        kind=_stock_kind(message.kind),
        corrected_kind=_stock_kind(message.corrected_kind),
        item_id=to_uuid(message.item_id),
        item_code=message.item_code,
        expenditure_account_code=message.expenditure_account_code,
        fund_code=message.fund_code,
        currency=value.currency,
        value_minor=value.minor,
        effective_on=from_date(message.effective_on),
        accounting_on=from_date(message.accounting_on),
        invoice_id=optional_uuid(message.invoice_id),
        purchase_order_line_id=optional_uuid(message.purchase_order_line_id),
    )


def _stock_kind(number: int) -> str:
    return stock_pb2.StockMovementKind.Name(number).removeprefix("STOCK_MOVEMENT_KIND_")


# --- what leaves -----------------------------------------------------------------------------------------------


@outbox.translates(events.InvoiceApproved)
def _approved(event: events.InvoiceApproved) -> outbox.Envelope:
    message = pb.InvoiceApproved(
        invoice_id=str(event.invoice_id),
        agency_id=str(event.agency_id),
        purchase_order_id=str(event.purchase_order_id),
        supplier_id=str(event.supplier_id),
        payable_id=str(event.payable_id),
        total=to_money(Money(event.total_minor, event.currency)),
        due_on=to_date(event.due_on),
        lines=[
            pb.InvoiceApprovedLine(
                purchase_order_line_id=str(line.purchase_order_line_id),
                quantity=to_decimal(line.quantity),
                amount=to_money(Money(line.amount_minor, event.currency)),
                variance=to_money(Money(line.variance_minor, event.currency)),
            )
            for line in event.lines
        ],
    )
    return outbox.Envelope(message, event.invoice_id, event.agency_id, event.version)


@outbox.translates(events.InvoiceHeld)
def _held(event: events.InvoiceHeld) -> outbox.Envelope:
    message = pb.InvoiceHeld(
        invoice_id=str(event.invoice_id),
        agency_id=str(event.agency_id),
        purchase_order_id=str(event.purchase_order_id),
        holds=[hold_message(hold, event.currency) for hold in event.holds],
    )
    return outbox.Envelope(message, event.invoice_id, event.agency_id, event.version)


@outbox.translates(events.InvoiceSplit)
def _split(event: events.InvoiceSplit) -> outbox.Envelope:
    message = pb.InvoiceSplit(
        invoice_id=str(event.invoice_id),
        agency_id=str(event.agency_id),
        purchase_order_id=str(event.purchase_order_id),
        split_from_invoice_id=str(event.split_from_invoice_id),
        total=to_money(Money(event.total_minor, event.currency)),
        rest=to_money(Money(event.rest_minor, event.currency)),
    )
    return outbox.Envelope(message, event.invoice_id, event.agency_id, event.version)


_SOURCE_KINDS = {
    Source.INVOICE: pb.PAYMENT_SOURCE_KIND_PURCHASE_ORDER,
    Source.PAYROLL: pb.PAYMENT_SOURCE_KIND_PAYROLL_RUN,
    Source.EMPLOYER_CONTRIBUTION: pb.PAYMENT_SOURCE_KIND_PAYROLL_RUN,
    Source.PREPAYMENT: pb.PAYMENT_SOURCE_KIND_CONTRACT,
    Source.BILL: pb.PAYMENT_SOURCE_KIND_CONTRACT,
    Source.RETENTION: pb.PAYMENT_SOURCE_KIND_CONTRACT,
    Source.IMPREST: pb.PAYMENT_SOURCE_KIND_IMPREST,
    Source.REPLENISHMENT: pb.PAYMENT_SOURCE_KIND_IMPREST,
    Source.REMITTANCE: pb.PAYMENT_SOURCE_KIND_WITHHOLDING_REMITTANCE,
    Source.LATE_INTEREST: pb.PAYMENT_SOURCE_KIND_LATE_INTEREST,
}


def _items(items: Sequence[events.PaidItem], currency: str) -> list[pb.PaymentItem]:
    return [
        pb.PaymentItem(
            source_kind=_SOURCE_KINDS[item.source],
            source_document_id=str(item.purchase_order_id or item.contract_id or item.source_document_id),
            invoice_id=str(item.source_document_id) if item.source is Source.INVOICE else "",
            amount=to_money(Money(item.amount_minor, currency)),
            payable_id=str(item.payable_id),
            source_settled=item.source_settled,
        )
        for item in items
    ]


@outbox.translates(events.PaymentRequested)
def _requested(event: events.PaymentRequested) -> outbox.Envelope:
    message = pb.PaymentRequested(
        payment_request_id=str(event.payment_request_id),
        agency_id=str(event.agency_id),
        items=_items(event.items, event.currency),
        amount=to_money(Money(event.amount_minor, event.currency)),
    )
    return outbox.Envelope(message, event.payment_request_id, event.agency_id, event.version)


@outbox.translates(events.PaymentAuthorised)
def _authorised(event: events.PaymentAuthorised) -> outbox.Envelope:
    message = pb.PaymentAuthorised(
        payment_request_id=str(event.payment_request_id),
        agency_id=str(event.agency_id),
        amount=to_money(Money(event.amount_minor, event.currency)),
    )
    return outbox.Envelope(message, event.payment_request_id, event.agency_id, event.version)


@outbox.translates(events.PaymentOrdered)
def _ordered(event: events.PaymentOrdered) -> outbox.Envelope:
    message = pb.PaymentOrdered(
        payment_order_id=str(event.payment_order_id),
        agency_id=str(event.agency_id),
        order_number=event.order_number,
        items=_items(event.items, event.currency),
        gross=to_money(Money(event.gross_minor, event.currency)),
        net=to_money(Money(event.net_minor, event.currency)),
    )
    return outbox.Envelope(message, event.payment_order_id, event.agency_id, event.version)


@outbox.translates(events.PaymentMade)
def _made(event: events.PaymentMade) -> outbox.Envelope:
    message = pb.PaymentMade(
        payment_order_id=str(event.payment_order_id),
        agency_id=str(event.agency_id),
        order_number=event.order_number,
        items=_items(event.items, event.currency),
        value_date=to_date(event.value_date),
    )
    return outbox.Envelope(message, event.payment_order_id, event.agency_id, event.version)


@outbox.translates(events.PaymentRejected)
def _rejected(event: events.PaymentRejected) -> outbox.Envelope:
    message = pb.PaymentRejected(
        payment_order_id=str(event.payment_order_id),
        agency_id=str(event.agency_id),
        order_number=event.order_number,
        items=_items(event.items, event.currency),
        explanation=event.explanation,
    )
    return outbox.Envelope(message, event.payment_order_id, event.agency_id, event.version)
