"""The identity service: its areas and what it stands on."""

from __future__ import annotations

from chassis.clock import Clock
from chassis.database import Database
from chassis.retention import RetentionEntrypoints
from services.identity.access.entrypoints import AccessEntrypoints, Roles
from services.identity.organization.entrypoints import OrganizationEntrypoints
from services.identity.person.entrypoints import PersonEntrypoints, SealingKeys
from services.identity.tables import IdentityTable
from services.identity.token.entrypoints import Discovery, TokenEntrypoints, TokenIssuer


class IdentityService(
    PersonEntrypoints, OrganizationEntrypoints, AccessEntrypoints, TokenEntrypoints, RetentionEntrypoints
):
    """Persons, agencies and legal entities, grants, tokens."""

    name = "identity"

    db = Database(IdentityTable)
    clock = Clock()
    sealer = SealingKeys()
    roles = Roles()
    issuer = TokenIssuer()
    discovery = Discovery()
