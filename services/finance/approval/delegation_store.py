"""SQL of delegations: roles that another person uses for a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.approval.domain import Deputy


def insert_delegation(session: Session, values: Mapping[str, Any]) -> None:
    """Write a new delegation."""
    columns = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    session.execute(text(f"insert into approval_delegation ({columns}) values ({places})"), dict(values))  # noqa: S608


def delegation(session: Session, approval_delegation_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One delegation; NOT_FOUND when the caller does not see it."""
    query = "select * from approval_delegation where approval_delegation_id = :id"
    row = session.execute(text(f"{query} for update" if lock else query), {"id": approval_delegation_id}).first()
    if row is None:
        raise NotFound.resource("approval delegation", approval_delegation_id)
    return row


def end_delegation(session: Session, approval_delegation_id: UUID, at: datetime) -> None:
    """End a delegation before its last day."""
    session.execute(
        text("update approval_delegation set ended_at = :at where approval_delegation_id = :id"),
        {"id": approval_delegation_id, "at": at},
    )


def deputies(session: Session, person_id: UUID, on: date, agency_id: UUID | None) -> list[tuple[UUID, Deputy]]:
    """(agency, role and for whom) of what is delegated to a person on a day, in one agency or wherever he is seen."""
    rows = session.execute(
        text(
            """
            select agency_id, role, from_person_id from approval_delegation
            where to_person_id = :person_id and valid_from <= :on and :on <= valid_until and ended_at is null
              and (cast(:agency_id as uuid) is null or agency_id = :agency_id)
            order by approval_delegation_id limit 500
            """
        ),
        {"person_id": person_id, "on": on, "agency_id": agency_id},
    )
    return [(row.agency_id, Deputy(row.role, row.from_person_id)) for row in rows]


def delegations_page(
    session: Session, *, agency_id: UUID | None, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Delegations, the newest first."""
    return session.execute(
        text(
            """
            select * from approval_delegation
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:after as uuid) is null or approval_delegation_id < :after)
            order by approval_delegation_id desc limit :limit
            """
        ),
        {"agency_id": agency_id, "after": after[0] if after else None, "limit": limit},
    ).all()
