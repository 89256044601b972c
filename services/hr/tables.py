"""The base of HR's tables, and its share of the chassis's. Every table of HR's own is behind the agency wall."""

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

OUTSIDE_THE_WALL: tuple[str, ...] = ()


class HrTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=dict(NAMING)))):
    """The base of every table of this service."""


class Outbox(HrTable, OutboxMixin, table=True):
    """Events on their way to the broker."""


class RelayState(HrTable, RelayStateMixin, table=True):
    """Where the relay stands."""


class BrokerOffset(HrTable, BrokerOffsetMixin, table=True):
    """What the broker held when the relay last sent."""


class Inbox(HrTable, InboxMixin, table=True):
    """Events taken in: finance's payments."""


class Parked(HrTable, ParkedMixin, table=True):
    """Events that could not be taken in."""


class Idempotency(HrTable, IdempotencyMixin, table=True):
    """Request ids and their first answers."""


class Audit(HrTable, AuditMixin, table=True):
    """Who did what, and who read whose pay."""


class AuditHead(HrTable, AuditHeadMixin, table=True):
    """Signed heads of the audit chain."""


class Saga(HrTable, SagaMixin, table=True):
    """Acts across services: obligations of employments, computation and acceptance of payroll runs."""


class Operation(HrTable, OperationMixin, table=True):
    """Payroll runs under way, for those who follow them."""
