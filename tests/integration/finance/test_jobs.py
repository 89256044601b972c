"""Jobs: their effect once, every run on record, whoever asked and however it ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from chassis.database import Database, Transactions
from chassis.testing import Refusal, call_as, refused, wait_until
from chassis.wire import to_date
from kelola.finance.v1 import fiscal_calendar_pb2, job_pb2, job_pb2_grpc
from services.finance import verify
from services.finance.approval import usecases as approval
from services.finance.jobs import acts, usecases
from services.finance.jobs.domain import JobKind
from services.finance.jobs.proving import ProofFailed
from services.finance.ledger.refusals import PeriodClosed
from tests.integration.finance.abroad import Abroad
from tests.integration.finance.books import YEAR, Agency, Books, line, money, rid
from tests.integration.finance.funds import Unit
from tests.integration.finance.test_approval import CHIEF, HEAD, Desk
from tests.integration.finance.test_ledger_schedule import CASH, REVENUE, Schedule
from tests.integration.finance.test_payables_slips import owed

TEMPLATES, COMMITMENTS = job_pb2.JOB_KIND_JOURNAL_TEMPLATES, job_pb2.JOB_KIND_FUNDS_REVALUATION
BALANCES, LATE = job_pb2.JOB_KIND_BALANCE_REVALUATION, job_pb2.JOB_KIND_LATE_INTEREST
ESCALATION = job_pb2.JOB_KIND_APPROVAL_ESCALATION
PROOFS = job_pb2.JOB_KIND_PROOFS
DONE, PARTLY = job_pb2.JOB_RUN_STATUS_DONE, job_pb2.JOB_RUN_STATUS_PARTLY_DONE
NOTHING, FAILED = job_pb2.JOB_RUN_STATUS_NOTHING_TO_DO, job_pb2.JOB_RUN_STATUS_FAILED


class Jobs:
    """The jobs of one agency."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        channel = agency.books.service.channel
        self.stub = job_pb2_grpc.JobServiceStub(channel)
        self.operations = operations_pb2_grpc.OperationsStub(channel)
        self.schedule = Schedule(agency)

    @property
    def transactions(self) -> Transactions:
        (database,) = [one for one in self.agency.books.service.container.dependencies if isinstance(one, Database)]
        assert database.transactions is not None
        return database.transactions

    def asking(self, kind: int, due_on: date) -> job_pb2.RunJobRequest:
        return job_pb2.RunJobRequest(
            kind=kind, agency_id=str(self.agency.agency_id), due_on=to_date(due_on), request_id=rid()
        )

    def asked(self, request: job_pb2.RunJobRequest) -> operations_pb2.Operation:
        return call_as(self.stub.RunJob, request, self.agency.accountant)

    def ended(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        def look() -> operations_pb2.Operation | None:
            request = operations_pb2.GetOperationRequest(name=operation.name)
            now = call_as(self.operations.GetOperation, request, self.agency.accountant)
            return now if now.done else None

        return wait_until(look, what="the end of the job")

    def run(self, kind: int, due_on: date) -> job_pb2.JobRun:
        """The run of a job that ends without a refusal."""
        operation = self.ended(self.asked(self.asking(kind, due_on)))
        assert operation.WhichOneof("result") == "response", operation
        run = job_pb2.JobRun()
        assert operation.response.Unpack(run)
        return run

    def not_asked(self, request: job_pb2.RunJobRequest, token: str | None = None) -> Refusal:
        return refused(self.stub.RunJob, request, token or self.agency.accountant)

    def log(self, kind: int = 0, size: int = 50) -> list[job_pb2.JobRun]:
        found, token = [], ""
        while True:
            request = job_pb2.ListJobRunsRequest(
                agency_id=str(self.agency.agency_id), kind=kind, page_size=size, page_token=token
            )
            page = call_as(self.stub.ListJobRuns, request, self.agency.accountant)
            found += page.job_runs
            token = page.next_page_token
            if not token:
                return found

    def kinds(self) -> dict[int, job_pb2.Job]:
        request = job_pb2.ListJobsRequest(agency_id=str(self.agency.agency_id))
        return {one.kind: one for one in call_as(self.stub.ListJobs, request, self.agency.accountant).jobs}

    def by_service(self, kind: JobKind, due_on: date) -> None:
        usecases.run_by_service(self.transactions, kind, self.agency.agency_id, due_on, at=datetime.now(UTC))


@pytest.fixture
def jobs(agency: Agency) -> Jobs:
    return Jobs(agency)


def test_a_job_has_its_effect_once_and_each_run_is_on_record(jobs: Jobs):
    jobs.schedule.template()

    first = jobs.run(TEMPLATES, date(YEAR, 2, 28))
    again = jobs.run(TEMPLATES, date(YEAR, 2, 28))

    assert (first.status, first.done_count, first.refused_count) == (DONE, 2, 0)
    assert (again.status, again.done_count) == (NOTHING, 2)
    assert jobs.agency.balances()[CASH] == 2 * 5_00
    assert [one.job_run_id for one in jobs.log()] == [again.job_run_id, first.job_run_id]
    assert (first.person_id, first.subject) == (str(jobs.agency.person_id), str(jobs.agency.person_id))
    assert first.requested_at.ToDatetime() <= first.started_at.ToDatetime() <= first.ended_at.ToDatetime()
    assert first.attempt_count == 1


def test_a_repeated_call_is_one_operation_and_one_run(jobs: Jobs):
    jobs.schedule.template()
    request = jobs.asking(TEMPLATES, date(YEAR, 1, 31))

    with ThreadPoolExecutor(3) as pool:
        names = {one.name for one in pool.map(lambda _: jobs.asked(request), range(3))}
    (name,) = names
    jobs.ended(operations_pb2.Operation(name=name))

    assert [f"operations/{one.operation_id}" for one in jobs.log()] == [name]


def test_what_has_become_due_since_is_done_by_another_run(jobs: Jobs):
    jobs.schedule.template()
    jobs.run(TEMPLATES, date(YEAR, 1, 31))
    jobs.schedule.template()

    later = jobs.run(TEMPLATES, date(YEAR, 1, 31))
    last = jobs.run(TEMPLATES, date(YEAR, 1, 31))

    assert (later.status, later.done_count) == (DONE, 1)
    assert (last.status, last.done_count) == (NOTHING, 2)


def test_runs_that_come_at_once_do_the_work_once(jobs: Jobs):
    jobs.schedule.template()

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: jobs.run(TEMPLATES, date(YEAR, 3, 31)), range(4)))

    assert sorted((one.status, one.done_count) for one in runs) == [(DONE, 3), (NOTHING, 3), (NOTHING, 3), (NOTHING, 3)]
    assert jobs.agency.balances()[CASH] == 3 * 5_00


def test_what_was_refused_is_told_and_tried_again(books: Books):
    jobs = Jobs(books.agency(open_to=1))
    jobs.schedule.template()

    first = jobs.run(TEMPLATES, date(YEAR, 2, 28))
    opening = fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
        agency_id=str(jobs.agency.agency_id), year=YEAR, first_number=2, last_number=2, request_id=rid()
    )
    call_as(books.calendar.OpenFiscalPeriods, opening, jobs.agency.accountant)
    second = jobs.run(TEMPLATES, date(YEAR, 2, 28))

    assert (first.status, first.done_count, first.refused_count) == (PARTLY, 1, 1)
    assert (second.status, second.done_count, second.refused_count) == (DONE, 1, 0)


def test_a_refusal_of_the_act_ends_the_operation_and_stays_on_record(jobs: Jobs):
    operation = jobs.ended(jobs.asked(jobs.asking(BALANCES, date(YEAR, 3, 30))))

    (run,) = jobs.log()
    assert operation.error.message.startswith(f"{YEAR}-03-30 is not the last day")
    assert (run.status, run.error_reason) == (FAILED, "JOB_DAY_NOT_DUE")
    assert run.HasField("ended_at")


def test_balances_are_revalued_at_a_month_end_once(books: Books):
    abroad = Abroad(books)
    currency, jobs = "QAZ", Jobs(abroad.agency)
    abroad.rated(currency, date(YEAR, 3, 31), "16000")
    worth = money(15_000_000, "IDR")
    jobs.agency.post(
        jobs.agency.entry(line(CASH, money(1_000, currency), functional_amount=worth), line(REVENUE, None, 15_000_000))
    )

    first = jobs.run(BALANCES, date(YEAR, 3, 31))
    again = jobs.run(BALANCES, date(YEAR, 3, 31))

    assert (first.status, first.done_count, again.status, again.done_count) == (DONE, 1, NOTHING, 1)
    counted = "select count(*) from foreign_revaluation where agency_id = %s"
    assert jobs.agency.row(counted, jobs.agency.agency_id) == (1,)
    assert jobs.kinds()[BALANCES].next_due_on == to_date(date(YEAR, 1, 31))


def test_late_interest_and_commitments_have_runs_too(jobs: Jobs):
    assert jobs.run(LATE, date(YEAR, 3, 31)).status == NOTHING
    assert jobs.run(COMMITMENTS, date(YEAR, 3, 31)).status == NOTHING
    assert jobs.run(ESCALATION, date(YEAR, 3, 31)).status == NOTHING

    assert len(jobs.log()) == 3


def test_late_payables_are_worked_out_up_to_the_day(books: Books):
    unit = Unit(books)
    (budget_line,) = unit.lines(40_000_000)
    unit.allotted()
    owed(unit, budget_line)
    jobs = Jobs(unit.agency)

    # Received on 14 March, due 30 days later: 13 April.
    on_time, late = jobs.run(LATE, date(YEAR, 4, 13)), jobs.run(LATE, date(YEAR, 5, 13))

    assert (on_time.status, on_time.done_count) == (NOTHING, 0)
    assert (late.status, late.done_count) == (DONE, 1)


def test_what_the_clock_of_approvals_opens_is_on_record(books: Books):
    desk = Desk(books)
    desk.ruled(desk.rule(1, CHIEF, 1_000_000, deadline_days=2, escalation_role=HEAD))
    first, now = desk.requested(10), datetime.now(UTC)
    jobs, later = Jobs(desk.unit.agency), now + timedelta(days=2, minutes=1)
    assert jobs.kinds()[ESCALATION].next_due_on == to_date((now + timedelta(days=2)).date())

    usecases.note_escalations(jobs.transactions, approval.escalate_overdue(jobs.transactions, now=later), at=later)
    desk.requested(12)
    usecases.run_by_service(jobs.transactions, JobKind.APPROVAL_ESCALATION, desk.unit.agency_id, now.date(), at=later)
    usecases.run_by_service(jobs.transactions, JobKind.APPROVAL_ESCALATION, desk.unit.agency_id, now.date(), at=later)

    assert [(one.status, one.done_count) for one in jobs.log(ESCALATION)] == [(NOTHING, 1), (DONE, 1), (DONE, 1)]
    assert len(desk.open_for(desk.token(HEAD))) == 2
    assert first.payment_request_id in desk.open_for(desk.token(HEAD))


def test_a_run_that_ends_in_the_middle_is_taken_up_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch):
    jobs.schedule.template()
    whole, times = acts.ACTS[JobKind.JOURNAL_TEMPLATES], []

    def breaking(*args: Any) -> Any:
        result = whole(*args)
        times.append(result)
        if len(times) < 3:
            raise RuntimeError("the process ends here")
        return result

    monkeypatch.setitem(acts.ACTS, JobKind.JOURNAL_TEMPLATES, breaking)
    run = jobs.run(TEMPLATES, date(YEAR, 1, 31))

    assert (run.status, run.done_count, run.attempt_count) == (DONE, 1, 3)
    assert jobs.agency.balances()[CASH] == 5_00


class _Killed(BaseException):
    """What no code of the service may catch: the process is gone."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_whose_process_was_killed_is_found_by_its_lease(jobs: Jobs, monkeypatch: pytest.MonkeyPatch):
    jobs.schedule.template()

    def killed(*_: Any) -> Any:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setitem(acts.ACTS, JobKind.JOURNAL_TEMPLATES, killed)
        operation = jobs.asked(jobs.asking(TEMPLATES, date(YEAR, 1, 31)))
        wait_until(lambda: jobs.log()[0].attempt_count == 1, what="the run's beginning")
    (left,) = jobs.log()
    with psycopg.connect(jobs.agency.books.superuser_url, autocommit=True) as connection:
        # The minute of the lease goes by.
        connection.execute(
            "update saga set leased_until = now() - interval '1 second' where document_id = %s", (left.operation_id,)
        )
    jobs.ended(operation)

    (run,) = jobs.log()
    assert (left.status, left.attempt_count) == (job_pb2.JOB_RUN_STATUS_RUNNING, 1)
    assert (run.status, run.done_count, run.attempt_count) == (DONE, 1, 2)
    assert jobs.agency.balances()[CASH] == 5_00


def test_a_run_that_always_ends_in_the_middle_is_given_up_and_may_be_asked_for_again(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
):
    jobs.schedule.template()

    def breaking(*_: Any) -> Any:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patch:
        patch.setitem(acts.ACTS, JobKind.JOURNAL_TEMPLATES, breaking)
        operation = jobs.ended(jobs.asked(jobs.asking(TEMPLATES, date(YEAR, 1, 31))))
    again = jobs.run(TEMPLATES, date(YEAR, 1, 31))

    assert operation.HasField("error")
    assert [(one.status, one.error_reason) for one in jobs.log()] == [(DONE, ""), (FAILED, "JOB_ATTEMPTS_EXHAUSTED")]
    assert (again.done_count, jobs.agency.balances()[CASH]) == (1, 5_00)


def test_the_services_own_runs_are_on_record_and_one_refusal_is_one_row(books: Books):
    jobs = Jobs(books.agency(open_to=1))
    jobs.schedule.template()

    for _ in range(3):
        jobs.by_service(JobKind.JOURNAL_TEMPLATES, date(YEAR, 2, 28))

    newest, oldest = jobs.log()
    assert (oldest.status, oldest.done_count, oldest.refused_count, oldest.attempt_count) == (PARTLY, 1, 1, 1)
    assert (newest.status, newest.done_count, newest.refused_count, newest.attempt_count) == (PARTLY, 0, 1, 2)
    assert {(one.person_id, one.subject, one.operation_id) for one in jobs.log()} == {("", "service:finance", "")}


def test_a_refused_round_is_raised_and_on_record(jobs: Jobs, monkeypatch: pytest.MonkeyPatch):
    def refusing(*_: Any) -> Any:
        raise PeriodClosed("nothing is open")

    monkeypatch.setitem(acts.ACTS, JobKind.FUNDS_REVALUATION, refusing)
    for _ in range(2):
        with pytest.raises(PeriodClosed):
            jobs.by_service(JobKind.FUNDS_REVALUATION, date(YEAR, 3, 31))

    (run,) = jobs.log(COMMITMENTS)
    assert (run.status, run.error_reason, run.attempt_count) == (FAILED, "PERIOD_CLOSED", 2)


def test_a_forged_balance_is_found_by_the_days_proofs_and_told_until_it_is_put_right(
    books: Books, caplog: pytest.LogCaptureFixture
):
    unit = Unit(books)
    (budget_line,) = unit.lines(40_000_000)
    unit.allotted()
    unit.debited(unit.ordered([owed(unit, budget_line).payable_id]))
    jobs, today = Jobs(unit.agency), datetime.now(UTC).date()
    forge = "update account_balance set debit_minor = debit_minor + %s where agency_id = %s and debit_minor > 0"

    sound = jobs.run(PROOFS, today)
    with psycopg.connect(books.superuser_url) as connection:
        connection.execute(forge, (1, unit.agency_id))
    failed = jobs.ended(jobs.asked(jobs.asking(PROOFS, today)))
    with psycopg.connect(books.superuser_url) as connection:
        # A day goes by.
        connection.execute("update proof_clock set proved_on = proved_on - 1 where entity_id = %s", (unit.agency_id,))
    with pytest.raises(ProofFailed):
        jobs.by_service(JobKind.PROOFS, today)
    with psycopg.connect(books.superuser_url) as connection:
        connection.execute(forge, (-1, unit.agency_id))
    jobs.by_service(JobKind.PROOFS, today)

    assert (sound.status, sound.done_count) == (DONE, len(verify.PROOFS_OF_AN_AGENCY))
    assert f"I3: agency {unit.agency_id}" in failed.error.message
    assert [(one.status, one.error_reason) for one in reversed(jobs.log(PROOFS))] == [
        (DONE, ""),
        (FAILED, "PROOF_FAILED"),
        (FAILED, "PROOF_FAILED"),
        (DONE, ""),
    ]
    assert jobs.kinds()[PROOFS].next_due_on == to_date(today + timedelta(1))
    assert caplog.text.count("the books of an agency do not hold") == 2


def test_a_treasurys_books_are_proved_by_themselves(books: Books):
    unit = Unit(books)
    (budget_line,) = unit.lines(40_000_000)
    unit.allotted()
    unit.ordered([owed(unit, budget_line).payable_id])
    jobs = Jobs(unit.treasury)

    run = jobs.run(PROOFS, datetime.now(UTC).date())

    assert run.status == DONE


def test_who_may_run_a_job_and_when(books: Books, jobs: Jobs):
    request = jobs.asking(TEMPLATES, date(YEAR, 1, 31))
    ahead = jobs.asking(TEMPLATES, date(datetime.now(UTC).year + 1, 1, 31))

    auditor = books.token([jobs.agency.agency_id], "auditor")
    assert jobs.not_asked(request, auditor).code is grpc.StatusCode.PERMISSION_DENIED
    assert jobs.not_asked(request, books.agency().accountant).code is grpc.StatusCode.PERMISSION_DENIED
    assert jobs.not_asked(ahead).fields == ("due_on",)
    assert jobs.log() == []
    runs = job_pb2.ListJobRunsRequest(agency_id=str(jobs.agency.agency_id))
    assert list(call_as(jobs.stub.ListJobRuns, runs, auditor).job_runs) == []


def test_each_kind_says_when_it_is_due_and_what_ran_last(jobs: Jobs):
    jobs.schedule.template(first_due_on=to_date(date(YEAR, 1, 31)))
    first = jobs.run(TEMPLATES, date(YEAR, 1, 31))

    kinds = jobs.kinds()

    assert list(kinds) == job_pb2.JobKind.values()[1:]
    assert kinds[TEMPLATES].next_due_on == to_date(date(YEAR, 2, 28))
    assert kinds[TEMPLATES].last_run.job_run_id == first.job_run_id
    assert not kinds[LATE].HasField("next_due_on")
    assert not kinds[LATE].HasField("last_run")
    page = job_pb2.ListJobsRequest(agency_id=str(jobs.agency.agency_id), page_size=3)
    reply = call_as(jobs.stub.ListJobs, page, jobs.agency.accountant)
    page.page_token = reply.next_page_token
    rest = call_as(jobs.stub.ListJobs, page, jobs.agency.accountant)
    assert [one.kind for one in (*reply.jobs, *rest.jobs)] == list(kinds)
    assert rest.next_page_token == ""


def test_pages_of_the_log_have_each_run_once(jobs: Jobs):
    names = [jobs.run(kind, date(YEAR, 1, 31)).job_run_id for kind in (LATE, COMMITMENTS, LATE, TEMPLATES, LATE)]

    assert [one.job_run_id for one in jobs.log(size=2)] == names[::-1]
    assert len(jobs.log(LATE, size=2)) == 3
