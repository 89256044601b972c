"""Between the wire and jobs, both ways."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from chassis.wire import to_date, to_timestamp
from kelola.finance.v1 import job_pb2
from services.finance.jobs.domain import JobKind, JobRun


def kind(value: int) -> JobKind | None:
    """The kind of a proto enum's number; None for unspecified."""
    return JobKind(job_pb2.JobKind.Name(value).removeprefix("JOB_KIND_")) if value else None


def kind_value(one: JobKind) -> job_pb2.JobKind.ValueType:
    """The proto enum's number."""
    return job_pb2.JobKind.Value(f"JOB_KIND_{one.value}")


def job_message(one: JobKind, agency_id: UUID, next_due_on: date | None, last: JobRun | None) -> job_pb2.Job:
    """A kind of job in an agency."""
    message = job_pb2.Job(kind=kind_value(one), agency_id=str(agency_id))
    if next_due_on is not None:
        message.next_due_on.CopyFrom(to_date(next_due_on))
    if last is not None:
        message.last_run.CopyFrom(run_message(last))
    return message


def run_message(run: JobRun) -> job_pb2.JobRun:
    """A run."""
    message = job_pb2.JobRun(
        job_run_id=str(run.job_run_id),
        kind=kind_value(run.kind),
        agency_id=str(run.agency_id),
        due_on=to_date(run.due_on),
        operation_id="" if run.operation_id is None else str(run.operation_id),
        person_id="" if run.person_id is None else str(run.person_id),
        subject=run.subject,
        status=job_pb2.JobRunStatus.Value(f"JOB_RUN_STATUS_{run.status.value}"),
        attempt_count=run.attempt_count,
        done_count=run.done_count,
        refused_count=run.refused_count,
        error_reason=run.error_reason,
        error_message=run.error_message,
        requested_at=to_timestamp(run.requested_at),
    )
    if run.started_at is not None:
        message.started_at.CopyFrom(to_timestamp(run.started_at))
    if run.ended_at is not None:
        message.ended_at.CopyFrom(to_timestamp(run.ended_at))
    return message
