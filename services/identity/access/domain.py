"""Grants: a person holds a role over an agency and all below it, on some days, until revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from chassis.dates import Validity
from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied

# Roles that no person holds: the operator of the platform, and services calling one another.
OPERATOR_ROLE = "operator"
_SERVICE_ROLE_PREFIX = "service."


class GrantOverlaps(AlreadyExists):
    """The person holds the role at that agency on some of these days already."""

    reason = "GRANT_OVERLAPS"


class OwnGrant(PermissionDenied):
    """Nobody grants a role to himself."""

    reason = "OWN_GRANT"


class GrantRevokedAlready(FailedPrecondition):
    """The grant has been revoked."""

    reason = "GRANT_REVOKED"


class RoleUnknown(InvalidArgument):
    """No policy knows the role, or no person may hold it."""

    reason = "ROLE_UNKNOWN"


@dataclass(frozen=True)
class Role:
    """A role and its permissions, as the policies define them."""

    role: str
    permissions: tuple[str, ...]

    @property
    def grantable(self) -> bool:
        """Whether a person may be granted it."""
        return is_grantable(self.role)


@dataclass(frozen=True)
class Grant:
    """A role held by a person over an agency and all agencies below it."""

    grant_id: UUID
    person_id: UUID
    role: str
    agency_id: UUID
    validity: Validity
    granted_by_person_id: UUID | None  # None: the operator
    created_at: datetime
    revoked_at: datetime | None = None
    revoked_by_person_id: UUID | None = None
    revocation_reason: str = ""

    def holds_on(self, day: date) -> bool:
        """Whether the role is held on `day`."""
        return self.revoked_at is None and self.validity.holds_on(day)


@dataclass(frozen=True)
class NewGrant:
    """A grant that someone asks for; no `valid_from` is today."""

    person_id: UUID
    role: str
    agency_id: UUID
    valid_from: date | None
    valid_to: date | None


@dataclass(frozen=True)
class GrantCreated:
    """A role was granted."""

    grant: Grant


@dataclass(frozen=True)
class GrantRevoked:
    """A grant was revoked."""

    grant: Grant


def is_grantable(role: str) -> bool:
    """Whether a person may hold the role."""
    return role != OPERATOR_ROLE and not role.startswith(_SERVICE_ROLE_PREFIX)


def create(
    grant_id: UUID,
    order: NewGrant,
    *,
    existing: Iterable[Grant],
    roles: Set[str],
    by_person_id: UUID | None,
    at: datetime,
    today: date,
) -> Grant:
    """The new grant; `existing` are this person's grants of this role at this agency, `roles` all there are.

    Refused: an unknown role, days in the wrong order or all past, one's own grant, an overlap.
    """
    if order.role not in roles or not is_grantable(order.role):
        raise RoleUnknown.field("grant.role", f"{order.role} is no role that a person may hold; see ListRoles")
    if by_person_id == order.person_id:
        raise OwnGrant("nobody grants a role to themselves; ask another administrator (maker and checker)")
    validity = _validity(order, today)
    for other in existing:
        if other.revoked_at is None and _overlap(validity, other.validity):
            raise GrantOverlaps(
                f"grant {other.grant_id} gives the same role at the same agency on some of these days; "
                "revoke it first or choose other days",
                metadata={"grant_id": str(other.grant_id)},
            )
    return Grant(grant_id, order.person_id, order.role, order.agency_id, validity, by_person_id, at)


def _validity(order: NewGrant, today: date) -> Validity:
    valid_from = order.valid_from or today
    if order.valid_to is not None and order.valid_to <= valid_from:
        raise InvalidArgument.field("grant.valid_to", f"{order.valid_to} is not after valid_from {valid_from}")
    if order.valid_to is not None and order.valid_to <= today:
        raise InvalidArgument.field("grant.valid_to", f"{order.valid_to} has passed; a grant is not made for the past")
    return Validity(valid_from, order.valid_to)


def _overlap(left: Validity, right: Validity) -> bool:
    return (right.valid_to is None or left.valid_from < right.valid_to) and (
        left.valid_to is None or right.valid_from < left.valid_to
    )


def revoke(grant: Grant, *, by_person_id: UUID | None, reason: str, at: datetime) -> Grant:
    """The grant, ended now."""
    if grant.revoked_at is not None:
        raise GrantRevokedAlready(
            f"grant {grant.grant_id} was revoked at {grant.revoked_at:%Y-%m-%dT%H:%M:%SZ}",
            metadata={"grant_id": str(grant.grant_id), "revoked_at": grant.revoked_at.isoformat()},
        )
    return replace(grant, revoked_at=at, revoked_by_person_id=by_person_id, revocation_reason=" ".join(reason.split()))


def expand(grants: Iterable[Grant], children: Mapping[UUID, Iterable[UUID]], day: date) -> dict[str, set[UUID]]:
    """By role, the agencies in which it is held on `day`: each grant's agency and all below it.

    `children` is the agency tree: an agency to those directly below it.
    """
    held: dict[str, set[UUID]] = {}
    for grant in grants:
        if grant.holds_on(day):
            held.setdefault(grant.role, set()).update(subtree(grant.agency_id, children))
    return held


def subtree(root: UUID, children: Mapping[UUID, Iterable[UUID]]) -> set[UUID]:
    """`root` and every agency below it."""
    found, waiting = set(), [root]
    while waiting:
        agency_id = waiting.pop()
        if agency_id not in found:
            found.add(agency_id)
            waiting.extend(children.get(agency_id, ()))
    return found
