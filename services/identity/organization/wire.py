"""Agencies and legal entities between the wire and the domain."""

from __future__ import annotations

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.wire import optional_uuid, resource_name, to_timestamp, to_uuid
from kelola.identity.v1 import organization_events_pb2, organization_pb2
from services.identity.organization.domain import (
    Agency,
    AgencyChanged,
    AgencyCreated,
    AgencyKind,
    LegalEntity,
    LegalEntityRegistered,
    NewAgency,
    Owner,
    OwnershipKind,
)
from services.identity.person.wire import warning_numbers

AGENCIES, LEGAL_ENTITIES = "agencies", "legalEntities"

# The domain's numbers are the contract's.
_KIND = {kind.value: kind for kind in AgencyKind}
_OWNERSHIP = {kind.value: kind for kind in OwnershipKind}
_CHANGEABLE = frozenset({"code", "display_name"})
_OUTPUT_ONLY = frozenset({"name", "agency_id", "etag", "government_agency_id", "depth", "created_at", "updated_at"})


def new_agency(message: organization_pb2.Agency) -> NewAgency:
    """The agency that someone asks for."""
    kind = _KIND.get(message.kind)
    if kind is None:
        raise InvalidArgument.field("agency.kind", "not given; see AgencyKind")
    return NewAgency(
        parent_agency_id=optional_uuid(message.parent_agency_id, "agency.parent_agency_id"),
        kind=kind,
        code=message.code,
        display_name=message.display_name,
        region_code=message.region_code,
    )


def agency_changes(request: organization_pb2.UpdateAgencyRequest) -> dict[str, str | None]:
    """The new code and display name; None for what the mask leaves out."""
    paths = set(request.update_mask.paths)
    wanted = _CHANGEABLE if paths == {"*"} else paths - _OUTPUT_ONLY
    fixed = sorted(wanted - _CHANGEABLE)
    if fixed:
        raise InvalidArgument.field("update_mask", f"{', '.join(fixed)} cannot be changed, or is no field of an agency")
    return {path: getattr(request.agency, path) if path in wanted else None for path in sorted(_CHANGEABLE)}


def agency_message(agency: Agency) -> organization_pb2.Agency:
    """The agency."""
    return organization_pb2.Agency(
        name=resource_name(AGENCIES, agency.agency_id),
        agency_id=str(agency.agency_id),
        etag=agency.etag,
        parent_agency_id=str(agency.parent_agency_id or ""),
        government_agency_id=str(agency.government_agency_id),
        kind=organization_pb2.AgencyKind.ValueType(agency.kind.value),
        code=agency.code,
        display_name=agency.display_name,
        region_code=agency.region_code,
        depth=agency.depth,
        created_at=to_timestamp(agency.created_at),
        updated_at=to_timestamp(agency.updated_at),
    )


def owners(message: organization_pb2.LegalEntity) -> list[Owner]:
    """The owners of a legal entity to register."""
    return [
        Owner(to_uuid(owner.person_id, f"legal_entity.owners[{nth}].person_id"), _OWNERSHIP[owner.kind])
        for nth, owner in enumerate(message.owners)
    ]


def legal_entity_message(entity: LegalEntity) -> organization_pb2.LegalEntity:
    """The legal entity."""
    return organization_pb2.LegalEntity(
        name=resource_name(LEGAL_ENTITIES, entity.legal_entity_id),
        legal_entity_id=str(entity.legal_entity_id),
        display_name=entity.display_name,
        tax_number=entity.tax_number,
        owners=[
            organization_pb2.Owner(
                person_id=str(owner.person_id),
                kind=organization_pb2.OwnershipKind.ValueType(owner.kind.value),
            )
            for owner in entity.owners
        ],
        warnings=warning_numbers(entity.warnings()),
        created_at=to_timestamp(entity.created_at),
    )


@outbox.translates(AgencyCreated)
def _created(event: AgencyCreated) -> outbox.Envelope:
    return _agency_envelope(organization_events_pb2.AgencyCreated, event.agency)


@outbox.translates(AgencyChanged)
def _changed(event: AgencyChanged) -> outbox.Envelope:
    return _agency_envelope(organization_events_pb2.AgencyChanged, event.agency)


def _agency_envelope(
    kind: type[organization_events_pb2.AgencyCreated] | type[organization_events_pb2.AgencyChanged], agency: Agency
) -> outbox.Envelope:
    return outbox.Envelope(
        message=kind(
            agency_id=str(agency.agency_id),
            parent_agency_id=str(agency.parent_agency_id or ""),
            government_agency_id=str(agency.government_agency_id),
            kind=organization_pb2.AgencyKind.ValueType(agency.kind.value),
            code=agency.code,
            display_name=agency.display_name,
        ),
        aggregate_id=agency.agency_id,
        agency_id=agency.agency_id,
        sequence=agency.version,
    )


@outbox.translates(LegalEntityRegistered)
def _entity_registered(event: LegalEntityRegistered) -> outbox.Envelope:
    return outbox.Envelope(
        message=organization_events_pb2.LegalEntityRegistered(
            legal_entity_id=str(event.legal_entity_id), display_name=event.display_name
        ),
        aggregate_id=event.legal_entity_id,
        agency_id=None,
        sequence=1,
    )
