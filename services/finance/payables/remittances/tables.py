"""Tables of remittances. `agency_id` is the treasury's entity. Behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class WithholdingRemittanceRow(FinanceTable, table=True):
    """What was withheld of one kind, in one fund and currency, on its way to whom it is owed."""

    __tablename__ = "withholding_remittance"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED', 'REMITTED')", name="status"),
        CheckConstraint("amount_minor > 0", name="above_zero"),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("(status in ('APPROVED', 'REMITTED')) = (payable_id is not null)", name="approved_is_owed"),
        CheckConstraint("(status = 'REMITTED') = (remitted_on is not null)", name="remitted_on_a_day"),
        CheckConstraint("corrected_minor >= 0", name="corrected_downwards"),
        CheckConstraint("receipt_number is null or status = 'REMITTED'", name="receipt_of_what_was_remitted"),
        Index("ix_withholding_remittance_list", "agency_id", "withholding_remittance_id"),
        Index(
            "uq_withholding_remittance_payable",
            "payable_id",
            unique=True,
            postgresql_where=text("payable_id is not null"),
        ),
        # One receipt is of one remittance.
        Index(
            "uq_withholding_remittance_receipt",
            *("agency_id", "receipt_number"),
            unique=True,
            postgresql_where=text("receipt_number is not null"),
        ),
    )

    withholding_remittance_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    withholding_code: str = Field(sa_type=Text)
    creditor: str = Field(sa_type=Text)
    fund_code: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    withheld_to: date
    due_on: date
    amount_minor: int = minor_field()
    status: str = Field(sa_type=Text)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    approved_at: datetime | None = instant_field(nullable=True)
    ended_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    end_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    payable_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    remitted_on: date | None = Field(default=None, nullable=True)
    version: int
    # What the creditor gave for it: in `id` the NTPN of the state's revenue module.
    receipt_number: str | None = Field(default=None, sa_type=Text, nullable=True)
    received_on: date | None = Field(default=None, nullable=True)
    # Of what it collects, what is withheld no more: its amount is less by that.
    corrected_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    receipt_recorded_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class WithholdingRemittanceItemRow(FinanceTable, table=True):
    """What one payment order withheld, in one remittance; `live` until that is rejected or recalled."""

    __tablename__ = "withholding_remittance_item"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="above_zero"),
        # What a payment withheld is remitted once, whatever runs at the same time.
        Index(
            "uq_withholding_remittance_item_live",
            *("payment_order_id", "withholding_code", "fund_code"),
            unique=True,
            postgresql_where=text("live"),
        ),
    )

    withholding_remittance_id: UUID = uuid_key()
    payment_order_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    withholding_code: str = Field(sa_type=Text)
    fund_code: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    live: bool
