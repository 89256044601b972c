"""Who may ask for a token, for whom, and what stands in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from chassis.errors import InvalidArgument, PermissionDenied, Unauthenticated
from services.identity.access.domain import OPERATOR_ROLE, Grant, expand

# The operator of the platform is no person: it sets up a fresh installation.
OPERATOR_SUBJECT = "operator"
PERSONS, OPERATOR = "persons", "operator"
# RFC 7523 asks for a short life; a longer one would only be a longer chance for whoever steals an assertion.
ASSERTION_LIFETIME_MAX = timedelta(minutes=5)
# How far a client's clock may be off.
CLOCK_LEEWAY = timedelta(seconds=30)
# Kelola's servers take 64 kB of metadata a call; the rest is for what a call carries beside its token. (An agency
# takes about 52 bytes in each role.)
TOKEN_BYTES_MAX = 48 * 1024


class ClientAssertionInvalid(Unauthenticated):
    """The client assertion does not hold: unknown client, wrong signature or audience, expired, used before."""

    reason = "CLIENT_ASSERTION_INVALID"


class SubjectNotAllowed(PermissionDenied):
    """The client may not ask for a token of that subject."""

    reason = "SUBJECT_NOT_ALLOWED"


class TokenTooLarge(InvalidArgument):
    """The token would list more agencies than a call's metadata can carry."""

    reason = "TOKEN_TOO_LARGE"


@dataclass(frozen=True)
class Client:
    """A registered client and for whom it may ask: `persons`, `operator`, or both."""

    client_id: str
    subjects: frozenset[str]


@dataclass(frozen=True)
class Assertion:
    """A client assertion whose signature holds."""

    client: Client
    jti: str
    expires_at: datetime


@dataclass(frozen=True)
class TokenOrder:
    """A token that a client asks for; no `person_id` is the operator."""

    person_id: UUID | None
    audiences: tuple[str, ...]
    lifetime: timedelta | None
    agency_ids: frozenset[UUID]

    @property
    def subject(self) -> str:
        """The `sub` of the token."""
        return OPERATOR_SUBJECT if self.person_id is None else str(self.person_id)


def client(client_id: str, subjects: object) -> Client:
    """The client as its key registers it. Without `subjects` it may ask for persons, the operator's own for both."""
    known = {PERSONS, OPERATOR}
    if subjects is None:
        return Client(client_id, frozenset(known if client_id == OPERATOR_SUBJECT else {PERSONS}))
    if not isinstance(subjects, list) or not set(subjects) <= known:
        raise ValueError(f"client {client_id}: `subjects` is a list of {sorted(known)}")
    return Client(client_id, frozenset(subjects))


def assertion(found: Client, claims: Mapping[str, object], *, issuer: str, at: datetime) -> Assertion:
    """The assertion that these (signed) claims of `found` make; CLIENT_ASSERTION_INVALID says what is wrong."""
    if claims.get("iss") != found.client_id or claims.get("sub") != found.client_id:
        raise ClientAssertionInvalid("iss and sub of a client assertion are the client's id, the key's `kid`")
    audience = claims.get("aud")
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise ClientAssertionInvalid(f"the assertion's aud is not this issuer, {issuer}")
    jti, expires = claims.get("jti"), claims.get("exp")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 200:
        raise ClientAssertionInvalid("the assertion needs a jti, a text of 1 to 200 characters")
    if type(expires) is not int:
        raise ClientAssertionInvalid("the assertion needs an exp, whole seconds")
    left = expires - int(at.timestamp())
    if left <= -CLOCK_LEEWAY.total_seconds():
        raise ClientAssertionInvalid("the assertion has expired; sign a new one")
    if left > (ASSERTION_LIFETIME_MAX + CLOCK_LEEWAY).total_seconds():
        raise ClientAssertionInvalid(f"the assertion lives longer than {ASSERTION_LIFETIME_MAX}; sign a shorter one")
    # It must be remembered for as long as it could pass the checks above.
    return Assertion(found, jti, at + timedelta(seconds=left) + 2 * CLOCK_LEEWAY)


def require_subject(found: Client, order: TokenOrder) -> None:
    """Refuse unless the client may ask for a token of this subject."""
    needed = OPERATOR if order.person_id is None else PERSONS
    if needed not in found.subjects:
        raise SubjectNotAllowed(
            f"client {found.client_id} may not ask for tokens of {needed}; register it for them",
            metadata={"client_id": found.client_id, "subjects": needed},
        )


def lifetime(order: TokenOrder, *, default: timedelta, longest: timedelta) -> timedelta:
    """How long the token lives."""
    wanted = order.lifetime or default
    if wanted > longest:
        raise InvalidArgument.field("lifetime", f"{wanted} is more than the longest, {longest}")
    return wanted


def require_size(token_bytes: int) -> None:
    """Refuse a token that a call's metadata could not carry."""
    if token_bytes > TOKEN_BYTES_MAX:
        raise TokenTooLarge(
            f"the token would have {token_bytes} bytes, and a call carries at most {TOKEN_BYTES_MAX}: "
            "narrow it with agency_ids",
            metadata={"bytes": str(token_bytes), "bytes_max": str(TOKEN_BYTES_MAX)},
        )


def audit_details(order: TokenOrder, used: Assertion) -> dict[str, object]:
    """What the audit keeps of an issued token: who asked, for whom, for which services; never the token."""
    return {
        "client_id": used.client.client_id,
        "subject": order.subject,
        "audiences": list(order.audiences),
        "agencies_named": len(order.agency_ids),
    }


def grants(
    order: TokenOrder,
    *,
    held: Iterable[Grant],
    children: Mapping[UUID, Iterable[UUID]],
    agencies: Set[UUID],
    day: date,
) -> list[tuple[str, list[UUID]]]:
    """What the token says: each role with the agencies in which it is held, in a fixed order.

    A person's grants are expanded over the tree; the operator's role covers every agency there is. With
    `agency_ids` in the order only those are named; a role that is left without an agency is left out, except the
    operator's, which must also work where there is no agency yet.
    """
    expanded = {OPERATOR_ROLE: set(agencies)} if order.person_id is None else expand(held, children, day)
    if order.agency_ids:
        expanded = {role: found & order.agency_ids for role, found in expanded.items()}
    return [
        (role, sorted(found, key=str)) for role, found in sorted(expanded.items()) if found or order.person_id is None
    ]
