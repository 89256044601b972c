"""The rows of grants."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import or_, select
from sqlmodel import Session

from chassis.dates import Validity
from services.identity.access.domain import Grant
from services.identity.access.tables import GrantRow


def _grant(row: GrantRow) -> Grant:
    return Grant(
        grant_id=row.grant_id,
        person_id=row.person_id,
        role=row.role,
        agency_id=row.agency_id,
        validity=Validity(row.valid_from, row.valid_to),
        granted_by_person_id=row.granted_by_person_id,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        revoked_by_person_id=row.revoked_by_person_id,
        revocation_reason=row.revocation_reason,
    )


def insert_grant(session: Session, grant: Grant) -> None:
    """Add the grant."""
    session.add(
        GrantRow(
            grant_id=grant.grant_id,
            person_id=grant.person_id,
            role=grant.role,
            agency_id=grant.agency_id,
            valid_from=grant.validity.valid_from,
            valid_to=grant.validity.valid_to,
            granted_by_person_id=grant.granted_by_person_id,
            created_at=grant.created_at,
        )
    )
    session.flush()


def grant_for_update(session: Session, grant_id: UUID) -> Grant | None:
    """The grant, its row held until the transaction ends; None also when it is at an agency out of sight."""
    row = session.get(GrantRow, grant_id, with_for_update=True)
    return None if row is None else _grant(row)


def save_revocation(session: Session, grant: Grant) -> None:
    """Write the end of the locked grant."""
    row = session.get_one(GrantRow, grant.grant_id)
    row.revoked_at = grant.revoked_at
    row.revoked_by_person_id = grant.revoked_by_person_id
    row.revocation_reason = grant.revocation_reason
    session.flush()


def grants_alike(session: Session, person_id: UUID, role: str, agency_id: UUID) -> list[Grant]:
    """Every grant of this role to this person at this agency, ended ones too."""
    rows = session.execute(
        select(GrantRow).where(GrantRow.person_id == person_id, GrantRow.role == role, GrantRow.agency_id == agency_id)
    ).scalars()
    return [_grant(row) for row in rows]


def grants_of(session: Session, person_id: UUID, day: date) -> list[Grant]:
    """The grants that this person holds on `day`, at the agencies that the transaction sees."""
    rows = session.execute(
        select(GrantRow)
        .where(GrantRow.person_id == person_id, GrantRow.revoked_at.is_(None))
        .order_by(GrantRow.grant_id)
    ).scalars()
    return [grant for grant in map(_grant, rows) if grant.holds_on(day)]


def grants_after(
    session: Session,
    after: UUID | None,
    limit: int,
    *,
    person_id: UUID | None,
    agency_id: UUID | None,
    role: str,
    held_on: date | None,
) -> list[Grant]:
    """Up to `limit` grants in the order of their ids, that is, of their making, after `after`.

    With `held_on`, only those that have not ended before that day.
    """
    query = select(GrantRow).order_by(GrantRow.grant_id).limit(limit)
    if after is not None:
        query = query.where(GrantRow.grant_id > after)
    if person_id is not None:
        query = query.where(GrantRow.person_id == person_id)
    if agency_id is not None:
        query = query.where(GrantRow.agency_id == agency_id)
    if role:
        query = query.where(GrantRow.role == role)
    if held_on is not None:
        query = query.where(
            GrantRow.revoked_at.is_(None), or_(GrantRow.valid_to.is_(None), GrantRow.valid_to > held_on)
        )
    return [_grant(row) for row in session.execute(query).scalars()]
