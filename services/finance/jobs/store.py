"""SQL of jobs and their runs."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlmodel import Session

from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.jobs.domain import Job, JobKind, JobRun, RunStatus
from services.finance.jobs.tables import JobRunRow

_RUN = tuple(JobRun.__dataclass_fields__)


def locked(session: Session, agency_id: UUID, kind: JobKind, due_on: date) -> Job:
    """The job, made when it is new; held until the transaction ends, so that one run of it goes at a time."""
    values = {"job_id": new_id(), "agency_id": agency_id, "kind": kind.value, "due_on": due_on}
    session.execute(
        text(
            "insert into job (job_id, agency_id, kind, due_on, status, done_count, refused_count)"
            " values (:job_id, :agency_id, :kind, :due_on, 'OPEN', 0, 0)"
            " on conflict (agency_id, kind, due_on) do nothing"
        ),
        values,
    )
    row = session.execute(
        text(
            "select job_id, status, done_count, refused_count from job"
            " where agency_id = :agency_id and kind = :kind and due_on = :due_on for update"
        ),
        values,
    ).one()
    return Job(row.job_id, agency_id, kind, due_on, row.status == "DONE", row.done_count, row.refused_count)


def save_job(session: Session, job: Job) -> None:
    """Write what a job's runs did."""
    session.execute(
        text(
            "update job set status = :status, done_count = :done_count, refused_count = :refused_count"
            " where job_id = :job_id"
        ),
        {
            "job_id": job.job_id,
            "status": "DONE" if job.is_done else "OPEN",
            "done_count": job.done_count,
            "refused_count": job.refused_count,
        },
    )


def save_run(session: Session, run: JobRun) -> None:
    """Write a run, a new one or one that went on."""
    session.merge(
        JobRunRow(**{**{name: getattr(run, name) for name in _RUN}, "kind": run.kind.value, "status": run.status.value})
    )
    session.flush()


def _run(row: JobRunRow) -> JobRun:
    values = {name: getattr(row, name) for name in _RUN}
    return JobRun(**{**values, "kind": JobKind(row.kind), "status": RunStatus(row.status)})


def run(session: Session, job_run_id: UUID) -> JobRun:
    """One run; NOT_FOUND when the caller does not see it."""
    row = session.get(JobRunRow, job_run_id, populate_existing=True)
    if row is None:
        raise NotFound.resource("job run", job_run_id)
    return _run(row)


def runs(
    session: Session,
    agency_id: UUID,
    *,
    kind: JobKind | None,
    after: tuple[UUID] | None = None,
    limit: int,
) -> list[JobRun]:
    """An agency's runs, the newest first."""
    row = JobRunRow
    query = select(row).where(row.agency_id == agency_id).order_by(row.job_run_id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column
    if kind is not None:
        query = query.where(row.kind == kind.value)
    if after is not None:
        query = query.where(row.job_run_id < after[0])
    return [_run(found) for found in session.scalars(query)]


def templates_due(session: Session, agency_id: UUID) -> date | None:
    """When the next entry of a template, or reversal of an accrual, is due."""
    found: date | None = session.execute(
        text("select next_due_on from journal_clock where entity_id = :id"), {"id": agency_id}
    ).scalar()
    return found


def commitments_due(session: Session, agency_id: UUID) -> date | None:
    """The month's end at which commitments in foreign currencies are revalued next."""
    found: date | None = session.execute(
        text("select due_on from foreign_commitment_clock where committed_agency_id = :id and due_on < 'infinity'"),
        {"id": agency_id},
    ).scalar()
    return None if found is None or found == date.max else found


def balances_due(session: Session, agency_id: UUID) -> date | None:
    """The end of the first open month of the ledger at which balances were not revalued."""
    found: date | None = session.execute(
        text(
            """
            select min(p.ends_on) from fiscal_period p
            where p.agency_id = :id and p.area = 'LEDGER' and p.number <= 12 and p.state = 'OPEN' and not exists (
                select 1 from job j where (j.agency_id, j.kind, j.due_on, j.status)
                                        = (p.agency_id, 'BALANCE_REVALUATION', p.ends_on, 'DONE'))
            """
        ),
        {"id": agency_id},
    ).scalar()
    return found


def unproved(session: Session, today: date, *, agency_id: UUID | None = None) -> list[UUID]:
    """The agencies, or the one, whose books were not proved yet on a day."""
    return list(
        session.execute(
            text(
                """
                select entity_id from proof_clock
                where (cast(:agency_id as uuid) is null or entity_id = :agency_id)
                  and (proved_on is null or proved_on < :today)
                order by entity_id
                """
            ),
            {"agency_id": agency_id, "today": today},
        ).scalars()
    )


def proved(session: Session, agency_id: UUID, on: date) -> None:
    """Note that an agency's books held on a day."""
    session.execute(
        text("update proof_clock set proved_on = greatest(proved_on, :on) where entity_id = :id"),
        {"id": agency_id, "on": on},
    )


def proofs_due(session: Session, agency_id: UUID, today: date) -> date | None:
    """The day for which an agency's books are proved next; None for an agency without books."""
    row = session.execute(text("select proved_on from proof_clock where entity_id = :id"), {"id": agency_id}).first()
    if row is None:
        return None
    return today if row.proved_on is None or row.proved_on < today else row.proved_on + timedelta(days=1)
