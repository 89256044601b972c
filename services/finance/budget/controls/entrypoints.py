"""BudgetControlService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import budget_control_pb2
from services.finance.budget.controls import store, usecases, wire

BUDGET_CONTROL = budget_control_pb2.DESCRIPTOR.services_by_name["BudgetControlService"]


class BudgetControlEntrypoints:
    """The RPCs of BudgetControlService."""

    db: Any

    @rpc(BUDGET_CONTROL)
    def create_budget_control_change(self, request, call):
        wanted = wire.change(request.budget_control_change, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.change_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(BUDGET_CONTROL)
    def get_budget_control_change(self, request, call):
        with self.db.read(call) as session:
            return wire.change_message(usecases.get(session, wire.change_id(request.name)))

    @rpc(BUDGET_CONTROL)
    def list_budget_control_changes(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "fiscal_year": request.fiscal_year,
            "budget_line_id": optional_uuid(request.budget_line_id, "budget_line_id"),
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.changes(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_control_pb2.ListBudgetControlChangesResponse(
            budget_control_changes=[wire.change_message(one) for one in shown],
            next_page_token=page.token([shown[-1].budget_control_change_id]) if len(found) > page.size else "",
        )

    @rpc(BUDGET_CONTROL)
    def approve_budget_control_change(self, request, call):
        with self.db.begin(call) as work:
            approved = usecases.approve(
                work.session, wire.change_id(request.name), person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(
                budget_control_pb2.ApproveBudgetControlChangeResponse(
                    budget_control_change=wire.change_message(approved)
                ),
                resource=request.name,
                agency_id=approved.agency_id,
            )
        return work.answer

    @rpc(BUDGET_CONTROL)
    def reject_budget_control_change(self, request, call):
        return self._end_control(request, call, usecases.reject, budget_control_pb2.RejectBudgetControlChangeResponse)

    @rpc(BUDGET_CONTROL)
    def recall_budget_control_change(self, request, call):
        return self._end_control(request, call, usecases.recall, budget_control_pb2.RecallBudgetControlChangeResponse)

    def _end_control(self, request, call, act, response):
        with self.db.begin(call) as work:
            ended = act(
                work.session,
                wire.change_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                response(budget_control_change=wire.change_message(ended)),
                resource=request.name,
                agency_id=ended.agency_id,
            )
        return work.answer
