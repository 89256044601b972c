"""The table of withholding slips. Behind the agency wall."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import minor_field, uuid_key
from services.finance.tables import FinanceTable


class WithholdingSlipRow(FinanceTable, table=True):
    """One slip: what one payment kept of one kind. Its number comes after the commit, without gaps."""

    __tablename__ = "withholding_slip"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="above_zero"),
        UniqueConstraint("payment_order_id", "withholding_code"),
        Index("ix_withholding_slip_list", "agency_id", "withholding_slip_id"),
        Index(
            "uq_withholding_slip_number",
            *("treasury_agency_id", "slip_number"),
            unique=True,
            postgresql_where=text("slip_number is not null"),
        ),
    )

    withholding_slip_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    treasury_agency_id: UUID = Field(sa_type=Uuid)
    payment_order_id: UUID = Field(sa_type=Uuid)
    order_number: str = Field(sa_type=Text)
    creditor: str = Field(sa_type=Text)
    withholding_code: str = Field(sa_type=Text)
    # What the paper is called in the law of its day.
    title: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    withheld_on: date
    slip_number: str | None = Field(default=None, sa_type=Text, nullable=True)
    version: int
