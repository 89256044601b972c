"""The table of offsets. Behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class CreditOffsetRow(FinanceTable, table=True):
    """A credit note, set off whole against one payable of the same creditor."""

    __tablename__ = "credit_offset"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint("amount_minor > 0", name="above_zero"),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("(status = 'APPROVED') = (journal_entry_id is not null)", name="approved_is_posted"),
        # What a creditor owes back is set off once.
        Index(
            "uq_credit_offset_live",
            "credit_note_id",
            unique=True,
            postgresql_where=text("status in ('PROPOSED', 'APPROVED')"),
        ),
        Index("ix_credit_offset_list", "agency_id", "credit_offset_id"),
        Index("ix_credit_offset_payable", "payable_id", "credit_offset_id"),
    )

    credit_offset_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    credit_note_id: UUID = Field(sa_type=Uuid)
    credit_note_number: str = Field(sa_type=Text)
    payable_id: UUID = Field(sa_type=Uuid)
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    # What the payable fell by in the currency of the books, when that is another one.
    functional_minor: int | None = minor_field(nullable=True)
    explanation: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    effective_on: date | None = Field(default=None, nullable=True)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    approved_at: datetime | None = instant_field(nullable=True)
    ended_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    end_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    version: int
