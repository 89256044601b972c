"""What is done with agencies and legal entities: load, decide, save, emit."""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound, PermissionDenied
from services.identity.number.regions import region_codes
from services.identity.organization import domain, store
from services.identity.organization.domain import Agency, LegalEntity, NewAgency, Owner
from services.identity.person import store as persons


def create_agency(session: Session, agency_id: UUID, order: NewAgency, *, held_in: Set[UUID], at: datetime) -> Agency:
    """Create an agency below one where, or above which, the caller may (`held_in`), or a government."""
    parent = None
    if order.parent_agency_id is not None:
        parent = store.agency_by_id(session, order.parent_agency_id)
        if parent is None:
            raise NotFound.resource("agency", order.parent_agency_id)
        _require_held(session, parent.agency_id, held_in, "identity.agency.create")
    agency = domain.create(agency_id, order, parent=parent, regions=region_codes(), at=at)
    store.insert_agency(session, agency)
    outbox.emit(session, domain.AgencyCreated(agency))
    return agency


def change_agency(
    session: Session,
    agency_id: UUID,
    *,
    code: str | None,
    display_name: str | None,
    etag: str,
    held_in: Set[UUID],
    at: datetime,
) -> Agency:
    """Change the code or name of an agency where, or above which, the caller may (`held_in`)."""
    agency = store.agency_by_id(session, agency_id, lock=True)
    if agency is None:
        raise NotFound.resource("agency", agency_id)
    _require_held(session, agency_id, held_in, "identity.agency.update")
    changed, differs = domain.change(agency, code=code, display_name=display_name, etag=etag, at=at)
    if differs:
        store.update_agency(session, changed)
        outbox.emit(session, domain.AgencyChanged(changed))
    return changed


def _require_held(session: Session, agency_id: UUID, held_in: Set[UUID], permission: str) -> None:
    # A token lists the agencies of its day of issue; whoever holds an agency holds what was created below it since.
    if not held_in & store.with_those_above(session, agency_id):
        raise PermissionDenied(
            f"{permission} is not held in agency {agency_id} or above it",
            metadata={"permission": permission, "agency_id": str(agency_id)},
        )


def get_agency(session: Session, agency_id: UUID) -> Agency:
    """The agency; NOT_FOUND when there is none."""
    agency = store.agency_by_id(session, agency_id)
    if agency is None:
        raise NotFound.resource("agency", agency_id)
    return agency


def create_legal_entity(
    session: Session,
    legal_entity_id: UUID,
    *,
    display_name: str,
    tax_number: str,
    owners: Iterable[Owner],
    at: datetime,
) -> LegalEntity:
    """Register a legal entity whose owners are registered persons."""
    entity = domain.register_legal_entity(
        legal_entity_id, display_name=display_name, tax_number=tax_number, owners=owners, at=at
    )
    unknown = persons.unknown_persons(session, {owner.person_id for owner in entity.owners})
    if unknown:
        first = min(unknown, key=str)
        raise domain.OwnerUnknown(
            f"{len(unknown)} owners are no registered persons, among them {first}; register them first",
            metadata={"person_id": str(first)},
        )
    store.insert_legal_entity(session, entity)
    outbox.emit(session, domain.LegalEntityRegistered(entity.legal_entity_id, entity.display_name))
    return entity


def get_legal_entity(session: Session, legal_entity_id: UUID) -> LegalEntity:
    """The legal entity; NOT_FOUND when there is none."""
    entity = store.legal_entity_by_id(session, legal_entity_id)
    if entity is None:
        raise NotFound.resource("legal entity", legal_entity_id)
    return entity
