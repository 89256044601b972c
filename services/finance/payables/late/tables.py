"""The table of charges of late interest. Behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class LateInterestChargeRow(FinanceTable, table=True):
    """Interest on one payable for some days, charged to a budget line and owed to the same creditor."""

    __tablename__ = "late_interest_charge"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint("amount_minor > 0", name="above_zero"),
        CheckConstraint("until_on >= from_on", name="days"),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint(
            "(status = 'APPROVED') = (payable_id is not null)"
            " and (status = 'APPROVED') = (journal_entry_id is not null)",
            name="approved_is_posted",
        ),
        # A day of a payable is charged once; the service goes on where the last charge ended, under the payable's lock.
        Index(
            "uq_late_interest_charge_live",
            *("late_payable_id", "from_on"),
            unique=True,
            postgresql_where=text("status in ('PROPOSED', 'APPROVED')"),
        ),
        Index("ix_late_interest_charge_list", "agency_id", "late_interest_charge_id"),
    )

    late_interest_charge_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    # The payable that was paid late.
    late_payable_id: UUID = Field(sa_type=Uuid)
    source_document_number: str = Field(sa_type=Text)
    creditor: str = Field(sa_type=Text)
    budget_line_id: UUID = Field(sa_type=Uuid)
    currency: str = Field(sa_type=Text)
    from_on: date
    until_on: date
    amount_minor: int = minor_field()
    status: str = Field(sa_type=Text)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    approved_at: datetime | None = instant_field(nullable=True)
    ended_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    end_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    # The payable that the approval opened.
    payable_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    version: int
