"""The tables of held invoices' exceptions. Behind the agency wall."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.tables import FinanceTable


class InvoiceExceptionRow(FinanceTable, table=True):
    """One spell in which an invoice is held: one owner at a time, one deadline, one outcome."""

    __tablename__ = "invoice_exception"
    __table_args__ = (
        CheckConstraint("status in ('OPEN', 'CLOSED')", name="status"),
        CheckConstraint("outcome in ('RESOLVED', 'RELEASED', 'REJECTED', 'WITHDRAWN')", name="outcome"),
        CheckConstraint(
            "(status = 'CLOSED') = (outcome is not null) and (status = 'CLOSED') = (closed_at is not null)",
            name="closed_with_an_outcome",
        ),
        CheckConstraint(
            "outcome not in ('RELEASED', 'REJECTED') or closed_by_person_id <> registered_by_person_id",
            name="registrant_decides_nothing",
        ),
        # An invoice is held once at a time.
        Index("uq_invoice_exception_open", "invoice_id", unique=True, postgresql_where=text("status = 'OPEN'")),
        Index("ix_invoice_exception_list", "agency_id", "invoice_exception_id"),
        Index(
            "ix_invoice_exception_owner",
            *("owner_person_id", "invoice_exception_id"),
            postgresql_where=text("status = 'OPEN'"),
        ),
    )

    invoice_exception_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    invoice_id: UUID = Field(sa_type=Uuid)
    supplier_id: UUID = Field(sa_type=Uuid)
    supplier_invoice_number: str = Field(sa_type=Text)
    registered_by_person_id: UUID = Field(sa_type=Uuid)
    # Names of HoldReason.
    reasons: list[str] = Field(sa_type=ARRAY(Text), nullable=False)
    owner_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    opened_at: datetime = instant_field()
    due_at: datetime = instant_field()
    supplier_asked_at: datetime | None = instant_field(nullable=True)
    status: str = Field(sa_type=Text)
    outcome: str | None = Field(default=None, sa_type=Text, nullable=True)
    closed_at: datetime | None = instant_field(nullable=True)
    closed_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    version: int


class InvoiceExceptionStepRow(FinanceTable, table=True):
    """What happened to an exception at each version; added, never edited."""

    __tablename__ = "invoice_exception_step"
    __table_args__ = (
        CheckConstraint(
            "action in ('OPENED', 'REASONS_CHANGED', 'ASSIGNED', 'SUPPLIER_ASKED', 'CLOSED')", name="action"
        ),
    )

    invoice_exception_id: UUID = uuid_key()
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    action: str = Field(sa_type=Text)
    # None: no person did it; a receipt or another invoice changed the match.
    by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    owner_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    due_at: datetime = instant_field()
    explanation: str = Field(sa_type=Text)
    recorded_at: datetime = instant_field()
