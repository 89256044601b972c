"""SupplierService, and what identity tells of legal entities: what each method does, in order."""

from __future__ import annotations

import grpc

from chassis.errors import InvalidArgument, Unavailable
from chassis.events import on_event
from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.peer import acting_for
from chassis.wire import optional_uuid, resource_id, to_uuid
from kelola.identity.v1 import organization_events_pb2, organization_pb2, organization_pb2_grpc
from kelola.logistics.v1 import supplier_pb2
from services.logistics.supplier import store, usecases, wire

SUPPLIER = supplier_pb2.DESCRIPTOR.services_by_name["SupplierService"]


class SupplierEntrypoints:
    """The RPCs of SupplierService. A supplier serves every agency, so its rights are those of the whole government."""

    @rpc(SUPPLIER)
    def create_supplier(self, request, call):
        legal_entity_id = to_uuid(request.supplier.legal_entity_id, "supplier.legal_entity_id")
        display_name = self._legal_entity_name(legal_entity_id, call)
        supplier = wire.new_supplier(request.supplier, new_id(), display_name, self.clock.now())
        with self.db.begin(call) as work:
            work.reply(wire.supplier_message(usecases.register_supplier(work.session, supplier)))
        return work.answer

    def _legal_entity_name(self, legal_entity_id, call):
        """The name that identity told of, or tells when asked: an entity may be younger than its event's arrival."""
        with self.db.read(call) as session:
            known = store.legal_entity_name(session, legal_entity_id)
        if known is not None:
            return known
        name = f"legalEntities/{legal_entity_id}"
        try:
            with acting_for(call.principal.person_id, call.agencies):
                stub = self.identity.stub(organization_pb2_grpc.OrganizationServiceStub)
                return stub.GetLegalEntity(organization_pb2.GetLegalEntityRequest(name=name)).display_name
        except grpc.RpcError as failure:
            if failure.code() is grpc.StatusCode.NOT_FOUND:
                raise InvalidArgument.field(
                    "supplier.legal_entity_id", f"identity knows no legal entity {legal_entity_id}; register it first"
                ) from failure
            raise Unavailable("identity does not answer about the legal entity; retry with the same request_id") from (
                failure
            )

    @rpc(SUPPLIER)
    def get_supplier(self, request, call):
        with self.db.read(call) as session:
            return wire.supplier_message(store.supplier_by_id(session, resource_id(wire.SUPPLIERS, request.name)))

    @rpc(SUPPLIER)
    def list_suppliers(self, request, call):
        legal_entity_id = optional_uuid(request.legal_entity_id, "legal_entity_id")
        page = Page.of(request, filters={"legal_entity_id": legal_entity_id})
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            suppliers = store.suppliers_after(session, after, page.size + 1, legal_entity_id=legal_entity_id)
        more = len(suppliers) > page.size
        return supplier_pb2.ListSuppliersResponse(
            suppliers=[wire.supplier_message(supplier) for supplier in suppliers[: page.size]],
            next_page_token=page.token([suppliers[page.size - 1].supplier_id]) if more else "",
        )

    @rpc(SUPPLIER)
    def update_supplier(self, request, call):
        supplier_id = resource_id(wire.SUPPLIERS, request.supplier.name, "supplier.name")
        changes = wire.supplier_changes(request)
        with self.db.begin(call) as work:
            supplier = usecases.update_supplier(work.session, supplier_id, **changes, etag=request.supplier.etag)
            work.reply(wire.supplier_message(supplier))
        return work.answer

    @rpc(SUPPLIER)
    def debar_supplier(self, request, call):
        supplier_id = resource_id(wire.SUPPLIERS, request.name)
        debarment = wire.new_debarment(request.debarment, new_id(), call.principal.acting_person())
        with self.db.begin(call) as work:
            supplier = usecases.debar_supplier(work.session, supplier_id, debarment, at=self.clock.now())
            message = supplier_pb2.DebarSupplierResponse(supplier=wire.supplier_message(supplier))
            work.reply(message, resource=request.name)
        return work.answer

    @on_event(organization_events_pb2.LegalEntityRegistered)
    def on_legal_entity_registered(self, event, session):
        registered = event.message
        legal_entity_id = to_uuid(registered.legal_entity_id, "legal_entity_id")
        usecases.keep_legal_entity(session, legal_entity_id, registered.display_name)
