"""The base of identity's tables, and its share of the chassis's.

Not behind the agency wall, since they belong to no agency or are open to all: `person` (whoever may read persons
may read them wherever they work), `legal_entity` and `legal_entity_owner` (the same), `agency` (how a government
is organised is public: UU 14/2008), `client_assertion` (used before anyone is known). Behind it: `access_grant`.
"""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from chassis.tables import (
    NAMING,
    AuditHeadMixin,
    AuditMixin,
    BrokerOffsetMixin,
    IdempotencyMixin,
    InboxMixin,
    OperationMixin,
    OutboxMixin,
    ParkedMixin,
    RelayStateMixin,
    SagaMixin,
)

OUTSIDE_THE_WALL = ("person", "legal_entity", "legal_entity_owner", "agency", "client_assertion")


class IdentityTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=dict(NAMING)))):
    """The base of every table of this service."""


class Outbox(IdentityTable, OutboxMixin, table=True):
    """Events on their way to the broker."""


class RelayState(IdentityTable, RelayStateMixin, table=True):
    """Where the relay stands."""


class BrokerOffset(IdentityTable, BrokerOffsetMixin, table=True):
    """What the broker held when the relay last sent."""


class Inbox(IdentityTable, InboxMixin, table=True):
    """Events taken in."""


class Parked(IdentityTable, ParkedMixin, table=True):
    """Events that could not be taken in."""


class Idempotency(IdentityTable, IdempotencyMixin, table=True):
    """Request ids and their first answers."""


class Audit(IdentityTable, AuditMixin, table=True):
    """Who did what."""


class AuditHead(IdentityTable, AuditHeadMixin, table=True):
    """Signed heads of the audit chain."""


class Saga(IdentityTable, SagaMixin, table=True):
    """Acts across services that are under way; identity starts none yet."""


class Operation(IdentityTable, OperationMixin, table=True):
    """Long runs; identity has none yet."""
