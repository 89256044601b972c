"""Templates and their due days: load, decide, post, note."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.classification.carryover.following import followed
from services.finance.classification.store import functional_currencies
from services.finance.ledger import domain as ledger
from services.finance.ledger import store as ledger_store
from services.finance.ledger import usecases as posting
from services.finance.ledger.domain import FundBalancing, JournalEntry, Posted, Verdict
from services.finance.ledger.interfund import usecases as interfund
from services.finance.ledger.schedule import domain, store
from services.finance.ledger.schedule.domain import Scheduled, ScheduledKind, ScheduledStatus, Template
from services.finance.ledger.schedule.events import JournalTemplateCreated, JournalTemplateEnded

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Due:
    """Something to be posted, and what it is noted under."""

    kind: ScheduledKind
    source_id: UUID
    due_on: date
    entry: JournalEntry
    # When it was last tried and refused; None when it never was.
    tried_at: datetime | None

    @property
    def turn(self) -> tuple[datetime, date, UUID]:
        """Who comes first: what was never tried, by its day, then what was refused longest ago.

        So nothing that is refused again and again keeps others from being posted.
        """
        return self.tried_at or _NEVER, self.due_on, self.source_id


def create(session: Session, template: Template) -> Template:
    """Record a template. Refused when its lines could never be posted."""
    domain.check_span(template)
    currency = functional_currencies(session, [template.agency_id]).get(template.agency_id, "")
    first = template.entry(template.first_due_on, journal_entry_id=new_id(), person_id=template.person_id)
    if first.balancing is not FundBalancing.GIVEN:
        first = interfund.balanced(session, first, currency, {})
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
    posted by this very run and is due to be reversed by `to` is reversed by it too. There is more when something was
    never tried; what was refused is tried again at its turn.
    """
    store.lock_clock(session, agency_id)
    refused = store.refused_days(session, agency_id)
    entries = _due_templates(session, agency_id, to, person_id, refused)
    outcome = _post(session, _under_the_chart_of_their_days(session, entries[: domain.RUN_MAX]), at)
    room = domain.RUN_MAX - len(outcome)
    mirrors = _due_reversals(session, agency_id, to, person_id, refused, room + 1)
    outcome += _post(session, mirrors[:room], at)
    store.save(session, outcome)
    upcoming = [day for day in next_due(session, store.templates(session, agency_id)).values() if day is not None]
    store.set_clock(session, agency_id, min(upcoming, default=None))
    left = [*entries[domain.RUN_MAX :], *mirrors[room:]]
    return in_order(outcome), any(one.tried_at is None for one in left)


def in_order(outcome: Iterable[Scheduled]) -> list[Scheduled]:
    """What became of due days, by day; entries before reversals."""
    return sorted(outcome, key=lambda one: (one.due_on, one.kind.value))


def _due_templates(
    session: Session,
    agency_id: UUID,
    to: date,
    person_id: UUID | None,
    refused: Mapping[tuple[UUID, date], datetime],
) -> list[_Due]:
    templates = store.templates(session, agency_id)
    posted = store.posted_days(session, [one.journal_template_id for one in templates])
    due = [
        _Due(
            ScheduledKind.RECURRING,
            one.journal_template_id,
            day,
            one.entry(day, journal_entry_id=new_id(), person_id=person_id or one.person_id),
            refused.get((one.journal_template_id, day)),
        )
        for one in templates
        for day in one.due_days(to)
        if day not in posted.get(one.journal_template_id, ())
    ]
    return sorted(due, key=lambda one: one.turn)


def _under_the_chart_of_their_days(session: Session, due: Sequence[_Due]) -> list[_Due]:
    """A template goes on when the chart changes: its entries name the codes that have followed its own."""
    entries = followed(session, [one.entry for one in due])
    return [replace(one, entry=entry) for one, entry in zip(due, entries, strict=True)]


def _due_reversals(
    session: Session,
    agency_id: UUID,
    to: date,
    person_id: UUID | None,
    refused: Mapping[tuple[UUID, date], datetime],
    limit: int,
) -> list[_Due]:
    days = dict(store.due_reversals(session, agency_id, to, limit=limit))
    due = []
    for stored in ledger_store.entries(session, sorted(days)):
        entry = stored.entry
        ledger_store.lock_for_reversal(session, entry.journal_entry_id)
        acting = person_id or entry.person_id
        assert acting is not None, "an entry with auto_reverse was posted by a person"
        due_on = days[entry.journal_entry_id]
        mirror = domain.mirror(entry, due_on, journal_entry_id=new_id(), person_id=acting)
        tried_at = refused.get((entry.journal_entry_id, due_on))
        due.append(_Due(ScheduledKind.REVERSAL, entry.journal_entry_id, due_on, mirror, tried_at))
    return sorted(due, key=lambda one: one.turn)


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
