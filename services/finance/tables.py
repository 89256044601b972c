"""The finance service's registry, and its own copies of the tables that every service has."""

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


class FinanceTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))):
    """The base of every table of the finance service."""


class Outbox(FinanceTable, OutboxMixin, table=True):
    """Events on their way to the broker."""


class RelayState(FinanceTable, RelayStateMixin, table=True):
    """What the relay knows."""


class BrokerOffset(FinanceTable, BrokerOffsetMixin, table=True):
    """Where each partition ended."""


class Inbox(FinanceTable, InboxMixin, table=True):
    """Events that were taken in."""


class Parked(FinanceTable, ParkedMixin, table=True):
    """Events that could not be taken in."""


class Idempotency(FinanceTable, IdempotencyMixin, table=True):
    """Request ids and their first answers."""


class Audit(FinanceTable, AuditMixin, table=True):
    """Who did what."""


class AuditHead(FinanceTable, AuditHeadMixin, table=True):
    """Signed heads of the audit chain."""


class Saga(FinanceTable, SagaMixin, table=True):
    """Acts across services that are under way."""


class Operation(FinanceTable, OperationMixin, table=True):
    """Long runs that clients follow."""
