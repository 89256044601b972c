"""When a run of a job does something, and what became of it. Pure.

A job is a kind of work of one agency for one due day. Its effect is the use case's own (a due entry is posted once, a
revaluation at the same rates changes nothing); the job adds that it is done once, when, by whom, and what was refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument, KelolaError

# Times that one run is begun. More than one means that its process ended in the middle; what ends so again and again
# is looked at by a person. Below the failures after which the runner itself would give up (chassis.saga_runner).
ATTEMPTS_MAX = 4


class JobAttemptsExhausted(FailedPrecondition):
    """The run ended in the middle too often."""

    reason = "JOB_ATTEMPTS_EXHAUSTED"


class JobDayNotDue(FailedPrecondition):
    """The day is none on which this job is due."""

    reason = "JOB_DAY_NOT_DUE"


class JobKind(Enum):
    """What a job does."""

    JOURNAL_TEMPLATES = "JOURNAL_TEMPLATES"
    FUNDS_REVALUATION = "FUNDS_REVALUATION"
    BALANCE_REVALUATION = "BALANCE_REVALUATION"
    LATE_INTEREST = "LATE_INTEREST"
    APPROVAL_ESCALATION = "APPROVAL_ESCALATION"
    PROOFS = "PROOFS"

    @property
    def asks_anew(self) -> bool:
        """Whether more may have become due for a day that was done: a template made since, a deadline passed since,
        books that went on."""
        return self in (JobKind.JOURNAL_TEMPLATES, JobKind.APPROVAL_ESCALATION, JobKind.PROOFS)

    @property
    def permission(self) -> str | None:
        """What the act itself asks for when a person does it alone; None for what only the service does."""
        return _PERMISSIONS.get(self)


_PERMISSIONS = {
    JobKind.JOURNAL_TEMPLATES: "finance.journal_template.run",
    JobKind.FUNDS_REVALUATION: "finance.funds.revalue",
    JobKind.BALANCE_REVALUATION: "finance.foreign_revaluation.create",
    JobKind.LATE_INTEREST: "finance.late_payment.read",
}


class RunStatus(Enum):
    """What became of a run."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    PARTLY_DONE = "PARTLY_DONE"
    NOTHING_TO_DO = "NOTHING_TO_DO"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Result:
    """What one pass did: how many things, how many were refused, and whether there is more for another pass."""

    done: int
    refused: int = 0
    more: bool = False


@dataclass(frozen=True)
class Job:
    """A kind of work of an agency for a due day, and what its runs did in all."""

    job_id: UUID
    agency_id: UUID
    kind: JobKind
    due_on: date
    is_done: bool
    done_count: int
    refused_count: int


@dataclass(frozen=True)
class JobRun:
    """One run of a job; `person_id` None is the service's own."""

    job_run_id: UUID
    agency_id: UUID
    kind: JobKind
    due_on: date
    operation_id: UUID | None
    person_id: UUID | None
    subject: str
    status: RunStatus
    requested_at: datetime
    attempt_count: int = 0
    done_count: int = 0
    refused_count: int = 0
    error_reason: str = ""
    error_message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


def check_day(due_on: date, today: date) -> None:
    """Refuse a day that is not over yet or not begun: nothing is due ahead of its day."""
    if due_on > today:
        raise InvalidArgument.field("due_on", f"{due_on} is in the future; today is {today}")


def begun(run: JobRun, at: datetime) -> JobRun:
    """The run with one more beginning."""
    if run.attempt_count >= ATTEMPTS_MAX:
        raise JobAttemptsExhausted(
            f"the run was begun {run.attempt_count} times and ended in the middle each time: see the service's log, "
            "then run the job again",
            metadata={"attempts": str(run.attempt_count)},
        )
    return replace(run, status=RunStatus.RUNNING, attempt_count=run.attempt_count + 1, started_at=run.started_at or at)


def needs_work(job: Job) -> bool:
    """Whether a run of the job does anything at all."""
    return not job.is_done or job.kind.asks_anew


def nothing_to_do(job: Job, run: JobRun, at: datetime) -> JobRun:
    """The run of a job that was done: it shows what the runs before it did."""
    return replace(run, status=RunStatus.NOTHING_TO_DO, done_count=job.done_count, refused_count=0, ended_at=at)


def passed(job: Job, run: JobRun, result: Result, at: datetime) -> tuple[Job, JobRun]:
    """Job and run after one pass: the run goes on while there is more, else it is over."""
    going = replace(run, done_count=run.done_count + result.done, refused_count=run.refused_count + result.refused)
    if result.more and result.done:
        # What was done counts; the next pass is a beginning of its own.
        return replace(job, done_count=job.done_count + result.done), replace(going, attempt_count=0)
    done = replace(
        job,
        is_done=going.refused_count == 0,
        done_count=job.done_count + result.done,
        refused_count=going.refused_count,
    )
    if going.refused_count:
        return done, replace(going, status=RunStatus.PARTLY_DONE, ended_at=at)
    if job.is_done and going.done_count == 0:
        return done, nothing_to_do(job, going, at)
    status = RunStatus.DONE if going.done_count else RunStatus.NOTHING_TO_DO
    return done, replace(going, status=status, ended_at=at)


def failed(run: JobRun, error: KelolaError, at: datetime) -> JobRun:
    """The run that was refused as a whole."""
    return replace(
        run,
        status=RunStatus.FAILED,
        error_reason=error.reason,
        error_message=error.message[:1_000],
        started_at=run.started_at or at,
        ended_at=at,
    )
