"""Jobs: asked for, begun, run by their use case, and kept on record whatever became of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from sqlmodel import Session

from chassis.errors import Code, KelolaError
from chassis.ids import new_id
from services.finance.approval import store as approval_store
from services.finance.jobs import domain, proving, store
from services.finance.jobs.acts import ACTS
from services.finance.jobs.domain import Job, JobKind, JobRun, Result, RunStatus

SUBJECT = "service:finance"
# Refusals that say nothing about the job: the next try may differ.
PASSING = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.RESOURCE_EXHAUSTED})


class Transactions(Protocol):
    """What the service's own rounds need of chassis.database."""

    def work(self, agencies: Iterable[UUID], *, subject: str) -> AbstractContextManager[Session]: ...


# --- runs that persons ask for ---------------------------------------------------------------------------------------


def request(
    session: Session, *, kind: JobKind, agency_id: UUID, due_on: date, person_id: UUID, subject: str, at: datetime
) -> JobRun:
    """Put a run on record that waits to be begun; its id is that of its operation."""
    domain.check_day(due_on, at.date())
    run_id = new_id()
    run = JobRun(run_id, agency_id, kind, due_on, run_id, person_id, subject, RunStatus.WAITING, at)
    store.save_run(session, run)
    return run


def begin(session: Session, job_run_id: UUID, *, at: datetime) -> None:
    """Count one more beginning, in a transaction of its own, so that an end in the middle is seen afterwards.

    Waits for the job's lock first: a run that waits for another one has not begun. JOB_ATTEMPTS_EXHAUSTED at last.
    """
    run = store.run(session, job_run_id)
    store.locked(session, run.agency_id, run.kind, run.due_on)
    store.save_run(session, domain.begun(store.run(session, job_run_id), at))


def perform(session: Session, job_run_id: UUID, *, at: datetime) -> JobRun:
    """One pass of a run, in one transaction with its effect; one run of a job at a time. It is over once it ended."""
    run = store.run(session, job_run_id)
    job = store.locked(session, run.agency_id, run.kind, run.due_on)
    if not domain.needs_work(job):
        over = domain.nothing_to_do(job, run, at)
        store.save_run(session, over)
        return over
    result = ACTS[run.kind](session, run.agency_id, run.due_on, run.person_id, at)
    return _passed(session, job, run, result, at)


def fail(session: Session, job_run_id: UUID, refusal: KelolaError, *, at: datetime) -> JobRun:
    """Put on record that a run was refused; nothing of its pass was kept."""
    over = domain.failed(store.run(session, job_run_id), refusal, at)
    store.save_run(session, over)
    proving.raise_alarm(over.agency_id, refusal)
    return over


def _passed(session: Session, job: Job, run: JobRun, result: Result, at: datetime) -> JobRun:
    job, run = domain.passed(job, run, result, at)
    store.save_job(session, job)
    store.save_run(session, run)
    return run


# --- the service's own runs ------------------------------------------------------------------------------------------


def run_by_service(db: Transactions, kind: JobKind, agency_id: UUID, due_on: date, *, at: datetime) -> None:
    """A round's work for an agency: always asked of the use case, whose own clock says that something is due.

    A refusal is put on record and raised. What the round tries again with the same outcome stays one row of the log.
    """
    run = JobRun(new_id(), agency_id, kind, due_on, None, None, SUBJECT, RunStatus.RUNNING, at, 1, started_at=at)
    try:
        with db.work([agency_id], subject=SUBJECT) as session:
            job = store.locked(session, agency_id, kind, due_on)
            result = ACTS[kind](session, agency_id, due_on, None, at)
            job, over = domain.passed(job, run, replace(result, more=False), at)
            store.save_job(session, job)
            _log(session, over)
    except KelolaError as refusal:
        if refusal.code not in PASSING:
            with db.work([agency_id], subject=SUBJECT) as session:
                _log(session, domain.failed(run, refusal, at))
            proving.raise_alarm(agency_id, refusal)
        raise


def note_escalations(db: Transactions, opened: dict[UUID, int], *, at: datetime) -> None:
    """Put on record what the clock of approvals opened, agency by agency; it works route by route by itself."""
    for agency_id, count in sorted(opened.items()):
        run = JobRun(
            new_id(),
            agency_id,
            JobKind.APPROVAL_ESCALATION,
            at.date(),
            None,
            None,
            SUBJECT,
            RunStatus.RUNNING,
            at,
            1,
            started_at=at,
        )
        with db.work([agency_id], subject=SUBJECT) as session:
            job = store.locked(session, agency_id, run.kind, run.due_on)
            _passed(session, job, run, Result(count), at)


def _log(session: Session, over: JobRun) -> None:
    """Keep a run of the service; a repetition of the newest one counts there as one more attempt."""
    newest = store.runs(session, over.agency_id, kind=over.kind, limit=1)
    if newest and _same(newest[0], over):
        over = replace(newest[0], attempt_count=newest[0].attempt_count + 1, ended_at=over.ended_at)
    store.save_run(session, over)


def _same(before: JobRun, after: JobRun) -> bool:
    """Whether a run says nothing that the one before it did not say: nothing done, and the same refused."""
    return (
        before.person_id is None
        and (after.done_count == 0 or after.status is RunStatus.NOTHING_TO_DO)
        and _said(before) == _said(after)
    )


def _said(run: JobRun) -> tuple[object, ...]:
    return run.due_on, run.status, run.done_count, run.refused_count, run.error_reason


# --- what is known of them -------------------------------------------------------------------------------------------


def next_due(session: Session, agency_id: UUID, kind: JobKind, *, at: datetime) -> date | None:
    """The day for which a kind of job is due next in an agency; None when nothing is waiting, or persons decide."""
    if kind is JobKind.JOURNAL_TEMPLATES:
        return store.templates_due(session, agency_id)
    if kind is JobKind.FUNDS_REVALUATION:
        return store.commitments_due(session, agency_id)
    if kind is JobKind.BALANCE_REVALUATION:
        return store.balances_due(session, agency_id)
    if kind is JobKind.APPROVAL_ESCALATION:
        due_at = approval_store.next_deadline(session, agency_id)
        return None if due_at is None else due_at.astimezone(at.tzinfo).date()
    if kind is JobKind.PROOFS:
        return store.proofs_due(session, agency_id, at.date())
    return None
