"""Penalties for late delivery between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import from_date, from_money, resource_id, resource_name, to_date, to_money, to_uuid
from kelola.finance.v1 import penalty_events_pb2, penalty_pb2
from services.finance.payables.penalties.domain import Base
from services.finance.payables.penalties.events import (
    LateDeliveryPenaltyApproved,
    LateDeliveryPenaltyAssessed,
    LateDeliveryPenaltyReduced,
)
from services.finance.payables.penalties.usecases import NewPenalty

PENALTIES = "lateDeliveryPenalties"
_FIELD = "late_delivery_penalty"


def penalty_id(name: str) -> UUID:
    """The id in `lateDeliveryPenalties/{uuid}`."""
    return resource_id(PENALTIES, name)


def new_penalty(message: penalty_pb2.LateDeliveryPenalty) -> NewPenalty:
    """The penalty to assess."""
    return NewPenalty(
        agency_id=to_uuid(message.agency_id, f"{_FIELD}.agency_id"),
        payable_id=to_uuid(message.payable_id, f"{_FIELD}.payable_id"),
        base=Base(penalty_pb2.PenaltyBase.Name(message.base).removeprefix("PENALTY_BASE_")),
        base_amount=from_money(message.base_amount, f"{_FIELD}.base_amount"),
        due_on=from_date(message.due_on, f"{_FIELD}.due_on"),
        delivered_on=from_date(message.delivered_on, f"{_FIELD}.delivered_on"),
        explanation=message.explanation,
    )


def penalty_message(row: Row[Any]) -> penalty_pb2.LateDeliveryPenalty:
    """One penalty."""
    return penalty_pb2.LateDeliveryPenalty(
        name=resource_name(PENALTIES, row.late_delivery_penalty_id),
        late_delivery_penalty_id=str(row.late_delivery_penalty_id),
        agency_id=str(row.agency_id),
        payable_id=str(row.payable_id),
        base=penalty_pb2.PenaltyBase.Value(f"PENALTY_BASE_{row.base}"),
        base_amount=to_money(Money(row.base_minor, row.currency)),
        due_on=to_date(row.due_on),
        delivered_on=to_date(row.delivered_on),
        explanation=row.explanation,
        source_document_number=row.source_document_number,
        creditor=row.creditor,
        days_late=row.days_late,
        daily_rate=row.daily_rate,
        legal_source=row.legal_source,
        assessed_amount=to_money(Money(row.assessed_minor, row.currency)),
        amount=to_money(Money(row.amount_minor, row.currency)),
        status=penalty_pb2.LateDeliveryPenaltyStatus.Value(f"LATE_DELIVERY_PENALTY_STATUS_{row.status}"),
        created_by_person_id=str(row.created_by_person_id),
        approved_by_person_id=str(row.approved_by_person_id or ""),
        reduced_by_person_id=str(row.reduced_by_person_id or ""),
        reduction_explanation=row.reduction_explanation or "",
        end_explanation=row.end_explanation or "",
    )


@outbox.translates(LateDeliveryPenaltyAssessed)
def _assessed(event: LateDeliveryPenaltyAssessed) -> outbox.Envelope:
    row = event.row
    message = penalty_events_pb2.LateDeliveryPenaltyAssessed(
        **_named(row),
        amount=to_money(Money(row.assessed_minor, row.currency)),
        due_on=to_date(row.due_on),
        delivered_on=to_date(row.delivered_on),
        days_late=row.days_late,
    )
    return outbox.Envelope(message, row.late_delivery_penalty_id, row.agency_id, row.version)


@outbox.translates(LateDeliveryPenaltyApproved)
def _approved(event: LateDeliveryPenaltyApproved) -> outbox.Envelope:
    row = event.row
    message = penalty_events_pb2.LateDeliveryPenaltyApproved(
        **_named(row), amount=to_money(Money(row.amount_minor, row.currency))
    )
    return outbox.Envelope(message, row.late_delivery_penalty_id, row.agency_id, row.version)


@outbox.translates(LateDeliveryPenaltyReduced)
def _reduced(event: LateDeliveryPenaltyReduced) -> outbox.Envelope:
    row = event.row
    message = penalty_events_pb2.LateDeliveryPenaltyReduced(
        **_named(row),
        assessed_amount=to_money(Money(row.assessed_minor, row.currency)),
        amount=to_money(Money(row.amount_minor, row.currency)),
        explanation=row.reduction_explanation or "",
    )
    return outbox.Envelope(message, row.late_delivery_penalty_id, row.agency_id, row.version)


def _named(row: Row[Any]) -> dict[str, str]:
    return {
        "late_delivery_penalty_id": str(row.late_delivery_penalty_id),
        "agency_id": str(row.agency_id),
        "payable_id": str(row.payable_id),
        "creditor": row.creditor,
    }
