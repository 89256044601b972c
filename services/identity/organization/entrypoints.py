"""OrganizationService: what each RPC does, in order."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import optional_uuid, resource_id
from kelola.identity.v1 import organization_pb2
from services.identity.number.domain import entity_tax_number
from services.identity.organization import store, usecases, wire

ORGANIZATION = organization_pb2.DESCRIPTOR.services_by_name["OrganizationService"]
CREATE_GOVERNMENT = "identity.government.create"


class OrganizationEntrypoints:
    """The RPCs of OrganizationService. The agency tree is public; what the caller holds guards its changes."""

    @rpc(ORGANIZATION)
    def create_agency(self, request, call):
        order = wire.new_agency(request.agency)
        if order.parent_agency_id is None:
            call.principal.require(CREATE_GOVERNMENT)
        with self.db.begin(call) as work:
            agency = usecases.create_agency(work.session, new_id(), order, held_in=call.agencies, at=call.now)
            work.reply(wire.agency_message(agency))
        return work.answer

    @rpc(ORGANIZATION)
    def get_agency(self, request, call):
        with self.db.read(call) as session:
            return wire.agency_message(usecases.get_agency(session, resource_id(wire.AGENCIES, request.name)))

    @rpc(ORGANIZATION)
    def list_agencies(self, request, call):
        parent_agency_id = optional_uuid(request.parent_agency_id, "parent_agency_id")
        page = Page.of(request, filters={"parent_agency_id": parent_agency_id, "code": request.code})
        with self.db.read(call) as session:
            agencies = store.agencies_after(
                session, page.after, page.size + 1, parent_agency_id=parent_agency_id, code=request.code
            )
        more = len(agencies) > page.size
        last = agencies[page.size - 1] if more else None
        return organization_pb2.ListAgenciesResponse(
            agencies=[wire.agency_message(agency) for agency in agencies[: page.size]],
            next_page_token=page.token([last.government_agency_id, last.code]) if last else "",
        )

    @rpc(ORGANIZATION)
    def update_agency(self, request, call):
        agency_id = resource_id(wire.AGENCIES, request.agency.name, "agency.name")
        changes = wire.agency_changes(request)
        with self.db.begin(call) as work:
            agency = usecases.change_agency(
                work.session,
                agency_id,
                **changes,
                etag=request.agency.etag,
                held_in=call.agencies,
                at=call.now,
            )
            work.reply(wire.agency_message(agency))
        return work.answer

    @rpc(ORGANIZATION)
    def create_legal_entity(self, request, call):
        asked = request.legal_entity
        with self.db.begin(call) as work:
            entity = usecases.create_legal_entity(
                work.session,
                new_id(),
                display_name=asked.display_name,
                tax_number=asked.tax_number,
                owners=wire.owners(asked),
                at=call.now,
            )
            work.reply(wire.legal_entity_message(entity))
        return work.answer

    @rpc(ORGANIZATION)
    def get_legal_entity(self, request, call):
        legal_entity_id = resource_id(wire.LEGAL_ENTITIES, request.name)
        with self.db.read(call) as session:
            return wire.legal_entity_message(usecases.get_legal_entity(session, legal_entity_id))

    @rpc(ORGANIZATION)
    def list_legal_entities(self, request, call):
        tax_number = entity_tax_number(request.tax_number).value if request.tax_number else ""
        owner_person_id = optional_uuid(request.owner_person_id, "owner_person_id")
        page = Page.of(request, filters={"tax_number": tax_number, "owner_person_id": owner_person_id})
        with self.db.read(call) as session:
            entities = store.legal_entities_after(
                session,
                page.after[0] if page.after else None,
                page.size + 1,
                tax_number=tax_number,
                owner_person_id=owner_person_id,
            )
        more = len(entities) > page.size
        return organization_pb2.ListLegalEntitiesResponse(
            legal_entities=[wire.legal_entity_message(entity) for entity in entities[: page.size]],
            next_page_token=page.token([entities[page.size - 1].legal_entity_id]) if more else "",
        )
