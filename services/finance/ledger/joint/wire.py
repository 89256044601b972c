"""Between the wire and acts in several books, both ways."""

from __future__ import annotations

from uuid import UUID

from chassis.ids import new_id
from chassis.wire import from_date, resource_id, resource_name, to_date, to_timestamp, to_uuid
from kelola.finance.v1 import joint_entry_pb2
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger.joint.domain import JointEntry, Leg
from services.finance.ledger.joint.store import StoredAct
from services.finance.ledger.wire import adjustment_day, corrected_id, kind_value, line, line_message

COLLECTION = "jointEntries"


def act(message: joint_entry_pb2.JointEntry, *, person_id: UUID) -> JointEntry:
    """An act to be posted, with a fresh id."""
    field = "joint_entry"
    return JointEntry(
        joint_entry_id=new_id(),
        treasury_agency_id=to_uuid(message.treasury_agency_id, f"{field}.treasury_agency_id"),
        effective_on=from_date(message.effective_on, f"{field}.effective_on"),
        description=message.description,
        late_reason=message.late_reason,
        person_id=person_id,
        legs=tuple(
            Leg(
                to_uuid(leg.agency_id, f"{field}.legs[{index}].agency_id"),
                tuple(line(one, f"{field}.legs[{index}].lines[{number}]") for number, one in enumerate(leg.lines)),
            )
            for index, leg in enumerate(message.legs)
        ),
        corrects_id=corrected_id(message.kind, message.corrects_joint_entry_id, field, "corrects_joint_entry_id"),
        adjustment_on=adjustment_day(message.adjustment_year),
        auto_reverse=message.auto_reverse,
    )


def act_id(name: str) -> UUID:
    """The id in an act's name."""
    return resource_id(COLLECTION, name)


def act_message(stored: StoredAct, currency: str | None) -> joint_entry_pb2.JointEntry:
    """An act; `currency` is that of the books."""
    first = stored.entries[0]
    message = joint_entry_pb2.JointEntry(
        name=resource_name(COLLECTION, stored.joint_entry_id),
        joint_entry_id=str(stored.joint_entry_id),
        treasury_agency_id=str(stored.treasury_agency_id),
        effective_on=to_date(first.entry.effective_on),
        description=first.entry.description,
        late_reason=first.entry.late_reason,
        legs=[
            joint_entry_pb2.JointEntryLeg(
                agency_id=str(one.entry.agency_id),
                journal_entry_id=str(one.entry.journal_entry_id),
                lines=[line_message(number, each, currency) for number, each in enumerate(one.entry.lines, start=1)],
            )
            for one in stored.entries
        ],
        person_id=str(first.entry.person_id),
        recorded_at=to_timestamp(first.recorded_at),
        reverses_joint_entry_id="" if stored.reverses_id is None else str(stored.reverses_id),
        reversed_by_joint_entry_id="" if stored.reversed_by_id is None else str(stored.reversed_by_id),
        kind=kind_value(stored.corrects_id),
        corrects_joint_entry_id="" if stored.corrects_id is None else str(stored.corrects_id),
        adjustment_year=fiscal_calendar().year_of(first.accounting_on) if first.entry.adjusts else 0,
        auto_reverse=stored.reverse_on is not None,
        accounting_on=to_date(first.accounting_on),
        period_number=first.period_number,
    )
    if stored.reverse_on is not None:
        message.reverse_on.CopyFrom(to_date(stored.reverse_on))
    return message
