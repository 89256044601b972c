"""DocumentStatusService: what each RPC does, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nameko.extensions import DependencyProvider

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.policy import Policy
from chassis.wire import optional_uuid
from kelola.finance.v1 import document_status_pb2
from services.finance.documents import store, usecases, wire

DOCUMENT_STATUS = document_status_pb2.DESCRIPTOR.services_by_name["DocumentStatusService"]


class RolesByPermission(DependencyProvider):
    """Which roles of people the policies give a permission to."""

    def setup(self) -> None:
        """Read the policies."""
        self._policy = Policy.load(self.container.settings.policies_dir)
        self._people = [role for role in self._policy.roles() if not role.startswith("service.")]

    def get_dependency(self, worker_ctx: object) -> Callable[[str], tuple[str, ...]]:
        """The roles that hold a permission, in the order of their names."""
        return lambda permission: tuple(role for role in self._people if self._policy.role_holds(role, permission))


class DocumentStatusEntrypoints:
    """The RPCs of DocumentStatusService."""

    db: Any
    roles_of: Any

    @rpc(DOCUMENT_STATUS)
    def get_document_status(self, request, call):
        document_id = wire.document_id(request.name)
        with self.db.read(call, snapshot=True) as session:
            found = usecases.get(session, document_id, roles_of=self.roles_of, on=call.now.date())
        call.principal.require(usecases.read_permission(found.state.kind), found.state.agency_id)
        return wire.status_message(found)

    @rpc(DOCUMENT_STATUS)
    def list_document_acts(self, request, call):
        document_id = wire.document_id(request.document_status, "document_status")
        page = Page.of(request, {"document_status": request.document_status})
        with self.db.read(call) as session:
            state = store.state(session, document_id)
            call.principal.require(usecases.read_permission(state.kind), state.agency_id)
            found = store.acts(session, document_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return document_status_pb2.ListDocumentActsResponse(
            document_acts=[wire.act_message(row) for row in shown],
            next_page_token=page.token([shown[-1].document_act_no]) if len(found) > page.size else "",
        )

    @rpc(DOCUMENT_STATUS)
    def list_waiting_documents(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        kind = wire.optional_kind(request.document_kind)
        person_id = call.principal.acting_person()
        filters = {"agency_id": agency_id, "kind": request.document_kind, "mine": str(request.made_by_caller)}
        page = Page.of(request, {**filters, "person_id": person_id})
        with self.db.read(call, snapshot=True) as session:
            desk = usecases.desk_of(
                session,
                person_id,
                agencies_of=call.principal.agencies,
                grants=[(grant.role, grant.agencies) for grant in call.principal.grants],
                on=call.now.date(),
            )
            found, last = usecases.waiting(
                session,
                desk,
                roles_of=self.roles_of,
                agency_id=agency_id,
                kind=kind,
                mine=request.made_by_caller,
                on=call.now.date(),
                after=page.after,
                limit=page.size,
            )
        return document_status_pb2.ListWaitingDocumentsResponse(
            document_statuses=[wire.status_message(one) for one in found],
            next_page_token="" if last is None else page.token([last.since, last.document_id]),
        )
