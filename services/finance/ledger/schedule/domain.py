"""When a template is due, and what is posted then. Pure.

An accrual at a month's end is taken back on the first day of the next (domain rules §7 keeps both days); a recurring
entry is posted once for each of its due days.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.dates import Month
from chassis.errors import InvalidArgument
from services.finance.ledger.domain import MANUAL, FundBalancing, JournalEntry, Line, reversal

_MONTHS = 12
# One run's entries: a transaction of a size that the posting statement takes easily.
RUN_MAX = 500


class ScheduledKind(Enum):
    """What a scheduled entry is."""

    RECURRING = "RECURRING"
    REVERSAL = "REVERSAL"


class ScheduledStatus(Enum):
    """What became of a due day."""

    POSTED = "POSTED"
    REFUSED = "REFUSED"


@dataclass(frozen=True)
class Template:
    """An entry that comes again: on `first_due_on` and every `interval_months` later, to `last_due_on`."""

    journal_template_id: UUID
    agency_id: UUID
    description: str
    first_due_on: date
    interval_months: int
    last_due_on: date | None
    auto_reverse: bool
    lines: tuple[Line, ...]
    person_id: UUID
    created_at: datetime
    version: int = 1
    balancing: FundBalancing = FundBalancing.GIVEN

    def due_days(self, to: date) -> Iterator[date]:
        """The due days up to `to`, in order: one day of the month, or its last where it has no such day."""
        month = Month.of(self.first_due_on)
        end = to if self.last_due_on is None else min(to, self.last_due_on)
        while True:
            day = date(month.year, month.month, min(self.first_due_on.day, month.days))
            if day > end:
                return
            yield day
            month = _later(month, self.interval_months)

    def next_due(self, posted: Set[date]) -> date | None:
        """The first due day without an entry; None when all have one."""
        end = self.last_due_on or date.max.replace(year=date.max.year - 10)
        return next((day for day in self.due_days(end) if day not in posted), None)

    def entry(self, due_on: date, *, journal_entry_id: UUID, person_id: UUID) -> JournalEntry:
        """The entry of one due day. It is a manual entry, so it may spend budget lines, and names its template."""
        return JournalEntry(
            journal_entry_id=journal_entry_id,
            agency_id=self.agency_id,
            effective_on=due_on,
            accounting_on=None,
            description=self.description,
            source_kind=MANUAL,
            source_id=self.journal_template_id,
            lines=self.lines,
            person_id=person_id,
            auto_reverse=self.auto_reverse,
            balancing=self.balancing,
        )


def _later(month: Month, months: int) -> Month:
    index = month.year * _MONTHS + month.month - 1 + months
    return Month(index // _MONTHS, index % _MONTHS + 1)


def ended(template: Template, last_due_on: date, *, posted: Set[date]) -> Template:
    """The template with a last due day, also one before its first: then it posts nothing.

    Refused before one that has its entry, or later than before.
    """
    if posted and last_due_on < max(posted):
        raise InvalidArgument.field(
            "last_due_on", f"{last_due_on} is before {max(posted)}, which has its entry; reverse that one by itself"
        )
    if template.last_due_on is not None and last_due_on > template.last_due_on:
        raise InvalidArgument.field(
            "last_due_on", f"{last_due_on} is after {template.last_due_on}; a template is not prolonged: create another"
        )
    return replace(template, last_due_on=last_due_on, version=template.version + 1)


def check_span(template: Template) -> None:
    """Refuse a template that ends before it begins."""
    if template.last_due_on is not None and template.last_due_on < template.first_due_on:
        raise InvalidArgument.field(
            "journal_template.last_due_on", f"{template.last_due_on} is before the first due day"
        )


def mirror(entry: JournalEntry, due_on: date, *, journal_entry_id: UUID, person_id: UUID) -> JournalEntry:
    """The reversal of an accrual on the first day of the month after it."""
    description = f"Reversal: {entry.description}"[:500]
    made = reversal(entry, journal_entry_id=journal_entry_id, effective_on=due_on, description=description)
    return replace(made, person_id=person_id)


@dataclass(frozen=True)
class Scheduled:
    """One due day, and what became of it."""

    kind: ScheduledKind
    source_id: UUID
    agency_id: UUID
    due_on: date
    status: ScheduledStatus
    journal_entry_id: UUID | None
    refusal_reason: str
    refusal_message: str
    tried_at: datetime
