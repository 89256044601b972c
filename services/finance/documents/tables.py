"""Where documents stand, and what was done with them. Kept by triggers on the documents' own tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, json_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class DocumentStateRow(FinanceTable, table=True):
    """Where a document stands since when, and who took which part in it: `persons` is {part: [person ids]}."""

    __tablename__ = "document_state"
    __table_args__ = (Index("ix_document_state_waiting", "agency_id", "document_kind", "status"),)

    document_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    document_kind: str = Field(sa_type=Text)
    document_number: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    since: datetime = instant_field()
    currency: str | None = Field(default=None, sa_type=Text, nullable=True)
    amount_minor: int | None = minor_field(nullable=True)
    persons: dict[str, Any] = json_field()


class DocumentActRow(FinanceTable, table=True):
    """One act on a document: added, never changed. `status` is null where the act left the document as it stood."""

    __tablename__ = "document_act"
    __table_args__ = (Index("ix_document_act_document", "document_id", "document_act_no"),)

    document_act_no: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True, cache=1),)
    )
    agency_id: UUID = Field(sa_type=Uuid)
    document_id: UUID = Field(sa_type=Uuid)
    act: str = Field(sa_type=Text)
    approval_step: str = Field(sa_type=Text)
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    on_behalf_of_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    reason: str = Field(sa_type=Text)
    status_before: str | None = Field(default=None, sa_type=Text, nullable=True)
    status: str | None = Field(default=None, sa_type=Text, nullable=True)
    recorded_at: datetime = instant_field()
