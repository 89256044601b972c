"""PositionService: what each RPC does, in order."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import optional_uuid, resource_id, to_uuid
from kelola.hr.v1 import position_pb2
from services.hr.position import store, usecases, wire

POSITIONS = position_pb2.DESCRIPTOR.services_by_name["PositionService"]


class PositionEntrypoints:
    """The RPCs of PositionService."""

    @rpc(POSITIONS)
    def create_position(self, request, call):
        order = wire.new_position(request.position, new_id(), self.pack.currency)
        with self.db.begin(call) as work:
            position = usecases.create_position(work.session, order, pack=self.pack)
            work.reply(wire.position_message(position, self.pack.currency))
        return work.answer

    @rpc(POSITIONS)
    def get_position(self, request, call):
        position_id = resource_id(wire.COLLECTION, request.name)
        with self.db.read(call) as session:
            return wire.position_message(usecases.get_position(session, position_id), self.pack.currency)

    @rpc(POSITIONS)
    def list_positions(self, request, call):
        filters = {"agency_id": request.agency_id, "unit_id": request.unit_id, "state": request.state}
        agency_id, page = to_uuid(request.agency_id, "agency_id"), Page.of(request, filters)
        unit_id, state = optional_uuid(request.unit_id, "unit_id"), wire.position_state(request.state)
        with self.db.read(call) as session:
            after = page.after[0] if page.after else None
            found = store.positions_after(session, agency_id, after, page.size + 1, unit_id=unit_id, state=state)
        return position_pb2.ListPositionsResponse(
            positions=[wire.position_message(position, self.pack.currency) for position in found[: page.size]],
            next_page_token=page.token([found[page.size - 1].code]) if len(found) > page.size else "",
        )

    @rpc(POSITIONS)
    def update_position(self, request, call):
        position_id = resource_id(wire.COLLECTION, request.position.name, "position.name")
        changes = wire.changes(request, self.pack.currency)
        with self.db.begin(call) as work:
            position = usecases.update_position(
                work.session, position_id, changes, etag=request.position.etag, pack=self.pack
            )
            work.reply(wire.position_message(position, self.pack.currency))
        return work.answer
