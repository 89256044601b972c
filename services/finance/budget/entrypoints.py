"""BudgetService: what each RPC does, in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chassis.call import Call
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, from_money, to_money, to_uuid
from kelola.finance.v1 import budget_pb2
from services.finance.budget import appropriation, appropriation_store, report_store, usecases, wire, withdrawal
from services.finance.budget.domain import BudgetExceeded
from services.finance.budget.limits import store as limit_store
from services.finance.budget.limits import usecases as limits
from services.finance.budget.limits import wire as limit_wire
from services.finance.budget.usecases import FundsOrder

BUDGET = budget_pb2.DESCRIPTOR.services_by_name["BudgetService"]


class BudgetEntrypoints:
    """The RPCs of BudgetService."""

    db: Any

    @rpc(BUDGET)
    def import_appropriation(self, request, call):
        order = wire.import_order(request)
        with self.db.begin(call) as work:
            present, line_ids = appropriation.import_lines(
                work.session, order, person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(
                budget_pb2.ImportAppropriationResponse(
                    appropriation=wire.appropriation_message(present), budget_line_ids=map(str, line_ids)
                ),
                agency_id=order.agency_id,
            )
        return work.answer

    @rpc(BUDGET)
    def activate_appropriation(self, request, call):
        with self.db.begin(call) as work:
            active = appropriation.activate(
                work.session,
                wire.appropriation_id(request.name),
                control_line_count=request.control_line_count,
                control_total=from_money(request.control_total, "control_total"),
                effective_on=from_date(request.effective_on, "effective_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                budget_pb2.ActivateAppropriationResponse(appropriation=wire.appropriation_message(active)),
                resource=request.name,
                agency_id=active.agency_id,
            )
        return work.answer

    @rpc(BUDGET)
    def withdraw_appropriation(self, request, call):
        with self.db.begin(call) as work:
            withdrawn = withdrawal.withdraw(
                work.session,
                wire.appropriation_id(request.name),
                reason=request.reason,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                budget_pb2.WithdrawAppropriationResponse(appropriation=wire.appropriation_message(withdrawn)),
                resource=request.name,
                agency_id=withdrawn.agency_id,
            )
        return work.answer

    @rpc(BUDGET)
    def get_appropriation(self, request, call):
        with self.db.read(call) as session:
            return wire.appropriation_message(appropriation.get(session, wire.appropriation_id(request.name)))

    @rpc(BUDGET)
    def list_appropriations(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id") if request.agency_id else None
        page = Page.of(request, {"agency_id": agency_id, "fiscal_year": request.fiscal_year})
        with self.db.read(call) as session:
            found = appropriation_store.appropriations(
                session,
                agency_id=agency_id,
                fiscal_year=request.fiscal_year,
                after=page.after,
                limit=page.size + 1,
            )
        shown = found[: page.size]
        return budget_pb2.ListAppropriationsResponse(
            appropriations=[wire.appropriation_message(one) for one in shown],
            next_page_token=page.token([shown[-1].appropriation_id]) if len(found) > page.size else "",
        )

    @rpc(BUDGET)
    def allot_funds(self, request, call):
        order = wire.allotment_order(request)
        with self.db.begin(call) as work:
            allotted = appropriation.allot(work.session, order, person_id=call.principal.acting_person(), at=call.now)
            work.reply(
                budget_pb2.AllotFundsResponse(
                    allotment_order_id=str(allotted.allotment_order_id),
                    line_count=allotted.line_count,
                    total=to_money(allotted.total),
                ),
                resource=f"allotmentOrders/{allotted.allotment_order_id}",
                agency_id=order.agency_id,
            )
        return work.answer

    @rpc(BUDGET)
    def reserve_funds(self, request, call):
        return self._move_funds(request, call, usecases.reserve, budget_pb2.ReserveFundsResponse)

    @rpc(BUDGET)
    def obligate_funds(self, request, call):
        return self._move_funds(request, call, usecases.obligate, budget_pb2.ObligateFundsResponse)

    @rpc(BUDGET)
    def release_funds(self, request, call):
        return self._move_funds(request, call, usecases.release, budget_pb2.ReleaseFundsResponse)

    @rpc(BUDGET)
    def adjust_obligation(self, request, call):
        return self._move_funds(request, call, usecases.adjust, budget_pb2.AdjustObligationResponse)

    @rpc(BUDGET)
    def expend_funds(self, request, call):
        order, person_id = wire.funds_order(request), call.principal.acting_person()
        try:
            with self.db.begin(call) as work:
                accepted = usecases.expend(work.session, order, person_id=person_id)
                work.reply(
                    budget_pb2.ExpendFundsResponse(
                        movements=wire.movement_messages(accepted, order, person_id),
                        journal_entry_id=str(accepted.journal_entry_id),
                    ),
                    resource=_resource(order),
                    agency_id=order.agency_id,
                )
        except BudgetExceeded as refusal:
            self._tell_refusal(order, refusal, call)
            raise
        return work.answer

    @rpc(BUDGET)
    def check_funds(self, request, call):
        order = wire.funds_order(request)
        with self.db.read(call, snapshot=True) as session:
            checked = usecases.what_if(session, order, obligate=request.step == budget_pb2.PERIOD_LIMIT_STEP_OBLIGATE)
            return limit_wire.check_message(checked, report_store.lines_by_id(session, checked.before))

    @rpc(BUDGET)
    def batch_create_period_limits(self, request, call):
        wanted = [limit_wire.limit(one, f"period_limits[{nth}]") for nth, one in enumerate(request.period_limits)]
        with self.db.begin(call) as work:
            outcome = limits.create_limits(work.session, wanted)
            work.reply(
                budget_pb2.BatchCreatePeriodLimitsResponse(
                    period_limits=[limit_wire.limit_message(one) for one, _ in outcome],
                    existing_count=sum(not is_new for _, is_new in outcome),
                ),
                agency_id=wanted[0].agency_id,
            )
        return work.answer

    @rpc(BUDGET)
    def list_period_limits(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, {"agency_id": agency_id})
        with self.db.read(call) as session:
            found = limit_store.list_limits(session, agency_id=agency_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_pb2.ListPeriodLimitsResponse(
            period_limits=[limit_wire.limit_message(one) for one in shown],
            next_page_token=page.token([shown[-1].step.value, shown[-1].valid_from]) if len(found) > page.size else "",
        )

    @rpc(BUDGET)
    def get_budget_line(self, request, call):
        with self.db.read(call) as session:
            return wire.line_message(report_store.line(session, wire.budget_line_id(request.name)))

    @rpc(BUDGET)
    def list_budget_lines(self, request, call):
        wanted = wire.line_filter(request)
        page = Page.of(request, wanted.values())
        with self.db.read(call) as session:
            found = report_store.lines(session, wanted, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        more = len(found) > page.size
        return budget_pb2.ListBudgetLinesResponse(
            budget_lines=[wire.line_message(row) for row in shown],
            next_page_token=page.token(
                [
                    shown[-1].organisation_code,
                    shown[-1].account_code,
                    shown[-1].line_no,
                    shown[-1].budget_line_id,
                ]
            )
            if more
            else "",
        )

    @rpc(BUDGET)
    def list_funds_movements(self, request, call):
        line_id = to_uuid(request.budget_line_id, "budget_line_id")
        page = Page.of(request, {"budget_line_id": line_id})
        with self.db.read(call) as session:
            report_store.line(session, line_id)
            found = report_store.movements(session, line_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_pb2.ListFundsMovementsResponse(
            funds_movements=[wire.stored_movement(row) for row in shown],
            next_page_token=page.token([shown[-1].recorded_at, shown[-1].funds_movement_id])
            if len(found) > page.size
            else "",
        )

    @rpc(BUDGET)
    def get_execution_report(self, request, call):
        wanted = replace(wire.line_filter(request), whole_span=request.whole_span)
        level = wire.report_level(request.level)
        page = Page.of(request, {**wanted.values(), "level": level, "segments": request.account_segments})
        with self.db.read(call, snapshot=True) as session:
            found, sums = report_store.report(
                session,
                wanted,
                level=level,
                segments=request.account_segments,
                after=page.after,
                limit=page.size + 1,
            )
        shown = found[: page.size]
        return wire.report_message(
            shown, sums, page.token(wire.report_key(shown[-1])) if len(found) > page.size else ""
        )

    # --- what the funds RPCs share ---------------------------------------------------------------------------

    def _move_funds(self, request, call, act, response_class):
        """One act on funds; a refusal is recorded in a transaction of its own and then raised."""
        order, person_id = wire.funds_order(request), call.principal.acting_person()
        try:
            with self.db.begin(call) as work:
                moved = act(work.session, order, person_id=person_id)
                work.reply(
                    response_class(movements=wire.movement_messages(moved, order, person_id)),
                    resource=_resource(order),
                    agency_id=order.agency_id,
                )
        except BudgetExceeded as refusal:
            self._tell_refusal(order, refusal, call)
            raise
        return work.answer

    def _tell_refusal(self, order: FundsOrder, refusal: BudgetExceeded, call: Call) -> None:
        with self.db.work([order.agency_id], subject=call.principal.subject) as session:
            usecases.record_refusal(
                session,
                order.agency_id,
                order.document,
                refusal,
                subject=call.principal.subject,
                request_id=str(call.request_id),
                person_id=call.principal.person_id,
            )


def _resource(order: FundsOrder) -> str:
    return f"fundsDocuments/{order.document.document_id}"
