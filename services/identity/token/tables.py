"""Client assertions that were used, so that none is used twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field

from chassis.tables import instant_field
from services.identity.tables import IdentityTable


class ClientAssertionRow(IdentityTable, table=True):
    """An assertion's id, kept until the assertion would have expired anyway."""

    __tablename__ = "client_assertion"
    __table_args__ = (Index("ix_client_assertion_expires", "expires_at"),)

    client_id: str = Field(sa_type=Text, primary_key=True)
    jti: str = Field(sa_type=Text, primary_key=True)
    expires_at: datetime = instant_field()
