"""ApprovalService, and the clock that escalates: what happens, in order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from chassis.container import every
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import approval_pb2
from services.finance.approval import delegation_store as delegations
from services.finance.approval import rule_store, store, usecases, wire
from services.finance.approval.domain import Act
from services.finance.documents import usecases as documents
from services.finance.jobs import usecases as jobs
from services.finance.payables.wire import status_filter

APPROVAL = approval_pb2.DESCRIPTOR.services_by_name["ApprovalService"]
# How long an overdue step waits for the clock at most, when the service is up.
ESCALATION_SECONDS = 60.0


class ApprovalEntrypoints:
    """The RPCs of ApprovalService, and the clock."""

    db: Any
    clock: Any

    # --- the matrix --------------------------------------------------------------------------------------------

    @rpc(APPROVAL)
    def list_approval_rules(self, request, call):
        page = Page.of(request, {})
        with self.db.read(call) as session:
            found = rule_store.rules_page(session, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        last = [shown[-1].document_kind.value, shown[-1].step_number, shown[-1].approval_rule_id] if shown else []
        return approval_pb2.ListApprovalRulesResponse(
            approval_rules=[wire.rule_message(rule) for rule in shown],
            next_page_token=page.token(last) if len(found) > page.size else "",
        )

    # --- routes ------------------------------------------------------------------------------------------------

    @rpc(APPROVAL)
    def get_approval(self, request, call):
        with self.db.read(call) as session:
            return wire.route_message(usecases.get(session, wire.document_id(request.name)))

    @rpc(APPROVAL)
    def list_approvals(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        status = status_filter(approval_pb2.ApprovalStatus, "APPROVAL_STATUS_", request.status)
        person_id = call.principal.acting_person() if request.open_for_caller else None
        page = Page.of(request, {"agency_id": agency_id, "status": status, "person_id": person_id})
        with self.db.read(call) as session:
            roles = None
            if person_id is not None:
                grants = [(grant.role, grant.agencies) for grant in call.principal.grants]
                roles = usecases.open_roles(session, person_id, grants, call.now.date())
            found = store.route_ids(
                session, agency_id=agency_id, status=status, roles=roles, after=page.after, limit=page.size + 1
            )
            shown = found[: page.size]
            routes = store.routes(session, shown)
        return approval_pb2.ListApprovalsResponse(
            approvals=[wire.route_message(route) for route in routes],
            next_page_token=page.token([shown[-1]]) if len(found) > page.size else "",
        )

    @rpc(APPROVAL)
    def approve_step(self, request, call):
        return self._decide(request, call, Act.APPROVE, approval_pb2.ApproveStepResponse)

    @rpc(APPROVAL)
    def reject_step(self, request, call):
        return self._decide(request, call, Act.REJECT, approval_pb2.RejectStepResponse)

    def _decide(self, request, call, act, response):
        with self.db.begin(call) as work:
            route = usecases.decide(
                work.session,
                wire.document_id(request.name),
                act,
                person_id=call.principal.acting_person(),
                roles_in=lambda agency_id: _roles(call, agency_id),
                others=documents.parties,
                step_id=optional_uuid(request.approval_step_id, "approval_step_id"),
                explanation=request.explanation,
                at=call.now,
            )
            work.reply(
                response(approval=wire.route_message(route)),
                resource=request.name,
                agency_id=route.subject.agency_id,
            )
        return work.answer

    # --- delegations -------------------------------------------------------------------------------------------

    @rpc(APPROVAL)
    def create_approval_delegation(self, request, call):
        new = request.approval_delegation
        agency_id = to_uuid(new.agency_id, "approval_delegation.agency_id")
        with self.db.begin(call) as work:
            delegation_id = usecases.delegate(
                work.session,
                agency_id=agency_id,
                role=new.role,
                from_person_id=call.principal.acting_person(),
                to_person_id=to_uuid(new.to_person_id, "approval_delegation.to_person_id"),
                valid_from=from_date(new.valid_from, "approval_delegation.valid_from"),
                valid_until=from_date(new.valid_until, "approval_delegation.valid_until"),
                explanation=new.explanation,
                own_roles=_roles(call, agency_id),
                at=call.now,
            )
            work.reply(wire.delegation_message(delegations.delegation(work.session, delegation_id)))
        return work.answer

    @rpc(APPROVAL)
    def end_approval_delegation(self, request, call):
        delegation_id = wire.delegation_id(request.name)
        with self.db.begin(call) as work:
            agency_id = usecases.end_delegation(
                work.session, delegation_id, person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(
                approval_pb2.EndApprovalDelegationResponse(
                    approval_delegation=wire.delegation_message(delegations.delegation(work.session, delegation_id))
                ),
                resource=request.name,
                agency_id=agency_id,
            )
        return work.answer

    @rpc(APPROVAL)
    def list_approval_delegations(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        page = Page.of(request, {"agency_id": agency_id})
        with self.db.read(call) as session:
            found = delegations.delegations_page(session, agency_id=agency_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return approval_pb2.ListApprovalDelegationsResponse(
            approval_delegations=[wire.delegation_message(row) for row in shown],
            next_page_token=page.token([shown[-1].approval_delegation_id]) if len(found) > page.size else "",
        )

    # --- the clock ---------------------------------------------------------------------------------------------

    @every(ESCALATION_SECONDS)
    def escalate_overdue_steps(self):
        now = self.clock.now()
        jobs.note_escalations(self.db, usecases.escalate_overdue(self.db, now=now), at=now)


def _roles(call: Any, agency_id: UUID) -> frozenset[str]:
    """The roles that the caller holds in an agency."""
    return frozenset(grant.role for grant in call.principal.grants if agency_id in grant.agencies)
