"""The table of the bank's fees and interest. `agency_id` is the treasury's entity. Behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class BankChargeRow(FinanceTable, table=True):
    """One entry of the bank, proposed and approved as a fee or as interest."""

    __tablename__ = "bank_charge"
    __table_args__ = (
        CheckConstraint("kind in ('FEE', 'INTEREST')", name="kind"),
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED')", name="status"),
        CheckConstraint("amount_minor > 0", name="above_zero"),
        CheckConstraint(
            "num_nulls(functional_currency, functional_minor, exchange_rate) in (0, 3)"
            " and (functional_minor is null or functional_minor > 0 and exchange_rate > 0)",
            name="functional",
        ),
        CheckConstraint("(kind = 'FEE') = (budget_line_id is not null)", name="fee_has_a_line"),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("(status = 'APPROVED') = (journal_entry_id is not null)", name="approved_is_posted"),
        # An entry of the bank is one charge.
        Index("uq_bank_charge_live", "bank_entry_id", unique=True, postgresql_where=text("status <> 'REJECTED'")),
        Index("ix_bank_charge_list", "agency_id", "bank_charge_id"),
    )

    bank_charge_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    bank_entry_id: UUID = Field(sa_type=Uuid)
    kind: str = Field(sa_type=Text)
    transaction_code: str = Field(sa_type=Text)
    # Whose budget bears a fee; the treasury itself for interest.
    bearing_agency_id: UUID = Field(sa_type=Uuid)
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    fund_code: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    # Of an account in a foreign currency: the amount in that of the books, and the rate of the value day.
    functional_currency: str | None = Field(default=None, sa_type=Text, nullable=True)
    functional_minor: int | None = minor_field(nullable=True)
    exchange_rate: Decimal | None = Field(default=None, sa_type=Numeric, nullable=True)
    value_on: date
    explanation: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    approved_at: datetime | None = instant_field(nullable=True)
    rejected_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    rejection_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    version: int
