"""What is done with grants: load, decide, save, emit."""

from __future__ import annotations

from collections.abc import Set
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.identity.access import domain, store
from services.identity.access.domain import Grant, NewGrant
from services.identity.organization import store as organization
from services.identity.person import store as persons


def create_grant(
    session: Session,
    grant_id: UUID,
    order: NewGrant,
    *,
    roles: Set[str],
    by_person_id: UUID | None,
    at: datetime,
    today: date,
) -> Grant:
    """Grant a role. The person's row is held, so that two equal grants cannot be made side by side."""
    if not persons.person_exists(session, order.person_id, lock=True):
        raise NotFound.resource("person", order.person_id)
    if organization.agency_by_id(session, order.agency_id) is None:
        raise NotFound.resource("agency", order.agency_id)
    alike = store.grants_alike(session, order.person_id, order.role, order.agency_id)
    grant = domain.create(grant_id, order, existing=alike, roles=roles, by_person_id=by_person_id, at=at, today=today)
    store.insert_grant(session, grant)
    outbox.emit(session, domain.GrantCreated(grant))
    return grant


def revoke_grant(session: Session, grant_id: UUID, *, by_person_id: UUID | None, reason: str, at: datetime) -> Grant:
    """End a grant now."""
    grant = store.grant_for_update(session, grant_id)
    if grant is None:
        raise NotFound.resource("grant", grant_id)
    revoked = domain.revoke(grant, by_person_id=by_person_id, reason=reason, at=at)
    store.save_revocation(session, revoked)
    outbox.emit(session, domain.GrantRevoked(revoked))
    return revoked
