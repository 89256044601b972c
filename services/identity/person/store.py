"""The rows of persons: sealed on the way in, opened on the way out."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from services.identity.number.domain import Sex
from services.identity.person.domain import Person, PersonDetails, PersonExists, SealingKeyForeign
from services.identity.person.sealing import Sealed, Sealer
from services.identity.person.tables import PersonRow

_TABLE = "person"
# The kinds of the blind indexes. They are part of what is hashed: never rename one.
_TAX_NUMBER, _CIVIL_SERVANT_NUMBER = "id.npwp", "id.nip"


def _plaintext(details: PersonDetails) -> bytes:
    content = {**asdict(details), "birth_date": details.birth_date.isoformat(), "sex": details.sex.value}
    return json.dumps(content, ensure_ascii=False).encode()


def _details(plaintext: bytes) -> PersonDetails:
    content = json.loads(plaintext)
    return PersonDetails(
        **{**content, "birth_date": date.fromisoformat(content["birth_date"]), "sex": Sex(content["sex"])}
    )


def _values(person: Person, sealer: Sealer) -> dict[str, Any]:
    details = person.details
    sealed = sealer.seal(_TABLE, person.person_id, _plaintext(details))
    servant, tax = details.civil_servant_number, details.tax_number
    return {
        "person_id": person.person_id,
        "version": person.version,
        "national_id_type": person.national_id_type,
        "index_key_id": sealer.index_key_id,
        "national_id_index": sealer.blind_index(person.national_id_type, details.national_id),
        "tax_number_index": sealer.blind_index(_TAX_NUMBER, tax) if tax else None,
        "civil_servant_number_index": sealer.blind_index(_CIVIL_SERVANT_NUMBER, servant) if servant else None,
        "sealing_key_id": sealed.key_id,
        "wrapped_key": sealed.wrapped_key,
        "sealed": sealed.ciphertext,
        "created_at": person.created_at,
        "updated_at": person.updated_at,
    }


def opened(row: PersonRow, sealer: Sealer) -> Person:
    """The person in `row`. Raises SealBroken."""
    sealed = Sealed(row.sealing_key_id, row.wrapped_key, row.sealed)
    details = _details(sealer.open(_TABLE, row.person_id, sealed))
    return Person(row.person_id, row.version, row.national_id_type, details, row.created_at, row.updated_at)


def indexes(person: Person, sealer: Sealer) -> dict[str, bytes | None]:
    """The blind indexes that the row of `person` must carry: for the store itself and for verify."""
    values = _values(person, sealer)
    return {name: values[name] for name in values if name.endswith("_number_index") or name == "national_id_index"}


def require_own_keys(session: Session, sealer: Sealer) -> None:
    """Refuse to work on a registry that was written under another index key: duplicates would pass unseen."""
    found = session.execute(select(func.min(PersonRow.index_key_id), func.max(PersonRow.index_key_id))).one()
    foreign = sorted(set(found) - {None, sealer.index_key_id})
    if foreign:
        raise SealingKeyForeign(
            f"the registry was written under index key {foreign[0]}, the key file has {sealer.index_key_id}: "
            "give the service the key file that belongs to this database",
            metadata={"index_key_id": foreign[0]},
        )


def insert_person(session: Session, person: Person, sealer: Sealer) -> None:
    """Add the person; PersonExists when one of the numbers is registered, also by a twin a moment ago."""
    values = _values(person, sealer)
    added = session.execute(
        insert(PersonRow).values(**values).on_conflict_do_nothing().returning(PersonRow.person_id)
    ).first()
    if added is None:
        raise _exists(session, person.person_id, values)


def update_person(session: Session, person: Person, sealer: Sealer) -> None:
    """Write the locked row anew, sealed with a fresh data key; PersonExists when a number is another person's."""
    values = _values(person, sealer)
    row = session.get_one(PersonRow, person.person_id)
    try:
        with session.begin_nested():
            for name, value in values.items():
                setattr(row, name, value)
            session.flush()
    except IntegrityError:
        raise _exists(session, person.person_id, values) from None


def _exists(session: Session, person_id: UUID, values: dict[str, Any]) -> PersonExists:
    for field in ("national_id", "tax_number", "civil_servant_number"):
        index = values[f"{field}_index"]
        if index is None:
            continue
        column = getattr(PersonRow, f"{field}_index")
        other = session.execute(
            select(PersonRow.person_id).where(column == index, PersonRow.person_id != person_id)
        ).scalar_one_or_none()
        if other is not None:
            return PersonExists.with_number(f"person.{field}", other)
    raise AssertionError("a unique index of person refused a row, and no index has an equal value")


def person_by_id(session: Session, person_id: UUID, sealer: Sealer, *, lock: bool = False) -> Person | None:
    """The person; with `lock` its row is held until the transaction ends."""
    row = session.get(PersonRow, person_id, with_for_update={"key_share": True} if lock else None)
    return None if row is None else opened(row, sealer)


def person_by_national_id(session: Session, national_id_type: str, national_id: str, sealer: Sealer) -> Person | None:
    """The person with this national id."""
    row = session.execute(
        select(PersonRow).where(
            PersonRow.national_id_type == national_id_type,
            PersonRow.national_id_index == sealer.blind_index(national_id_type, national_id),
        )
    ).scalar_one_or_none()
    return None if row is None else opened(row, sealer)


def persons_after(session: Session, after: UUID | None, limit: int, sealer: Sealer) -> list[Person]:
    """Up to `limit` persons in the order of their ids, that is, of registration, after `after`."""
    query = select(PersonRow).order_by(PersonRow.person_id).limit(limit)
    if after is not None:
        query = query.where(PersonRow.person_id > after)
    return [opened(row, sealer) for row in session.execute(query).scalars()]


def person_exists(session: Session, person_id: UUID, *, lock: bool = False) -> bool:
    """Whether the person is registered; with `lock` the row is held, for rules over what points to it."""
    query = select(PersonRow.person_id).where(PersonRow.person_id == person_id)
    if lock:
        query = query.with_for_update(key_share=True)
    return session.execute(query).first() is not None


def unknown_persons(session: Session, person_ids: set[UUID]) -> set[UUID]:
    """Those of `person_ids` that are not registered."""
    found = session.execute(select(PersonRow.person_id).where(PersonRow.person_id.in_(person_ids))).scalars()
    return person_ids - set(found)
