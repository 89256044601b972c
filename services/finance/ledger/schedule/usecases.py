"""Templates and their due days: load, decide, post, note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.classification.store import functional_currencies
from services.finance.ledger import domain as ledger
from services.finance.ledger import store as ledger_store
from services.finance.ledger import usecases as posting
from services.finance.ledger.domain import JournalEntry, Posted, Verdict
from services.finance.ledger.schedule import domain, store
from services.finance.ledger.schedule.domain import Scheduled, ScheduledKind, ScheduledStatus, Template
from services.finance.ledger.schedule.events import JournalTemplateCreated, JournalTemplateEnded


@dataclass(frozen=True)
class _Due:
    """Something to be posted, and what it is noted under."""

    kind: ScheduledKind
    source_id: UUID
    due_on: date
    entry: JournalEntry


def create(session: Session, template: Template) -> Template:
    """Record a template. Refused when its lines could never be posted."""
    domain.check_span(template)
    currency = functional_currencies(session, [template.agency_id]).get(template.agency_id, "")
    first = template.entry(template.first_due_on, journal_entry_id=new_id(), person_id=template.person_id)
    ledger.check(first, currency)
    store.add(session, template)
    outbox.emit(session, JournalTemplateCreated(template))
    return template


def get(session: Session, journal_template_id: UUID) -> Template:
    """One template."""
    return _found(store.get(session, journal_template_id), journal_template_id)


def end(session: Session, journal_template_id: UUID, *, last_due_on: date) -> Template:
    """Give a template a last due day; waits for a run that is under way."""
    agency_id = get(session, journal_template_id).agency_id
    store.lock_clock(session, agency_id)
    session.expire_all()
    template = _found(store.get(session, journal_template_id, lock=True), journal_template_id)
    posted = store.posted_days(session, [journal_template_id]).get(journal_template_id, set())
    done = domain.ended(template, last_due_on, posted=posted)
    store.save_end(session, done)
    outbox.emit(session, JournalTemplateEnded(done))
    return done


def next_due(session: Session, templates: Sequence[Template]) -> dict[UUID, date | None]:
    """The next due day without an entry of each template."""
    posted = store.posted_days(session, [one.journal_template_id for one in templates])
    return {one.journal_template_id: one.next_due(posted.get(one.journal_template_id, set())) for one in templates}


def run(
    session: Session, agency_id: UUID, *, to: date, at: datetime, person_id: UUID | None
) -> tuple[list[Scheduled], bool]:
    """Post what is due in an agency up to `to` and has no entry; (what became of it, is there more).

    `person_id` None (the service's own round): in the name of who made the template, or posted the accrual. What was
    posted by this very run and is due to be reversed by `to` is reversed by it too.
    """
    store.lock_clock(session, agency_id)
    outcome = _post(session, _due_templates(session, agency_id, to, person_id), at)
    room = domain.RUN_MAX - len(outcome)
    if room > 0:
        outcome += _post(session, _due_reversals(session, agency_id, to, person_id, room), at)
    store.save(session, outcome)
    upcoming = [day for day in next_due(session, store.templates(session, agency_id)).values() if day is not None]
    store.set_clock(session, agency_id, min(upcoming, default=None))
    return sorted(outcome, key=lambda one: (one.due_on, one.kind.value)), len(outcome) >= domain.RUN_MAX


def _due_templates(session: Session, agency_id: UUID, to: date, person_id: UUID | None) -> list[_Due]:
    templates = store.templates(session, agency_id)
    posted = store.posted_days(session, [one.journal_template_id for one in templates])
    due = [
        _Due(
            ScheduledKind.RECURRING,
            one.journal_template_id,
            day,
            one.entry(day, journal_entry_id=new_id(), person_id=person_id or one.person_id),
        )
        for one in templates
        for day in one.due_days(to)
        if day not in posted.get(one.journal_template_id, ())
    ]
    return sorted(due, key=lambda one: (one.due_on, one.source_id))[: domain.RUN_MAX]


def _due_reversals(session: Session, agency_id: UUID, to: date, person_id: UUID | None, limit: int) -> list[_Due]:
    days = dict(store.due_reversals(session, agency_id, to, limit=limit))
    due = []
    for stored in ledger_store.entries(session, sorted(days)):
        entry = stored.entry
        ledger_store.lock_for_reversal(session, entry.journal_entry_id)
        acting = person_id or entry.person_id
        assert acting is not None, "an entry with auto_reverse was posted by a person"
        due_on = days[entry.journal_entry_id]
        mirror = domain.mirror(entry, due_on, journal_entry_id=new_id(), person_id=acting)
        due.append(_Due(ScheduledKind.REVERSAL, entry.journal_entry_id, due_on, mirror))
    return sorted(due, key=lambda one: (one.due_on, one.source_id))


def _post(session: Session, due: Sequence[_Due], at: datetime) -> list[Scheduled]:
    if not due:
        return []
    verdicts = posting.post_each(session, [one.entry for one in due])
    return [_outcome(one, verdict, at) for one, verdict in zip(due, verdicts, strict=True)]


def _outcome(due: _Due, verdict: Verdict, at: datetime) -> Scheduled:
    posted = isinstance(verdict, Posted)
    return Scheduled(
        kind=due.kind,
        source_id=due.source_id,
        agency_id=due.entry.agency_id,
        due_on=due.due_on,
        status=ScheduledStatus.POSTED if posted else ScheduledStatus.REFUSED,
        journal_entry_id=due.entry.journal_entry_id if posted else None,
        refusal_reason="" if isinstance(verdict, Posted) else verdict.error.reason,
        refusal_message="" if isinstance(verdict, Posted) else verdict.error.message[:1_000],
        tried_at=at,
    )


def _found(template: Template | None, journal_template_id: UUID) -> Template:
    if template is None:
        raise NotFound.resource("journal template", journal_template_id)
    return template
