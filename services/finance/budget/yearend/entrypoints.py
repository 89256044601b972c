"""BudgetYearEndService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import budget_year_end_pb2
from services.finance.budget.yearend import store, usecases, wire

YEAR_END = budget_year_end_pb2.DESCRIPTOR.services_by_name["BudgetYearEndService"]


class BudgetYearEndEntrypoints:
    """The RPCs of BudgetYearEndService."""

    db: Any

    @rpc(YEAR_END)
    def create_budget_year_end(self, request, call):
        wanted = wire.year_end(request.budget_year_end, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.year_end_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(YEAR_END)
    def get_budget_year_end(self, request, call):
        with self.db.read(call) as session:
            return wire.year_end_message(usecases.get(session, wire.year_end_id(request.name)))

    @rpc(YEAR_END)
    def list_budget_year_ends(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "fiscal_year": request.fiscal_year,
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.year_ends(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_year_end_pb2.ListBudgetYearEndsResponse(
            budget_year_ends=[wire.year_end_message(one) for one in shown],
            next_page_token=page.token([shown[-1].budget_year_end_id]) if len(found) > page.size else "",
        )

    @rpc(YEAR_END)
    def list_budget_year_end_lines(self, request, call):
        year_end_id = wire.year_end_id(request.budget_year_end)
        page = Page.of(request, {"budget_year_end": year_end_id})
        with self.db.read(call) as session:
            usecases.get(session, year_end_id)
            found = store.results(session, year_end_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_year_end_pb2.ListBudgetYearEndLinesResponse(
            budget_year_end_lines=[wire.result_message(row) for row in shown],
            next_page_token=page.token([shown[-1].budget_line_id]) if len(found) > page.size else "",
        )

    @rpc(YEAR_END)
    def approve_budget_year_end(self, request, call):
        with self.db.begin(call) as work:
            ended = usecases.approve(
                work.session, wire.year_end_id(request.name), person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(
                budget_year_end_pb2.ApproveBudgetYearEndResponse(budget_year_end=wire.year_end_message(ended)),
                resource=request.name,
                agency_id=ended.agency_id,
            )
        return work.answer

    @rpc(YEAR_END)
    def reject_budget_year_end(self, request, call):
        with self.db.begin(call) as work:
            rejected = usecases.reject(
                work.session,
                wire.year_end_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_year_end_pb2.RejectBudgetYearEndResponse(budget_year_end=wire.year_end_message(rejected)),
                resource=request.name,
                agency_id=rejected.agency_id,
            )
        return work.answer

    @rpc(YEAR_END)
    def recall_budget_year_end(self, request, call):
        with self.db.begin(call) as work:
            recalled = usecases.recall(
                work.session,
                wire.year_end_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_year_end_pb2.RecallBudgetYearEndResponse(budget_year_end=wire.year_end_message(recalled)),
                resource=request.name,
                agency_id=recalled.agency_id,
            )
        return work.answer
