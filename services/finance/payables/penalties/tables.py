"""The tables of penalties for late delivery. Behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable

_LIVE = "status in ('PROPOSED', 'APPROVED', 'WAIVED')"


class LateDeliveryPenaltyRow(FinanceTable, table=True):
    """A penalty on one payable for one late delivery; kept from its payment while it is APPROVED."""

    __tablename__ = "late_delivery_penalty"
    __table_args__ = (
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'WAIVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint("base in ('LATE_PART', 'CONTRACT')", name="base"),
        CheckConstraint("base_minor > 0 and assessed_minor > 0", name="above_zero"),
        CheckConstraint("amount_minor between 0 and assessed_minor", name="within_the_rule"),
        CheckConstraint("(status = 'WAIVED') = (amount_minor = 0)", name="waived_is_nil"),
        CheckConstraint("delivered_on > due_on and days_late = delivered_on - due_on", name="days"),
        CheckConstraint(
            "created_by_person_id not in (approved_by_person_id, reduced_by_person_id)", name="maker_is_not_checker"
        ),
        CheckConstraint(
            "(status in ('APPROVED', 'WAIVED')) = (approved_by_person_id is not null)", name="approved_by_somebody"
        ),
        CheckConstraint(
            "(amount_minor < assessed_minor) = (reduced_by_person_id is not null)"
            " and (reduced_by_person_id is null) = (reduction_explanation is null)",
            name="reduced_with_a_reason",
        ),
        # A delivery is penalised once, a whole contract once for the day that it was due, whatever runs at one time.
        Index(
            "uq_late_delivery_penalty_live",
            *("payable_id", "due_on", "delivered_on"),
            unique=True,
            postgresql_where=text(_LIVE),
        ),
        Index(
            "uq_late_delivery_penalty_contract",
            *("agreement_id", "due_on"),
            unique=True,
            postgresql_where=text(f"base = 'CONTRACT' and {_LIVE}"),
        ),
        Index("ix_late_delivery_penalty_payable", "payable_id"),
        Index("ix_late_delivery_penalty_agreement", "agreement_id", "due_on"),
        Index("ix_late_delivery_penalty_list", "agency_id", "late_delivery_penalty_id"),
    )

    late_delivery_penalty_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    payable_id: UUID = Field(sa_type=Uuid)
    # The purchase order or the contract that the payable belongs to.
    agreement_id: UUID = Field(sa_type=Uuid)
    source_document_number: str = Field(sa_type=Text)
    creditor: str = Field(sa_type=Text)
    base: str = Field(sa_type=Text)
    # The price without VAT of the late part, or of the contract. Amounts are in the currency of the payable.
    base_minor: int = minor_field()
    currency: str = Field(sa_type=Text)
    due_on: date
    delivered_on: date
    days_late: int
    # The rate of a day as it is written in the law ("1/1000"), and which law that is.
    daily_rate: str = Field(sa_type=Text)
    legal_source: str = Field(sa_type=Text)
    # By the rule; `amount_minor` is what a reduction left of it.
    assessed_minor: int = minor_field()
    amount_minor: int = minor_field()
    explanation: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    approved_at: datetime | None = instant_field(nullable=True)
    reduced_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    reduced_at: datetime | None = instant_field(nullable=True)
    reduction_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    ended_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    end_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    version: int


class PaymentOrderPenaltyRow(FinanceTable, table=True):
    """What an order keeps of its payment as a penalty; an order that was rejected or stopped kept nothing."""

    __tablename__ = "payment_order_penalty"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="above_zero"),
        CheckConstraint(
            "num_nulls(foreign_currency, foreign_minor, exchange_rate) in (0, 3)"
            " and (foreign_minor is null or foreign_minor > 0 and exchange_rate > 0)",
            name="foreign",
        ),
        Index("ix_payment_order_penalty_penalty", "late_delivery_penalty_id"),
    )

    payment_order_id: UUID = uuid_key()
    late_delivery_penalty_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    amount_minor: int = minor_field()
    # Of a penalty in another currency than the books': its own amount, and the rate of the order's day.
    foreign_currency: str | None = Field(default=None, sa_type=Text, nullable=True)
    foreign_minor: int | None = minor_field(nullable=True)
    exchange_rate: Decimal | None = Field(default=None, sa_type=Numeric, nullable=True)
