"""What becomes of a job and its run, pass by pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from chassis.errors import InvalidArgument
from services.finance.jobs import domain
from services.finance.jobs.domain import ATTEMPTS_MAX, Job, JobAttemptsExhausted, JobKind, JobRun, Result, RunStatus

DAY, NOW = date(2025, 3, 31), datetime(2025, 4, 1, 8, tzinfo=UTC)


def a_job(kind: JobKind = JobKind.LATE_INTEREST, **values: object) -> Job:
    return replace(Job(uuid4(), uuid4(), kind, DAY, is_done=False, done_count=0, refused_count=0), **values)


def a_run(job: Job, **values: object) -> JobRun:
    run = JobRun(uuid4(), job.agency_id, job.kind, DAY, uuid4(), uuid4(), "somebody", RunStatus.RUNNING, NOW)
    return replace(run, **values)


def test_a_whole_pass_ends_the_run_and_does_the_job():
    job = a_job()

    job, run = domain.passed(job, a_run(job), Result(3), NOW)

    assert (job.is_done, job.done_count) == (True, 3)
    assert (run.status, run.done_count, run.ended_at) == (RunStatus.DONE, 3, NOW)
    assert not domain.needs_work(job)


def test_what_was_refused_keeps_the_job_open():
    job = a_job(JobKind.JOURNAL_TEMPLATES)

    job, run = domain.passed(job, a_run(job), Result(2, refused=1), NOW)

    assert (job.is_done, job.done_count, job.refused_count) == (False, 2, 1)
    assert run.status is RunStatus.PARTLY_DONE
    assert domain.needs_work(job)


def test_a_run_goes_on_while_there_is_more_and_counts_all_of_it():
    job = a_job(JobKind.JOURNAL_TEMPLATES)

    job, run = domain.passed(job, a_run(job, attempt_count=3), Result(500, more=True), NOW)
    middle = run
    job, run = domain.passed(job, run, Result(20), NOW)

    assert (middle.status, middle.ended_at, middle.attempt_count) == (RunStatus.RUNNING, None, 0)
    assert (run.status, run.done_count, job.done_count) == (RunStatus.DONE, 520, 520)


def test_a_pass_that_did_nothing_is_the_last_one_though_more_is_waiting():
    job = a_job(JobKind.JOURNAL_TEMPLATES)

    _, run = domain.passed(job, a_run(job), Result(0, refused=500, more=True), NOW)

    assert (run.status, run.refused_count) == (RunStatus.PARTLY_DONE, 500)


def test_a_job_that_was_done_shows_what_it_did():
    job = a_job(is_done=True, done_count=7)

    run = domain.nothing_to_do(job, a_run(job), NOW)

    assert (run.status, run.done_count) == (RunStatus.NOTHING_TO_DO, 7)


@pytest.mark.parametrize("kind", list(JobKind))
def test_only_what_may_become_due_again_is_asked_anew(kind):
    anew = {JobKind.JOURNAL_TEMPLATES, JobKind.APPROVAL_ESCALATION, JobKind.PROOFS}

    assert domain.needs_work(a_job(kind, is_done=True)) == (kind in anew)


def test_a_run_is_begun_a_few_times_and_no_more():
    run = a_run(a_job(), status=RunStatus.WAITING)
    for _ in range(ATTEMPTS_MAX):
        run = domain.begun(run, NOW)

    assert (run.attempt_count, run.started_at) == (ATTEMPTS_MAX, NOW)
    with pytest.raises(JobAttemptsExhausted):
        domain.begun(run, NOW)


def test_nothing_is_due_ahead_of_its_day():
    domain.check_day(DAY, DAY)

    with pytest.raises(InvalidArgument):
        domain.check_day(DAY, date(2025, 3, 30))
