"""Offsets between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import resource_id, resource_name, to_date, to_money, to_uuid
from kelola.finance.v1 import credit_offset_events_pb2
from kelola.finance.v1 import credit_offset_pb2 as pb
from services.finance.payables.offsets.events import CreditOffsetApproved
from services.finance.payables.offsets.usecases import NewOffset

OFFSETS = "creditOffsets"


def offset_id(name: str) -> UUID:
    """The id in `creditOffsets/{uuid}`."""
    return resource_id(OFFSETS, name)


def new_offset(message: pb.CreditOffset) -> NewOffset:
    """The offset to propose."""
    return NewOffset(
        agency_id=to_uuid(message.agency_id, "credit_offset.agency_id"),
        credit_note_id=to_uuid(message.credit_note_id, "credit_offset.credit_note_id"),
        payable_id=to_uuid(message.payable_id, "credit_offset.payable_id"),
        explanation=message.explanation,
    )


def offset_message(row: Row[Any]) -> pb.CreditOffset:
    """One offset."""
    return pb.CreditOffset(
        name=resource_name(OFFSETS, row.credit_offset_id),
        credit_offset_id=str(row.credit_offset_id),
        agency_id=str(row.agency_id),
        credit_note_id=str(row.credit_note_id),
        payable_id=str(row.payable_id),
        credit_note_number=row.credit_note_number,
        amount=to_money(Money(row.amount_minor, row.currency)),
        status=pb.CreditOffsetStatus.Value(f"CREDIT_OFFSET_STATUS_{row.status}"),
        effective_on=None if row.effective_on is None else to_date(row.effective_on),
        journal_entry_id=str(row.journal_entry_id or ""),
        created_by_person_id=str(row.created_by_person_id),
        approved_by_person_id=str(row.approved_by_person_id or ""),
        end_explanation=row.end_explanation or "",
        explanation=row.explanation,
    )


@outbox.translates(CreditOffsetApproved)
def _approved(event: CreditOffsetApproved) -> outbox.Envelope:
    row = event.row
    message = credit_offset_events_pb2.CreditOffsetApproved(
        credit_offset_id=str(row.credit_offset_id),
        agency_id=str(row.agency_id),
        credit_note_id=str(row.credit_note_id),
        payable_id=str(row.payable_id),
        amount=to_money(Money(row.amount_minor, row.currency)),
        effective_on=to_date(row.effective_on),
    )
    return outbox.Envelope(message, row.credit_offset_id, row.agency_id, row.version)
