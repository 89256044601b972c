"""The logistics database's registry, its shared tables, and the column makers that its areas use."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData, Numeric, Text, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

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


class LogisticsTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))):
    """The base of every table of logistics."""


class Outbox(LogisticsTable, OutboxMixin, table=True):
    """Events on their way out."""


class RelayState(LogisticsTable, RelayStateMixin, table=True):
    """What the relay knows."""


class BrokerOffset(LogisticsTable, BrokerOffsetMixin, table=True):
    """Where each partition ended."""


class Inbox(LogisticsTable, InboxMixin, table=True):
    """Events taken in."""


class Parked(LogisticsTable, ParkedMixin, table=True):
    """Events that could not be taken in."""


class Idempotency(LogisticsTable, IdempotencyMixin, table=True):
    """Request ids and their answers."""


class Audit(LogisticsTable, AuditMixin, table=True):
    """Who did what."""


class AuditHead(LogisticsTable, AuditHeadMixin, table=True):
    """Signed heads of the audit chain."""


class Saga(LogisticsTable, SagaMixin, table=True):
    """Acts across services that are under way."""


class Operation(LogisticsTable, OperationMixin, table=True):
    """Long runs."""


# Quantities and prices have up to 6 decimals (domain rules §6); numeric keeps them exact.
def exact_field(*, nullable: bool = False) -> Any:
    """A quantity, price or rate: numeric(24, 6), a Decimal in Python."""
    if nullable:
        return Field(default=None, sa_type=_exact, nullable=True)
    return Field(sa_type=_exact, nullable=False)


def _exact() -> Numeric[Any]:
    return Numeric(24, 6)


def text_field() -> Any:
    """A text, empty when there is none."""
    return Field(default="", sa_type=Text, nullable=False, sa_column_kwargs={"server_default": text("''")})
