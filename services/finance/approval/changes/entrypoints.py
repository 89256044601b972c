"""ApprovalRuleService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import approval_rule_change_pb2
from services.finance.approval.changes import store, usecases, wire
from services.finance.documents.domain import DECIDE

RULES = approval_rule_change_pb2.DESCRIPTOR.services_by_name["ApprovalRuleService"]


class ApprovalRuleEntrypoints:
    """The RPCs of ApprovalRuleService."""

    db: Any
    roles_of: Any

    @rpc(RULES)
    def create_approval_rule_change(self, request, call):
        wanted = wire.change(request.approval_rule_change, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            proposed = usecases.propose(work.session, wanted, deciders=self.roles_of(DECIDE))
            work.reply(wire.change_message(proposed))
        return work.answer

    @rpc(RULES)
    def get_approval_rule_change(self, request, call):
        with self.db.read(call) as session:
            return wire.change_message(usecases.get(session, wire.change_id(request.name)))

    @rpc(RULES)
    def list_approval_rule_changes(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.changes(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return approval_rule_change_pb2.ListApprovalRuleChangesResponse(
            approval_rule_changes=[wire.change_message(one) for one in shown],
            next_page_token=page.token([shown[-1].approval_rule_change_id]) if len(found) > page.size else "",
        )

    @rpc(RULES)
    def approve_approval_rule_change(self, request, call):
        with self.db.begin(call) as work:
            approved = usecases.approve(
                work.session,
                wire.change_id(request.name),
                person_id=call.principal.acting_person(),
                deciders=self.roles_of(DECIDE),
                at=call.now,
            )
            work.reply(
                approval_rule_change_pb2.ApproveApprovalRuleChangeResponse(
                    approval_rule_change=wire.change_message(approved)
                ),
                resource=request.name,
                agency_id=approved.agency_id,
            )
        return work.answer

    @rpc(RULES)
    def reject_approval_rule_change(self, request, call):
        response = approval_rule_change_pb2.RejectApprovalRuleChangeResponse
        return self._end_rule_change(request, call, usecases.reject, response)

    @rpc(RULES)
    def recall_approval_rule_change(self, request, call):
        response = approval_rule_change_pb2.RecallApprovalRuleChangeResponse
        return self._end_rule_change(request, call, usecases.recall, response)

    def _end_rule_change(self, request, call, act, response):
        with self.db.begin(call) as work:
            ended = act(
                work.session,
                wire.change_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                response(approval_rule_change=wire.change_message(ended)),
                resource=request.name,
                agency_id=ended.agency_id,
            )
        return work.answer
