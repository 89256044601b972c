"""AccessService: what each RPC does, in order."""

from __future__ import annotations

from nameko.extensions import DependencyProvider

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.policy import Policy
from chassis.wire import optional_uuid, resource_id
from kelola.identity.v1 import access_pb2
from services.identity.access import store, usecases, wire
from services.identity.access.domain import Role

ACCESS = access_pb2.DESCRIPTOR.services_by_name["AccessService"]


class Roles(DependencyProvider):
    """The roles that the policies define, with their permissions."""

    def setup(self) -> None:
        """Read the policies."""
        policy = Policy.load(self.container.settings.policies_dir)
        permissions = policy.permissions()
        self.roles = [
            Role(role, tuple(permission for permission in permissions if policy.role_holds(role, permission)))
            for role in policy.roles()
        ]

    def get_dependency(self, worker_ctx: object) -> list[Role]:
        """The roles in the order of their names."""
        return self.roles


class AccessEntrypoints:
    """The RPCs of AccessService. Grants are behind the agency wall."""

    @rpc(ACCESS)
    def list_roles(self, request, call):
        page = Page.of(request)
        after = page.after[0] if page.after else ""
        roles = [role for role in self.roles if role.role > after]
        more = len(roles) > page.size
        return access_pb2.ListRolesResponse(
            roles=[wire.role_message(role) for role in roles[: page.size]],
            next_page_token=page.token([roles[page.size - 1].role]) if more else "",
        )

    @rpc(ACCESS)
    def create_grant(self, request, call):
        order = wire.new_grant(request.grant)
        with self.db.begin(call) as work:
            grant = usecases.create_grant(
                work.session,
                new_id(),
                order,
                roles={role.role for role in self.roles},
                by_person_id=call.principal.person_id,
                at=call.now,
                today=self.clock.today(),
            )
            work.reply(wire.grant_message(grant))
        return work.answer

    @rpc(ACCESS)
    def list_grants(self, request, call):
        filters = {
            "person_id": optional_uuid(request.person_id, "person_id"),
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "role": request.role,
        }
        page = Page.of(request, filters={**filters, "include_ended": request.include_ended})
        with self.db.read(call) as session:
            grants = store.grants_after(
                session,
                page.after[0] if page.after else None,
                page.size + 1,
                **filters,
                held_on=None if request.include_ended else self.clock.today(),
            )
        more = len(grants) > page.size
        return access_pb2.ListGrantsResponse(
            grants=[wire.grant_message(grant) for grant in grants[: page.size]],
            next_page_token=page.token([grants[page.size - 1].grant_id]) if more else "",
        )

    @rpc(ACCESS)
    def revoke_grant(self, request, call):
        grant_id = resource_id(wire.GRANTS, request.name)
        with self.db.begin(call) as work:
            grant = usecases.revoke_grant(
                work.session,
                grant_id,
                by_person_id=call.principal.person_id,
                reason=request.reason,
                at=call.now,
            )
            reply = access_pb2.RevokeGrantResponse(grant=wire.grant_message(grant))
            work.reply(reply, resource=reply.grant.name, agency_id=grant.agency_id)
        return work.answer
