"""The rows of agencies and legal entities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from services.identity.organization.domain import (
    Agency,
    AgencyExists,
    AgencyKind,
    LegalEntity,
    LegalEntityExists,
    Owner,
    OwnershipKind,
)
from services.identity.organization.tables import AgencyRow, LegalEntityOwnerRow, LegalEntityRow


def _agency(row: AgencyRow) -> Agency:
    return Agency(
        agency_id=row.agency_id,
        version=row.version,
        parent_agency_id=row.parent_agency_id,
        government_agency_id=row.government_agency_id,
        kind=AgencyKind[row.kind],
        code=row.code,
        display_name=row.display_name,
        region_code=row.region_code,
        depth=row.depth,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _agency_values(agency: Agency) -> dict[str, Any]:
    return {**vars(agency), "kind": agency.kind.name}


def agency_by_id(session: Session, agency_id: UUID, *, lock: bool = False) -> Agency | None:
    """The agency; with `lock` its row is held until the transaction ends."""
    row = session.get(AgencyRow, agency_id, with_for_update={"key_share": True} if lock else None)
    return None if row is None else _agency(row)


def insert_agency(session: Session, agency: Agency) -> None:
    """Add the agency; AgencyExists when its code, or a second treasury, is refused by a unique index."""
    added = session.execute(
        insert(AgencyRow).values(**_agency_values(agency)).on_conflict_do_nothing().returning(AgencyRow.agency_id)
    ).first()
    if added is None:
        raise _exists(session, agency)


def update_agency(session: Session, agency: Agency) -> None:
    """Write the locked row; AgencyExists when the new code is taken."""
    row = session.get_one(AgencyRow, agency.agency_id)
    try:
        with session.begin_nested():
            for name, value in _agency_values(agency).items():
                setattr(row, name, value)
            session.flush()
    except IntegrityError:
        raise _exists(session, agency) from None


def _exists(session: Session, agency: Agency) -> AgencyExists:
    in_government = (AgencyRow.government_agency_id == agency.government_agency_id) & (
        AgencyRow.agency_id != agency.agency_id
    )
    same_code = session.execute(
        select(AgencyRow.agency_id).where(in_government, AgencyRow.code == agency.code)
    ).scalar_one_or_none()
    if same_code is not None:
        return AgencyExists(
            f"code {agency.code} is that of agency {same_code} in the same government",
            metadata={"agency_id": str(same_code), "field": "agency.code"},
        )
    treasury = session.execute(
        select(AgencyRow.agency_id).where(in_government, AgencyRow.kind == AgencyKind.TREASURY.name)
    ).scalar_one()
    return AgencyExists(
        f"the government has its treasury already: agency {treasury}",
        metadata={"agency_id": str(treasury), "field": "agency.kind"},
    )


_ABOVE = text(
    """
    with recursive above as (
        select agency_id, parent_agency_id from agency where agency_id = :agency_id
        union all
        select agency.agency_id, agency.parent_agency_id
        from agency join above on agency.agency_id = above.parent_agency_id
    )
    select agency_id from above
    """
)


def with_those_above(session: Session, agency_id: UUID) -> set[UUID]:
    """The agency and every agency above it, up to its government."""
    return set(session.execute(_ABOVE, {"agency_id": agency_id}).scalars())


def children(session: Session) -> dict[UUID, list[UUID]]:
    """The whole tree: an agency to those directly below it."""
    below: dict[UUID, list[UUID]] = defaultdict(list)
    rows = session.execute(
        select(AgencyRow.parent_agency_id, AgencyRow.agency_id).where(AgencyRow.parent_agency_id.is_not(None))
    )
    for parent_agency_id, agency_id in rows:
        below[parent_agency_id].append(agency_id)
    return below


def agency_ids(session: Session) -> set[UUID]:
    """Every agency there is."""
    return set(session.execute(select(AgencyRow.agency_id)).scalars())


def agencies_after(
    session: Session,
    after: tuple[UUID, str] | None,
    limit: int,
    *,
    parent_agency_id: UUID | None,
    code: str,
) -> list[Agency]:
    """Up to `limit` agencies in the order of (government, code), after that key."""
    key = tuple_(AgencyRow.government_agency_id, AgencyRow.code)
    query = select(AgencyRow).order_by(AgencyRow.government_agency_id, AgencyRow.code).limit(limit)
    if after is not None:
        query = query.where(key > after)
    if parent_agency_id is not None:
        query = query.where(AgencyRow.parent_agency_id == parent_agency_id)
    if code:
        query = query.where(AgencyRow.code == code)
    return [_agency(row) for row in session.execute(query).scalars()]


def insert_legal_entity(session: Session, entity: LegalEntity) -> None:
    """Add the entity and its owners; LegalEntityExists when the tax number is registered."""
    added = session.execute(
        insert(LegalEntityRow)
        .values(
            legal_entity_id=entity.legal_entity_id,
            display_name=entity.display_name,
            tax_number=entity.tax_number,
            created_at=entity.created_at,
        )
        .on_conflict_do_nothing()
        .returning(LegalEntityRow.legal_entity_id)
    ).first()
    if added is None:
        other = session.execute(
            select(LegalEntityRow.legal_entity_id).where(LegalEntityRow.tax_number == entity.tax_number)
        ).scalar_one()
        raise LegalEntityExists(
            f"a legal entity with this tax number is registered already; use {other}",
            metadata={"legal_entity_id": str(other), "field": "legal_entity.tax_number"},
        )
    session.add_all(
        LegalEntityOwnerRow(legal_entity_id=entity.legal_entity_id, person_id=owner.person_id, kind=owner.kind.name)
        for owner in entity.owners
    )
    session.flush()


def _entities(session: Session, rows: Iterable[LegalEntityRow]) -> list[LegalEntity]:
    listed = list(rows)
    owners: dict[UUID, list[Owner]] = defaultdict(list)
    found = session.execute(
        select(LegalEntityOwnerRow)
        .where(LegalEntityOwnerRow.legal_entity_id.in_([row.legal_entity_id for row in listed]))
        .order_by(LegalEntityOwnerRow.person_id, LegalEntityOwnerRow.kind)
    ).scalars()
    for owner in found:
        owners[owner.legal_entity_id].append(Owner(owner.person_id, OwnershipKind[owner.kind]))
    return [
        LegalEntity(
            row.legal_entity_id, row.display_name, row.tax_number, tuple(owners[row.legal_entity_id]), row.created_at
        )
        for row in listed
    ]


def legal_entity_by_id(session: Session, legal_entity_id: UUID) -> LegalEntity | None:
    """The legal entity with its owners."""
    row = session.get(LegalEntityRow, legal_entity_id)
    return None if row is None else _entities(session, [row])[0]


def legal_entities_after(
    session: Session,
    after: UUID | None,
    limit: int,
    *,
    tax_number: str,
    owner_person_id: UUID | None,
) -> list[LegalEntity]:
    """Up to `limit` legal entities in the order of their ids, that is, of registration, after `after`."""
    query = select(LegalEntityRow).order_by(LegalEntityRow.legal_entity_id).limit(limit)
    if after is not None:
        query = query.where(LegalEntityRow.legal_entity_id > after)
    if tax_number:
        query = query.where(LegalEntityRow.tax_number == tax_number)
    if owner_person_id is not None:
        owned = select(LegalEntityOwnerRow.legal_entity_id).where(LegalEntityOwnerRow.person_id == owner_person_id)
        query = query.where(LegalEntityRow.legal_entity_id.in_(owned))
    return _entities(session, session.execute(query).scalars())
