"""JournalTemplateService and the service's own round: what each does, in order."""

from __future__ import annotations

from typing import Any

import structlog

from chassis.container import every
from chassis.errors import InvalidArgument, KelolaError
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import journal_template_pb2
from services.finance.jobs import usecases as jobs
from services.finance.jobs.domain import JobKind
from services.finance.ledger.joint import reversing
from services.finance.ledger.schedule import store, usecases, wire

TEMPLATE = journal_template_pb2.DESCRIPTOR.services_by_name["JournalTemplateService"]
# Due days are civil days: within the hour is soon enough, and what was refused is not asked for too often.
ROUND_SECONDS = 3_600.0
_SUBJECT = "service:finance"

log = structlog.get_logger("finance.schedule")


class ScheduleEntrypoints:
    """The RPCs of JournalTemplateService, and the round that runs what is due."""

    db: Any
    clock: Any

    @rpc(TEMPLATE)
    def create_journal_template(self, request, call):
        wanted = wire.template(request.journal_template, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            created = usecases.create(work.session, wanted)
            work.reply(wire.template_message(created, created.next_due(frozenset())))
        return work.answer

    @rpc(TEMPLATE)
    def get_journal_template(self, request, call):
        with self.db.read(call) as session:
            found = usecases.get(session, wire.template_id(request.name))
            due = usecases.next_due(session, [found])
        return wire.template_message(found, due[found.journal_template_id])

    @rpc(TEMPLATE)
    def list_journal_templates(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        with self.db.read(call) as session:
            found = store.templates(session, agency_id, after=page.after, limit=page.size + 1)
            due = usecases.next_due(session, found)
        shown = found[: page.size]
        return journal_template_pb2.ListJournalTemplatesResponse(
            journal_templates=[wire.template_message(one, due[one.journal_template_id]) for one in shown],
            next_page_token=page.token([shown[-1].journal_template_id]) if len(found) > page.size else "",
        )

    @rpc(TEMPLATE)
    def end_journal_template(self, request, call):
        with self.db.begin(call) as work:
            done = usecases.end(
                work.session,
                wire.template_id(request.name),
                last_due_on=from_date(request.last_due_on, "last_due_on"),
            )
            due = usecases.next_due(work.session, [done])
            work.reply(
                journal_template_pb2.EndJournalTemplateResponse(
                    journal_template=wire.template_message(done, due[done.journal_template_id])
                ),
                resource=request.name,
                agency_id=done.agency_id,
            )
        return work.answer

    @rpc(TEMPLATE)
    def run_journal_templates(self, request, call):
        agency_id, today = to_uuid(request.agency_id, "agency_id"), call.now.date()
        to = from_date(request.due_to, "due_to") if request.HasField("due_to") else today
        if to > today:
            raise InvalidArgument.field("due_to", f"{to} is in the future; today is {today}")
        person_id = call.principal.acting_person()
        with self.db.begin(call) as work:
            # Before the agency's own entries, so that rounds of two agencies do not wait for each other.
            acts, more_acts = reversing.run_due(
                work.session, agency_id, to=to, at=call.now, person_id=person_id, within=call.agencies
            )
            outcome, more = usecases.run(work.session, agency_id, to=to, at=call.now, person_id=person_id)
            work.reply(
                journal_template_pb2.RunJournalTemplatesResponse(
                    scheduled_entries=[wire.scheduled_message(one) for one in usecases.in_order([*acts, *outcome])],
                    more=more or more_acts,
                ),
                agency_id=agency_id,
            )
        return work.answer

    @rpc(TEMPLATE)
    def list_scheduled_entries(self, request, call):
        filters = {
            "agency_id": to_uuid(request.agency_id, "agency_id"),
            "source_id": optional_uuid(request.source_id, "source_id"),
            "status": wire.status(request.status),
        }
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            found = store.scheduled(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return journal_template_pb2.ListScheduledEntriesResponse(
            scheduled_entries=[wire.scheduled_message(one) for one in shown],
            next_page_token=page.token([shown[-1].due_on, shown[-1].source_id]) if len(found) > page.size else "",
        )

    @every(ROUND_SECONDS)
    def run_due_entries(self):
        now = self.clock.now()
        with self.db.work((), subject=_SUBJECT) as session:
            agencies = store.due_agencies(session, now.date())
        for agency_id in agencies:
            # Each agency in a transaction of its own: what stops one of them does not stop the next.
            try:
                jobs.run_by_service(self.db, JobKind.JOURNAL_TEMPLATES, agency_id, now.date(), at=now)
            except KelolaError as failure:
                log.warning("scheduled entries wait for the next round", agency=str(agency_id), error=failure.message)
