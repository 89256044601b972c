"""What is done with persons: load, decide, save, emit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.identity.number.domain import NIK_TYPE, nik
from services.identity.person import domain, store
from services.identity.person.domain import Person, PersonDetails
from services.identity.person.sealing import Sealer


def register_person(
    session: Session,
    person_id: UUID,
    details: PersonDetails,
    *,
    national_id_type: str,
    sealer: Sealer,
    at: datetime,
    today: date,
) -> Person:
    """Register a person who is not registered yet."""
    person = domain.register(person_id, details, national_id_type=national_id_type, at=at, today=today)
    store.require_own_keys(session, sealer)
    store.insert_person(session, person, sealer)
    outbox.emit(session, domain.PersonRegistered(person.person_id, person.version))
    return person


def get_person(session: Session, person_id: UUID, *, sealer: Sealer) -> Person:
    """The person; NOT_FOUND when there is none."""
    person = store.person_by_id(session, person_id, sealer)
    if person is None:
        raise NotFound.resource("person", person_id)
    return person


def look_up_person(session: Session, national_id_type: str, national_id: str, *, sealer: Sealer) -> Person:
    """The person with this national id; NOT_FOUND (which does not repeat the number) when there is none."""
    number = nik(national_id)
    store.require_own_keys(session, sealer)
    person = store.person_by_national_id(session, national_id_type or NIK_TYPE, number.value, sealer)
    if person is None:
        raise NotFound("no person is registered with this national id", metadata={"resource": "person"})
    return person


def update_person(
    session: Session,
    person_id: UUID,
    changes: Mapping[str, Any],
    *,
    etag: str,
    sealer: Sealer,
    at: datetime,
    today: date,
) -> Person:
    """Change what `changes` names; a change that changes nothing emits nothing."""
    person = store.person_by_id(session, person_id, sealer, lock=True)
    if person is None:
        raise NotFound.resource("person", person_id)
    changed, differs = domain.change(person, changes, etag=etag, at=at, today=today)
    if differs:
        store.update_person(session, changed, sealer)
        outbox.emit(session, domain.PersonUpdated(changed.person_id, changed.version))
    return changed
