"""Roles and grants between the wire and the domain."""

from __future__ import annotations

from datetime import date

from google.type import date_pb2

from chassis import outbox
from chassis.wire import from_date, resource_name, to_date, to_timestamp, to_uuid
from kelola.identity.v1 import access_events_pb2, access_pb2
from services.identity.access.domain import Grant, GrantCreated, GrantRevoked, NewGrant, Role

GRANTS = "grants"


def _day(message: access_pb2.Grant, field: str) -> date | None:
    if not message.HasField(field):
        return None
    value: date_pb2.Date = getattr(message, field)
    return from_date(value, f"grant.{field}")


def new_grant(message: access_pb2.Grant) -> NewGrant:
    """The grant that someone asks for."""
    return NewGrant(
        person_id=to_uuid(message.person_id, "grant.person_id"),
        role=message.role,
        agency_id=to_uuid(message.agency_id, "grant.agency_id"),
        valid_from=_day(message, "valid_from"),
        valid_to=_day(message, "valid_to"),
    )


def grant_message(grant: Grant) -> access_pb2.Grant:
    """The grant."""
    message = access_pb2.Grant(
        name=resource_name(GRANTS, grant.grant_id),
        grant_id=str(grant.grant_id),
        person_id=str(grant.person_id),
        role=grant.role,
        agency_id=str(grant.agency_id),
        valid_from=to_date(grant.validity.valid_from),
        granted_by_person_id=str(grant.granted_by_person_id or ""),
        created_at=to_timestamp(grant.created_at),
        revoked_by_person_id=str(grant.revoked_by_person_id or ""),
        revocation_reason=grant.revocation_reason,
    )
    if grant.validity.valid_to is not None:
        message.valid_to.CopyFrom(to_date(grant.validity.valid_to))
    if grant.revoked_at is not None:
        message.revoked_at.CopyFrom(to_timestamp(grant.revoked_at))
    return message


def role_message(role: Role) -> access_pb2.Role:
    """The role."""
    return access_pb2.Role(
        name=f"roles/{role.role}", role=role.role, permissions=role.permissions, grantable=role.grantable
    )


@outbox.translates(GrantCreated)
def _created(event: GrantCreated) -> outbox.Envelope:
    grant = event.grant
    message = access_events_pb2.GrantCreated(
        grant_id=str(grant.grant_id),
        person_id=str(grant.person_id),
        role=grant.role,
        agency_id=str(grant.agency_id),
        valid_from=to_date(grant.validity.valid_from),
    )
    if grant.validity.valid_to is not None:
        message.valid_to.CopyFrom(to_date(grant.validity.valid_to))
    return outbox.Envelope(message=message, aggregate_id=grant.grant_id, agency_id=grant.agency_id, sequence=1)


@outbox.translates(GrantRevoked)
def _revoked(event: GrantRevoked) -> outbox.Envelope:
    grant = event.grant
    assert grant.revoked_at is not None
    message = access_events_pb2.GrantRevoked(
        grant_id=str(grant.grant_id),
        person_id=str(grant.person_id),
        role=grant.role,
        agency_id=str(grant.agency_id),
        revoked_at=to_timestamp(grant.revoked_at),
    )
    return outbox.Envelope(message=message, aggregate_id=grant.grant_id, agency_id=grant.agency_id, sequence=2)
