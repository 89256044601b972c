"""Between RequisitionService's and finance's messages and the domain."""

from __future__ import annotations

from datetime import date
from typing import Any

from google.protobuf.message import Message

from chassis import outbox
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
from kelola.finance.v1 import budget_pb2
from kelola.logistics.v1 import requisition_events_pb2, requisition_pb2
from services.logistics.etag import etag_of
from services.logistics.pricing import domain as pricing
from services.logistics.requisition.domain import (
    AskedLine,
    AskedRequisition,
    Requisition,
    RequisitionApproved,
    RequisitionCancelled,
    RequisitionPaid,
    RequisitionRefused,
    Status,
)
from services.logistics.wire import (
    from_enum,
    from_treatment,
    refusal_message,
    text_of,
    to_enum,
    to_treatment,
)

REQUISITIONS = "requisitions"
_STATUS = "REQUISITION_STATUS"


def asked_requisition(message: requisition_pb2.Requisition) -> AskedRequisition:
    """The requisition that a request asks to write down."""
    return AskedRequisition(
        agency_id=to_uuid(message.agency_id, "requisition.agency_id"),
        purpose=message.purpose,
        currency=message.currency_code,
        needed_on=from_date(message.needed_on, "requisition.needed_on"),
        lines=tuple(_asked_line(line, f"requisition.lines[{nth}]") for nth, line in enumerate(message.lines)),
    )


def _asked_line(message: requisition_pb2.RequisitionLine, field: str) -> AskedLine:
    price_field, rate_field = f"{field}.estimated_unit_price", f"{field}.tax_rate"
    return AskedLine(
        item_id=optional_uuid(message.item_id, f"{field}.item_id"),
        description=message.description,
        quantity=pricing.positive_quantity(from_decimal(message.quantity, f"{field}.quantity"), f"{field}.quantity"),
        estimated_unit_price=pricing.unit_price(from_decimal(message.estimated_unit_price, price_field), price_field),
        tax_rate=pricing.tax_rate(from_decimal(message.tax_rate, rate_field), rate_field),
        budget_line_id=to_uuid(message.budget_line_id, f"{field}.budget_line_id"),
        fund_code=message.fund_code,
        treatment=from_treatment(message.treatment),
    )


def status_filter(number: int) -> str:
    """The status that a list is asked for; empty for all."""
    return from_enum(requisition_pb2.RequisitionStatus, _STATUS, number, Status) or ""


def requisition_message(requisition: Requisition) -> requisition_pb2.Requisition:
    """The requisition as the wire shows it."""
    return requisition_pb2.Requisition(
        name=resource_name(REQUISITIONS, requisition.requisition_id),
        requisition_id=str(requisition.requisition_id),
        agency_id=str(requisition.agency_id),
        requisition_number=requisition.requisition_number,
        purpose=requisition.purpose,
        currency_code=requisition.currency,
        needed_on=to_date(requisition.needed_on),
        lines=[
            requisition_pb2.RequisitionLine(
                requisition_line_id=str(line.requisition_line_id),
                item_id=text_of(line.item_id),
                description=line.description,
                quantity=to_decimal(line.quantity),
                estimated_unit_price=to_decimal(line.estimated_unit_price),
                tax_rate=to_decimal(line.tax_rate),
                budget_line_id=str(line.budget_line_id),
                fund_code=line.fund_code,
                treatment=to_treatment(line.treatment),
                estimated_amount=to_money(line.amount),
                ordered_quantity=to_decimal(line.ordered_quantity),
                closed=line.closed,
            )
            for line in requisition.lines
        ],
        status=to_enum(requisition_pb2.RequisitionStatus, _STATUS, requisition.status),
        estimated_amount=to_money(requisition.amount),
        requested_by_person_id=str(requisition.requested_by_person_id),
        approved_by_person_id=text_of(requisition.approved_by_person_id),
        refusal=refusal_message(requisition.refusal),
        create_time=to_timestamp(requisition.created_at),
        approve_time=to_timestamp(requisition.approved_at) if requisition.approved_at else None,
        etag=etag_of(requisition.version),
    )


def _document(requisition: Requisition) -> budget_pb2.FundsDocument:
    return budget_pb2.FundsDocument(
        kind=budget_pb2.FUNDS_DOCUMENT_KIND_REQUISITION,
        document_id=str(requisition.requisition_id),
        document_number=requisition.requisition_number,
    )


def due_month(day: date, effective_on: date) -> Any:
    """The month in which money falls due: that of `day`, not before that of the act."""
    due = max(day, effective_on)
    return budget_pb2.PeriodShare(year=due.year, month=due.month)


def reserve_request(requisition: Requisition, effective_on: date) -> budget_pb2.ReserveFundsRequest:
    """What finance is asked to set aside: each line's estimate, due in the month in which it is needed."""
    items = []
    for line in requisition.lines:
        share = due_month(requisition.needed_on, effective_on)
        share.amount.CopyFrom(to_money(line.amount))
        items.append(
            budget_pb2.FundsItem(
                document_line_id=str(line.requisition_line_id),
                budget_line_id=str(line.budget_line_id),
                amount=to_money(line.amount),
                quantity=to_decimal(line.quantity),
                schedule=[share],
            )
        )
    return budget_pb2.ReserveFundsRequest(
        agency_id=str(requisition.agency_id),
        document=_document(requisition),
        items=items,
        effective_on=to_date(effective_on),
    )


def release_request(requisition: Requisition, effective_on: date) -> budget_pb2.ReleaseFundsRequest | None:
    """What finance is asked to free: all that lines not closed still reserve; None when all of them are closed."""
    items = [
        budget_pb2.FundsItem(
            document_line_id=str(line.requisition_line_id), budget_line_id=str(line.budget_line_id), final=True
        )
        for line in requisition.lines
        if line.remaining_quantity
    ]
    if not items:
        return None
    return budget_pb2.ReleaseFundsRequest(
        agency_id=str(requisition.agency_id),
        document=_document(requisition),
        items=items,
        effective_on=to_date(effective_on),
    )


def _envelope(message: Message, requisition: Requisition) -> outbox.Envelope:
    return outbox.Envelope(message, requisition.requisition_id, requisition.agency_id, requisition.version)


@outbox.translates(RequisitionApproved)
def _approved(event: RequisitionApproved) -> outbox.Envelope:
    requisition = event.requisition
    message = requisition_events_pb2.RequisitionApproved(
        requisition_id=str(requisition.requisition_id),
        agency_id=str(requisition.agency_id),
        estimated_amount=to_money(requisition.amount),
    )
    return _envelope(message, requisition)


@outbox.translates(RequisitionRefused)
def _refused(event: RequisitionRefused) -> outbox.Envelope:
    requisition = event.requisition
    message = requisition_events_pb2.RequisitionRefused(
        requisition_id=str(requisition.requisition_id),
        agency_id=str(requisition.agency_id),
        refusal=refusal_message(requisition.refusal),
    )
    return _envelope(message, requisition)


@outbox.translates(RequisitionCancelled)
def _cancelled(event: RequisitionCancelled) -> outbox.Envelope:
    requisition = event.requisition
    message = requisition_events_pb2.RequisitionCancelled(
        requisition_id=str(requisition.requisition_id),
        agency_id=str(requisition.agency_id),
        cause=requisition.cancel_cause,
    )
    return _envelope(message, requisition)


@outbox.translates(RequisitionPaid)
def _paid(event: RequisitionPaid) -> outbox.Envelope:
    requisition = event.requisition
    message = requisition_events_pb2.RequisitionPaid(
        requisition_id=str(requisition.requisition_id), agency_id=str(requisition.agency_id)
    )
    return _envelope(message, requisition)
