"""Acts that reverse by themselves: all entries of an act on its due day, whoever runs it, however often.

A single accrual reverses in the run of its agency (ledger/schedule). An act is reversed in the books of all its
agencies at once: by the service's own round, or by a person who may run what is due in each of them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis.errors import KelolaError
from chassis.ids import new_id
from services.finance.ledger.joint import store, usecases
from services.finance.ledger.joint.store import Due, StoredAct
from services.finance.ledger.schedule import store as schedule
from services.finance.ledger.schedule.domain import Scheduled, ScheduledKind, ScheduledStatus

# Acts that one call reverses. Each is posted by itself, so that one that is refused costs the others nothing; fifty
# are a second of work.
ACTS_MAX = 50


def run_due(
    session: Session,
    agency_id: UUID,
    *,
    to: date,
    at: datetime,
    person_id: UUID,
    within: Collection[UUID],
) -> tuple[list[Scheduled], bool]:
    """Reverse the acts of an agency that are due by `to`, in a person's name; (what became of its entries, more?).

    Acts that touch an agency beyond `within`, in which the person may run what is due, are left to the service's round.
    """
    # The same order as in a run of templates, which follows in the same transaction: the agency's clock comes first.
    schedule.lock_clock(session, agency_id)
    store.lock_round(session)
    found = store.due(session, to, of=agency_id, within=within, limit=ACTS_MAX + 1)
    outcome = [row for one in found[:ACTS_MAX] for row in reverse_one(session, one, at=at, person_id=person_id)]
    return [one for one in outcome if one.agency_id == agency_id], any(not one.tried_at for one in found[ACTS_MAX:])


def reverse_one(session: Session, due: Due, *, at: datetime, person_id: UUID | None) -> list[Scheduled]:
    """Reverse one act on its day, or keep why it was refused: one row in each of its agencies. Nothing the second time.

    `session` sees every agency of the act. `person_id` None: in the name of who posted it.
    """
    store.lock(session, due.joint_entry_id)
    original = usecases.get(session, due.joint_entry_id)
    if original.reversed_by_id is not None:
        return []
    posted_by = original.entries[0].entry.person_id
    acting = person_id or posted_by
    assert acting is not None, "an act with auto_reverse was posted by a person"
    try:
        with session.begin_nested():
            done = usecases.post_mirror(
                session,
                original,
                reversal_id=new_id(),
                effective_on=due.due_on,
                description=f"Reversal: {original.entries[0].entry.description}"[:500],
                person_id=acting,
            )
    except KelolaError as refusal:
        store.note_tried(session, due.joint_entry_id, at)
        outcome = _outcome(original, None, due, at, refusal)
    else:
        outcome = _outcome(original, done, due, at, None)
    schedule.save(session, outcome)
    return outcome


def _outcome(
    original: StoredAct, done: StoredAct | None, due: Due, at: datetime, refusal: KelolaError | None
) -> list[Scheduled]:
    """What became of each entry of the act, in its own agency."""
    mirrors = {one.entry.agency_id: one.entry.journal_entry_id for one in done.entries} if done else {}
    return [
        Scheduled(
            kind=ScheduledKind.REVERSAL,
            source_id=one.entry.journal_entry_id,
            agency_id=one.entry.agency_id,
            due_on=due.due_on,
            status=ScheduledStatus.REFUSED if refusal else ScheduledStatus.POSTED,
            journal_entry_id=mirrors.get(one.entry.agency_id),
            refusal_reason=refusal.reason if refusal else "",
            refusal_message=refusal.message[:1_000] if refusal else "",
            tried_at=at,
        )
        for one in original.entries
    ]
