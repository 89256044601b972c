"""BudgetChangeService: what each RPC does, in order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from chassis.call import Call
from chassis.errors import PermissionDenied
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import budget_change_pb2
from services.finance.budget.changes import store, usecases, wire
from services.finance.budget.changes.domain import Change, ChangeKind
from services.finance.budget.changes.virement import VirementRule

BUDGET_CHANGE = budget_change_pb2.DESCRIPTOR.services_by_name["BudgetChangeService"]


class BudgetChangeEntrypoints:
    """The RPCs of BudgetChangeService."""

    db: Any

    @rpc(BUDGET_CHANGE)
    def create_budget_change(self, request, call):
        wanted = wire.change(request.budget_change, by=call.principal.acting_person(), at=call.now)
        with self.db.begin(call) as work:
            work.reply(wire.change_message(usecases.propose(work.session, wanted)))
        return work.answer

    @rpc(BUDGET_CHANGE)
    def get_budget_change(self, request, call):
        with self.db.read(call) as session:
            return wire.change_message(usecases.get(session, wire.change_id(request.name)))

    @rpc(BUDGET_CHANGE)
    def list_budget_changes(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "fiscal_year": request.fiscal_year,
            "kind": wire.optional_kind(request.kind),
            "status": wire.optional_status(request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.changes(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_change_pb2.ListBudgetChangesResponse(
            budget_changes=[wire.change_message(one) for one in shown],
            next_page_token=page.token([shown[-1].budget_change_id]) if len(found) > page.size else "",
        )

    @rpc(BUDGET_CHANGE)
    def approve_budget_change(self, request, call):
        with self.db.begin(call) as work:
            approved = usecases.approve(
                work.session,
                wire.change_id(request.name),
                person_id=call.principal.acting_person(),
                at=call.now,
                require_roles=_roles_of(call),
            )
            work.reply(
                budget_change_pb2.ApproveBudgetChangeResponse(budget_change=wire.change_message(approved)),
                resource=request.name,
                agency_id=approved.agency_id,
            )
        return work.answer

    @rpc(BUDGET_CHANGE)
    def reject_budget_change(self, request, call):
        with self.db.begin(call) as work:
            rejected = usecases.reject(
                work.session,
                wire.change_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_change_pb2.RejectBudgetChangeResponse(budget_change=wire.change_message(rejected)),
                resource=request.name,
                agency_id=rejected.agency_id,
            )
        return work.answer

    @rpc(BUDGET_CHANGE)
    def recall_budget_change(self, request, call):
        with self.db.begin(call) as work:
            recalled = usecases.recall(
                work.session,
                wire.change_id(request.name),
                person_id=call.principal.acting_person(),
                reason=request.reason,
                at=call.now,
            )
            work.reply(
                budget_change_pb2.RecallBudgetChangeResponse(budget_change=wire.change_message(recalled)),
                resource=request.name,
                agency_id=recalled.agency_id,
            )
        return work.answer

    @rpc(BUDGET_CHANGE)
    def batch_create_virement_rules(self, request, call):
        rules = [wire.rule(one, f"virement_rules[{nth}]") for nth, one in enumerate(request.virement_rules)]
        with self.db.begin(call) as work:
            outcome = usecases.create_rules(work.session, rules)
            work.reply(
                budget_change_pb2.BatchCreateVirementRulesResponse(
                    virement_rules=[wire.rule_message(rule) for rule, _ in outcome],
                    existing_count=sum(not is_new for _, is_new in outcome),
                )
            )
        return work.answer

    @rpc(BUDGET_CHANGE)
    def list_virement_rules(self, request, call):
        page = Page.of(request)
        with self.db.read(call) as session:
            found = store.list_rules(session, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return budget_change_pb2.ListVirementRulesResponse(
            virement_rules=[wire.rule_message(rule) for rule in shown],
            next_page_token=page.token([shown[-1].code, shown[-1].valid_from]) if len(found) > page.size else "",
        )


def _roles_of(call: Call) -> Callable[[Change, Collection[VirementRule]], None]:
    """Refuses unless the caller may put this change in force: by permission, or by the role that each rule names."""

    def require(change: Change, rules: Collection[VirementRule]) -> None:
        if change.kind is not ChangeKind.VIREMENT:
            # Whoever puts appropriations in force puts their amendments in force, and holds back from them.
            call.principal.require("finance.appropriation.activate", change.agency_id)
            return
        held = {grant.role for grant in call.principal.grants if change.agency_id in grant.agencies}
        for rule in rules:
            if rule.approver_role not in held:
                raise PermissionDenied(
                    f"rule of virement {rule.code} asks for the role {rule.approver_role}, which is not held in "
                    f"agency {change.agency_id} ({rule.legal_source})",
                    metadata={"virement_rule": rule.code, "role": rule.approver_role},
                )

    return require
