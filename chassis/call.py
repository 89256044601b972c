"""One call: who asks, for what, until when. The chain makes it; entrypoints read it; use cases get its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chassis.errors import PermissionDenied


@dataclass(frozen=True)
class Grant:
    """A role that the principal holds, and the agencies (already expanded over the tree) where it holds."""

    role: str
    agencies: frozenset[UUID]


@dataclass(frozen=True)
class Principal:
    """Who acts: a person with grants, or a service (which may act for a recorded person in one agency).

    `subject` is the key of the idempotency namespace and of the audit: the person's id, or `service:<name>`.
    """

    subject: str
    person_id: UUID | None
    grants: tuple[Grant, ...]
    service: str | None = None
    # Does this role hold this permission? Given by chassis.policy, so that this module stays a plain value.
    role_holds: Callable[[str, str], bool] = field(default=lambda role, permission: False, compare=False, repr=False)

    def agencies(self, permission: str) -> frozenset[UUID]:
        """The agencies in which this principal holds `permission`; empty when it holds it nowhere."""
        held: set[UUID] = set()
        for grant in self.grants:
            if self.role_holds(grant.role, permission):
                held |= grant.agencies
        return frozenset(held)

    def holds(self, permission: str, agency_id: UUID | None = None) -> bool:
        """Whether this principal holds `permission`: in `agency_id`, or anywhere when none is named."""
        for grant in self.grants:
            if (agency_id is None or agency_id in grant.agencies) and self.role_holds(grant.role, permission):
                return True
        return False

    def require(self, permission: str, agency_id: UUID | None = None) -> None:
        """Refuse with PERMISSION_DENIED unless this principal holds `permission` (in `agency_id`, if named)."""
        if not self.holds(permission, agency_id):
            where = f" in agency {agency_id}" if agency_id else ""
            raise PermissionDenied(
                f"{permission} is not held{where}; ask the agency's access administrator for a role that has it",
                metadata={"permission": permission, **({"agency_id": str(agency_id)} if agency_id else {})},
            )

    def acting_person(self) -> UUID:
        """The person who answers for the act (a service acts for a recorded one); refused when there is none."""
        if self.person_id is None:
            raise PermissionDenied("this act needs a person; a service alone may not do it")
        return self.person_id


@dataclass(frozen=True)
class Call:
    """One RPC under way."""

    method: str  # the RPC's full name: kelola.finance.v1.LedgerService.CreateJournalEntry
    permission: str | None  # what the RPC's `access` option asks for; None for a public one
    principal: Principal
    agencies: frozenset[UUID]  # where the principal holds `permission`: what the transaction may see
    request_id: str | None  # the mutation's request_id; None for reads
    request_hash: bytes  # SHA-256 of the request without its request_id
    now: datetime  # when the call came in, by the business clock: `now.date()` is the civil day
    deadline: float  # time.monotonic() at which the caller stops waiting


class Replayed(Exception):
    """The request_id was answered before: `answer` are the stored bytes. The entrypoint returns them."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("answered before")
        self.answer = answer


class TransactionConflict(Exception):
    """The database undid the transaction (serialization failure, deadlock); the entrypoint runs it again, bounded."""
