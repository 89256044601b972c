"""JobService, and the step that runs what persons asked for: what happens, in order."""

from __future__ import annotations

from typing import Any

import structlog

from chassis import operations
from chassis.container import every
from chassis.errors import KelolaError
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.saga import saga_step
from chassis.wire import from_date, to_uuid
from kelola.finance.v1 import job_pb2
from services.finance.jobs import store, usecases, wire
from services.finance.jobs.domain import JobKind

JOBS = job_pb2.DESCRIPTOR.services_by_name["JobService"]
_STEP = "finance.job"
# How often the service looks for books that were not proved today. A difference is told again as often.
PROOF_ROUND_SECONDS = 3600.0

log = structlog.get_logger("finance.jobs")


class JobEntrypoints:
    """The RPCs of JobService, and its saga."""

    db: Any
    clock: Any

    @rpc(JOBS)
    def list_jobs(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        kinds = list(JobKind)
        first = page.after[0] if page.after is not None else 0
        shown = kinds[first : first + page.size]
        with self.db.read(call) as session:
            messages = [
                wire.job_message(
                    kind,
                    agency_id,
                    usecases.next_due(session, agency_id, kind, at=call.now),
                    next(iter(store.runs(session, agency_id, kind=kind, limit=1)), None),
                )
                for kind in shown
            ]
        more = first + page.size < len(kinds)
        return job_pb2.ListJobsResponse(jobs=messages, next_page_token=page.token([first + page.size]) if more else "")

    @rpc(JOBS)
    def run_job(self, request, call):
        kind, agency_id = wire.kind(request.kind), to_uuid(request.agency_id, "agency_id")
        if kind.permission is not None:
            call.principal.require(kind.permission, agency_id)
        with self.db.begin(call) as work:
            run = usecases.request(
                work.session,
                kind=kind,
                agency_id=agency_id,
                due_on=from_date(request.due_on, "due_on"),
                person_id=call.principal.acting_person(),
                subject=call.principal.subject,
                at=call.now,
            )
            operation_id = operations.start(
                work.session,
                call,
                kind=_STEP,
                agency_id=agency_id,
                metadata=wire.run_message(run),
                operation_id=run.operation_id,
            )
            work.reply(operations.message(work.session, operation_id), agency_id=agency_id)
        return work.answer

    @rpc(JOBS)
    def list_job_runs(self, request, call):
        agency_id, kind = to_uuid(request.agency_id, "agency_id"), wire.kind(request.kind)
        page = Page.of(request, filters={"agency_id": agency_id, "kind": kind})
        with self.db.read(call) as session:
            found = store.runs(session, agency_id, kind=kind, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return job_pb2.ListJobRunsResponse(
            job_runs=[wire.run_message(one) for one in shown],
            next_page_token=page.token([shown[-1].job_run_id]) if len(found) > page.size else "",
        )

    @every(PROOF_ROUND_SECONDS)
    def prove_books(self):
        now = self.clock.now()
        with self.db.work((), subject=usecases.SUBJECT) as session:
            agencies = store.unproved(session, now.date())
        for agency_id in agencies:
            # Each agency in a transaction of its own: what is found in one of them does not stop the next.
            try:
                usecases.run_by_service(self.db, JobKind.PROOFS, agency_id, now.date(), at=now)
            except KelolaError as failure:
                log.warning("proofs wait for the next round", agency=str(agency_id), error=failure.message)

    @saga_step(_STEP)
    def run_asked_job(self, step):
        """One pass a step: the operation's id is the run's."""
        try:
            with self.db.work([step.agency_id], subject=f"saga:{_STEP}") as session:
                usecases.begin(session, step.document_id, at=self.clock.now())
            with self.db.step(step) as session:
                run = usecases.perform(session, step.document_id, at=self.clock.now())
                if run.ended_at is None:
                    operations.progress(session, step.document_id, wire.run_message(run))
                    step.proceed(session, kind=_STEP)
                else:
                    operations.finish(session, step.document_id, wire.run_message(run))
                    step.finish(session)
        except KelolaError as refusal:
            if refusal.code in usecases.PASSING:
                raise
            # The pass was undone with its transaction; that it was refused is kept.
            with self.db.step(step) as session:
                run = usecases.fail(session, step.document_id, refusal, at=self.clock.now())
                operations.progress(session, step.document_id, wire.run_message(run))
                operations.fail(session, step.document_id, refusal)
                step.finish(session)
