"""The table of the days of payments' steps. Behind the agency wall."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import uuid_key
from services.finance.tables import FinanceTable


class PaymentClockRow(FinanceTable, table=True):
    """One step of one payment request: since when it runs, by when it is due, how and when it ended."""

    __tablename__ = "payment_clock"
    __table_args__ = (
        CheckConstraint("step in ('AUTHORISATION', 'ORDER')", name="step"),
        CheckConstraint("outcome in ('DONE', 'RETURNED', 'WITHDRAWN')", name="outcome"),
        CheckConstraint("(ended_on is null) = (outcome is null)", name="ended_with_an_outcome"),
        Index("ix_payment_clock_list", "agency_id", "due_on", "payment_request_id", "step"),
    )

    payment_request_id: UUID = uuid_key()
    step: str = Field(primary_key=True, sa_type=Text)
    agency_id: UUID = Field(sa_type=Uuid)
    started_on: date
    due_on: date
    return_due_on: date
    ended_on: date | None = Field(default=None, nullable=True)
    outcome: str | None = Field(default=None, sa_type=Text, nullable=True)
