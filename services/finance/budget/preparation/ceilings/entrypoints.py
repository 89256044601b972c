"""BudgetPreparationService, ceilings: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import budget_preparation_pb2 as pb
from services.finance.budget.preparation.ceilings import store, usecases, wire

PREPARATION = pb.DESCRIPTOR.services_by_name["BudgetPreparationService"]


class BudgetCeilingEntrypoints:
    """The RPCs of BudgetPreparationService about ceilings."""

    db: Any

    @rpc(PREPARATION)
    def create_budget_ceiling(self, request, call):
        wanted = wire.ceiling(request.budget_ceiling, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.ceiling_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(PREPARATION)
    def get_budget_ceiling(self, request, call):
        with self.db.read(call) as session:
            return wire.ceiling_message(usecases.get(session, wire.ceiling_id(request.name)))

    @rpc(PREPARATION)
    def list_budget_ceilings(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "fiscal_year": request.fiscal_year,
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.ceilings(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return pb.ListBudgetCeilingsResponse(
            budget_ceilings=[wire.ceiling_message(one) for one in shown],
            next_page_token=page.token([shown[-1].budget_ceiling_id]) if len(found) > page.size else "",
        )

    @rpc(PREPARATION)
    def approve_budget_ceiling(self, request, call):
        with self.db.begin(call) as work:
            approved = usecases.approve(
                work.session,
                wire.ceiling_id(request.name),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                pb.ApproveBudgetCeilingResponse(budget_ceiling=wire.ceiling_message(approved)),
                resource=request.name,
                agency_id=approved.agency_id,
            )
        return work.answer

    @rpc(PREPARATION)
    def reject_budget_ceiling(self, request, call):
        return self._end_ceiling(request, call, usecases.reject, pb.RejectBudgetCeilingResponse)

    @rpc(PREPARATION)
    def recall_budget_ceiling(self, request, call):
        return self._end_ceiling(request, call, usecases.recall, pb.RecallBudgetCeilingResponse)

    def _end_ceiling(self, request, call, act, response):
        with self.db.begin(call) as work:
            ended = act(
                work.session,
                wire.ceiling_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                response(budget_ceiling=wire.ceiling_message(ended)),
                resource=request.name,
                agency_id=ended.agency_id,
            )
        return work.answer

    @rpc(PREPARATION)
    def list_budget_ceiling_figures(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        on = from_date(request.on, "on") if request.HasField("on") else call.now.date()
        year, currency = request.fiscal_year, request.currency_code
        page = Page.of(request, {"agency_id": agency_id, "fiscal_year": year, "currency": currency, "on": on})
        with self.db.read(call, snapshot=True) as session:
            found = usecases.figures(session, agency_id, year, currency, on=on)
        keyed = [(usecases.order_of(one), one) for one in found]
        rest = [each for each in keyed if page.after is None or each[0] > page.after]
        shown = rest[: page.size]
        return pb.ListBudgetCeilingFiguresResponse(
            budget_ceiling_figures=[wire.figures_message(one, year, currency) for _, one in shown],
            next_page_token=page.token(shown[-1][0]) if len(rest) > page.size else "",
        )
