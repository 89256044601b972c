"""JointEntryService, and the round that reverses what is due: what each does, in order."""

from __future__ import annotations

from typing import Any

import structlog

from chassis.container import every
from chassis.errors import KelolaError
from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import joint_entry_pb2
from services.finance.classification.store import functional_currencies
from services.finance.ledger.joint import reversing, store, usecases, wire
from services.finance.ledger.schedule.domain import RUN_MAX
from services.finance.ledger.schedule.entrypoints import ROUND_SECONDS

JOINT_ENTRY = joint_entry_pb2.DESCRIPTOR.services_by_name["JointEntryService"]
CREATE = "finance.journal_entry.create"
REVERSE = "finance.journal_entry.reverse"
POST_LATE = "finance.fiscal_period.post_late"
_SUBJECT = "service:finance"

log = structlog.get_logger("finance.joint")


class JointEntryEntrypoints:
    """The RPCs of JointEntryService, and the round that reverses what is due."""

    db: Any
    clock: Any

    @rpc(JOINT_ENTRY)
    def create_joint_entry(self, request, call):
        act = wire.act(request.joint_entry, person_id=call.principal.acting_person())
        for agency_id in sorted(act.agency_ids):
            call.principal.require(CREATE, agency_id)
            if act.late_reason:
                call.principal.require(POST_LATE, agency_id)
        with self.db.begin(call) as work:
            stored = usecases.create(work.session, act)
            message = wire.act_message(stored, _currency(work.session, stored))
            work.reply(message, agency_id=stored.treasury_agency_id)
        return work.answer

    @rpc(JOINT_ENTRY)
    def get_joint_entry(self, request, call):
        with self.db.read(call) as session:
            stored = usecases.get(session, wire.act_id(request.name))
            return wire.act_message(stored, _currency(session, stored))

    @rpc(JOINT_ENTRY)
    def list_joint_entries(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        corrects_id = optional_uuid(request.corrects_joint_entry_id, "corrects_joint_entry_id")
        page = Page.of(request, filters={"agency_id": agency_id, "corrects_id": corrects_id})
        with self.db.read(call) as session:
            keys = store.act_ids(session, agency_id, corrects_id=corrects_id, after=page.after, limit=page.size + 1)
            found = store.acts(session, keys[: page.size])
            currency = functional_currencies(session, [agency_id]).get(agency_id)
        return joint_entry_pb2.ListJointEntriesResponse(
            joint_entries=[wire.act_message(one, currency) for one in found],
            next_page_token=page.token([keys[page.size - 1]]) if len(keys) > page.size else "",
        )

    @rpc(JOINT_ENTRY)
    def reverse_joint_entry(self, request, call):
        def may_reverse(agency_id):
            call.principal.require(REVERSE, agency_id)
            if request.late_reason:
                call.principal.require(POST_LATE, agency_id)

        with self.db.begin(call) as work:
            stored = usecases.reverse(
                work.session,
                wire.act_id(request.name),
                reversal_id=new_id(),
                effective_on=from_date(request.effective_on, "effective_on")
                if request.HasField("effective_on")
                else None,
                reason=request.reason,
                late_reason=request.late_reason,
                in_adjustment_period=request.in_adjustment_period,
                person_id=call.principal.acting_person(),
                may_reverse=may_reverse,
            )
            work.reply(
                joint_entry_pb2.ReverseJointEntryResponse(
                    joint_entry=wire.act_message(stored, _currency(work.session, stored))
                ),
                resource=request.name,
                agency_id=stored.treasury_agency_id,
            )
        return work.answer

    @every(ROUND_SECONDS)
    def reverse_due_acts(self):
        now = self.clock.now()
        with self.db.work((), subject=_SUBJECT) as session:
            due = store.due(session, now.date(), limit=RUN_MAX)
        for one in due:
            # Each act in a transaction of its own, which sees its agencies alone.
            try:
                with self.db.work(one.agency_ids, subject=_SUBJECT) as session:
                    store.lock_round(session)
                    reversing.reverse_one(session, one, at=now, person_id=None)
            except KelolaError as failure:
                log.warning("an act waits for the next round", act=str(one.joint_entry_id), error=failure.message)


def _currency(session, stored):
    """The currency of the act's books, which is one."""
    agency_id = stored.entries[0].entry.agency_id
    return functional_currencies(session, [agency_id]).get(agency_id)
