"""BudgetOverrideService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from chassis.call import Call
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import budget_override_pb2
from services.finance.budget.overrides import store, usecases, wire

BUDGET_OVERRIDE = budget_override_pb2.DESCRIPTOR.services_by_name["BudgetOverrideService"]


class BudgetOverrideEntrypoints:
    """The RPCs of BudgetOverrideService."""

    db: Any

    @rpc(BUDGET_OVERRIDE)
    def create_budget_override(self, request, call):
        wanted = wire.override(request.budget_override, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.override_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(BUDGET_OVERRIDE)
    def get_budget_override(self, request, call):
        with self.db.read(call) as session:
            return wire.override_message(usecases.get(session, wire.override_id(request.name)))

    @rpc(BUDGET_OVERRIDE)
    def list_budget_overrides(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "fiscal_year": request.fiscal_year,
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.overrides(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_override_pb2.ListBudgetOverridesResponse(
            budget_overrides=[wire.override_message(one) for one in shown],
            next_page_token=page.token([shown[-1].budget_override_id]) if len(found) > page.size else "",
        )

    @rpc(BUDGET_OVERRIDE)
    def approve_budget_override(self, request, call):
        with self.db.begin(call) as work:
            opened = usecases.approve(
                work.session,
                wire.override_id(request.name),
                person_id=call.principal.acting_person(),
                role_in=lambda agency_id: _role_in(call, agency_id),
                at=call.now,
            )
            work.reply(
                budget_override_pb2.ApproveBudgetOverrideResponse(budget_override=wire.override_message(opened)),
                resource=request.name,
                agency_id=opened.agency_id,
            )
        return work.answer

    @rpc(BUDGET_OVERRIDE)
    def reject_budget_override(self, request, call):
        with self.db.begin(call) as work:
            rejected = usecases.reject(
                work.session,
                wire.override_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_override_pb2.RejectBudgetOverrideResponse(budget_override=wire.override_message(rejected)),
                resource=request.name,
                agency_id=rejected.agency_id,
            )
        return work.answer

    @rpc(BUDGET_OVERRIDE)
    def recall_budget_override(self, request, call):
        with self.db.begin(call) as work:
            recalled = usecases.recall(
                work.session,
                wire.override_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_override_pb2.RecallBudgetOverrideResponse(budget_override=wire.override_message(recalled)),
                resource=request.name,
                agency_id=recalled.agency_id,
            )
        return work.answer

    @rpc(BUDGET_OVERRIDE)
    def close_budget_override(self, request, call):
        with self.db.begin(call) as work:
            ended = usecases.close(
                work.session, wire.override_id(request.name), person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(
                budget_override_pb2.CloseBudgetOverrideResponse(budget_override=wire.override_message(ended)),
                resource=request.name,
                agency_id=ended.agency_id,
            )
        return work.answer

    @rpc(BUDGET_OVERRIDE)
    def list_funds_over_limits(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "budget_line_id": optional_uuid(request.budget_line_id, "budget_line_id"),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.over_limits(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_override_pb2.ListFundsOverLimitsResponse(
            funds_over_limits=[wire.over_limit_message(row) for row in shown],
            next_page_token=page.token([shown[-1].funds_over_limit_id]) if len(found) > page.size else "",
        )


def _role_in(call: Call, agency_id: UUID) -> str:
    """The role by which the caller may open overrides of an agency: kept as the authority that answered."""
    return next(
        (
            grant.role
            for grant in call.principal.grants
            if agency_id in grant.agencies and call.principal.role_holds(grant.role, str(call.permission))
        ),
        "",
    )
