"""Between the wire and scheduled entries, both ways."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.wire import from_date, resource_id, resource_name, to_date, to_timestamp, to_uuid
from kelola.finance.v1 import journal_template_pb2, ledger_events_pb2
from services.finance.ledger.schedule.domain import Scheduled, ScheduledStatus, Template
from services.finance.ledger.schedule.events import JournalTemplateCreated, JournalTemplateEnded
from services.finance.ledger.wire import balancing, balancing_value, line, line_message

COLLECTION = "journalTemplates"


def template(message: journal_template_pb2.JournalTemplate, *, by: UUID, at: datetime) -> Template:
    """A template to be created, with a fresh id."""
    field = "journal_template"
    return Template(
        journal_template_id=new_id(),
        agency_id=to_uuid(message.agency_id, f"{field}.agency_id"),
        description=message.description,
        first_due_on=from_date(message.first_due_on, f"{field}.first_due_on"),
        interval_months=message.interval_months,
        last_due_on=from_date(message.last_due_on, f"{field}.last_due_on") if message.HasField("last_due_on") else None,
        auto_reverse=message.auto_reverse,
        lines=tuple(line(one, f"{field}.lines[{index}]") for index, one in enumerate(message.lines)),
        person_id=by,
        created_at=at,
        balancing=balancing(message.fund_balancing),
    )


def template_id(name: str) -> UUID:
    """The id in a template's name."""
    return resource_id(COLLECTION, name)


def template_message(one: Template, next_due_on: date | None) -> journal_template_pb2.JournalTemplate:
    """A template."""
    message = journal_template_pb2.JournalTemplate(
        name=resource_name(COLLECTION, one.journal_template_id),
        journal_template_id=str(one.journal_template_id),
        agency_id=str(one.agency_id),
        description=one.description,
        first_due_on=to_date(one.first_due_on),
        interval_months=one.interval_months,
        auto_reverse=one.auto_reverse,
        lines=[
            line_message(number, each, each.functional_currency or None)
            for number, each in enumerate(one.lines, start=1)
        ],
        person_id=str(one.person_id),
        created_at=to_timestamp(one.created_at),
        fund_balancing=balancing_value(one.balancing),
    )
    if one.last_due_on is not None:
        message.last_due_on.CopyFrom(to_date(one.last_due_on))
    if next_due_on is not None:
        message.next_due_on.CopyFrom(to_date(next_due_on))
    return message


def status(value: int) -> ScheduledStatus | None:
    """The status of a proto enum's number; None for unspecified."""
    if not value:
        return None
    name = journal_template_pb2.ScheduledEntryStatus.Name(value)
    return ScheduledStatus(name.removeprefix("SCHEDULED_ENTRY_STATUS_"))


def scheduled_message(one: Scheduled) -> journal_template_pb2.ScheduledEntry:
    """One due day."""
    return journal_template_pb2.ScheduledEntry(
        kind=journal_template_pb2.ScheduledEntryKind.Value(f"SCHEDULED_ENTRY_KIND_{one.kind.value}"),
        source_id=str(one.source_id),
        due_on=to_date(one.due_on),
        status=journal_template_pb2.ScheduledEntryStatus.Value(f"SCHEDULED_ENTRY_STATUS_{one.status.value}"),
        journal_entry_id="" if one.journal_entry_id is None else str(one.journal_entry_id),
        refusal_reason=one.refusal_reason,
        refusal_message=one.refusal_message,
        tried_at=to_timestamp(one.tried_at),
    )


@outbox.translates(JournalTemplateCreated)
def _created(event: JournalTemplateCreated) -> outbox.Envelope:
    one = event.template
    message = ledger_events_pb2.JournalTemplateCreated(
        journal_template_id=str(one.journal_template_id),
        agency_id=str(one.agency_id),
        first_due_on=to_date(one.first_due_on),
        interval_months=one.interval_months,
    )
    if one.last_due_on is not None:
        message.last_due_on.CopyFrom(to_date(one.last_due_on))
    return outbox.Envelope(message, one.journal_template_id, one.agency_id, one.version)


@outbox.translates(JournalTemplateEnded)
def _ended(event: JournalTemplateEnded) -> outbox.Envelope:
    one = event.template
    assert one.last_due_on is not None, "an ended template has its last day"
    message = ledger_events_pb2.JournalTemplateEnded(
        journal_template_id=str(one.journal_template_id),
        agency_id=str(one.agency_id),
        last_due_on=to_date(one.last_due_on),
    )
    return outbox.Envelope(message, one.journal_template_id, one.agency_id, one.version)
