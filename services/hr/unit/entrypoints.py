"""UnitService: what each RPC does, in order."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import resource_id, to_uuid
from kelola.hr.v1 import unit_pb2
from services.hr.unit import store, usecases, wire

UNITS = unit_pb2.DESCRIPTOR.services_by_name["UnitService"]


class UnitEntrypoints:
    """The RPCs of UnitService."""

    @rpc(UNITS)
    def create_unit(self, request, call):
        order = wire.new_unit(request.unit, new_id())
        with self.db.begin(call) as work:
            work.reply(wire.unit_message(usecases.create_unit(work.session, order)))
        return work.answer

    @rpc(UNITS)
    def get_unit(self, request, call):
        unit_id = resource_id(wire.COLLECTION, request.name)
        with self.db.read(call) as session:
            return wire.unit_message(usecases.get_unit(session, unit_id))

    @rpc(UNITS)
    def list_units(self, request, call):
        agency_id, page = to_uuid(request.agency_id, "agency_id"), Page.of(request, {"agency_id": request.agency_id})
        with self.db.read(call) as session:
            units = store.units_after(session, agency_id, page.after[0] if page.after else None, page.size + 1)
        return unit_pb2.ListUnitsResponse(
            units=[wire.unit_message(unit) for unit in units[: page.size]],
            next_page_token=page.token([units[page.size - 1].code]) if len(units) > page.size else "",
        )

    @rpc(UNITS)
    def update_unit(self, request, call):
        unit_id, changes = resource_id(wire.COLLECTION, request.unit.name, "unit.name"), wire.changes(request)
        with self.db.begin(call) as work:
            work.reply(wire.unit_message(usecases.update_unit(work.session, unit_id, **changes)))
        return work.answer
