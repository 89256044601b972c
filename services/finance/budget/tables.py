"""Tables of the budget. Movements, releases and refusals are only ever added; lines and positions keep sums."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, SmallInteger, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, json_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


def _optional_uuid() -> UUID | None:
    return Field(default=None, sa_type=Uuid, nullable=True)


def _optional_text() -> str | None:
    return Field(default=None, sa_type=Text, nullable=True)


# A project's budget: usable on [valid_from, valid_to), the fiscal years to `last_fiscal_year`. Else none of the three.
_SPAN = (
    "num_nulls(valid_from, valid_to, last_fiscal_year) in (0, 3)"
    " and (valid_to is null or (valid_from < valid_to and last_fiscal_year > fiscal_year))"
)


class AppropriationRow(FinanceTable, table=True):
    """One act that brings lines into an agency's budget (DPA). DRAFT until another person activates it, or it is
    withdrawn with its lines."""

    __tablename__ = "appropriation"
    __table_args__ = (
        CheckConstraint("status in ('DRAFT', 'ACTIVE', 'WITHDRAWN')", name="status"),
        CheckConstraint("(status = 'WITHDRAWN') = (withdrawn_by_person_id is not null)", name="withdrawn_by"),
        CheckConstraint(_SPAN, name="span"),
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
    )

    appropriation_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    document_number: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    line_count: int
    total_minor: int = minor_field()
    version: int
    effective_on: date | None = Field(default=None, nullable=True)
    activated_by_person_id: UUID | None = _optional_uuid()
    activated_at: datetime | None = instant_field(nullable=True)
    journal_entry_id: UUID | None = _optional_uuid()
    valid_from: date | None = Field(default=None, nullable=True)
    valid_to: date | None = Field(default=None, nullable=True)
    last_fiscal_year: int | None = Field(default=None, nullable=True)
    withdrawal_reason: str = Field(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    withdrawn_by_person_id: UUID | None = _optional_uuid()
    withdrawn_at: datetime | None = instant_field(nullable=True)


class AppropriationImportRow(FinanceTable, table=True):
    """One batch of lines that a person imported: whoever imported may not activate."""

    __tablename__ = "appropriation_import"

    appropriation_import_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    appropriation_id: UUID = Field(sa_type=Uuid, index=True)
    person_id: UUID = Field(sa_type=Uuid)
    line_count: int
    total_minor: int = minor_field()
    recorded_at: datetime = instant_field()


class BudgetLineRow(FinanceTable, table=True):
    """One budget line, or a node above lines. A node's buckets are the sums of what is under it.

    available = original + supplementary + virement_in - virement_out + carried_in - frozen + override
                - reserved - obligated - advanced - expended - ordered - paid        (F1, F2)
    """

    __tablename__ = "budget_line"
    __table_args__ = (
        CheckConstraint("status in ('DRAFT', 'ACTIVE', 'CLOSED')", name="status"),
        CheckConstraint("not (controlling and warning)", name="one_mode"),
        CheckConstraint(_SPAN, name="span"),
        CheckConstraint(
            "least(original_minor, virement_in_minor, virement_out_minor, frozen_minor,"
            " override_minor, reserved_minor, obligated_minor, advanced_minor, expended_minor, ordered_minor,"
            " paid_minor) >= 0",
            name="no_negative_bucket",
        ),
        # The last fence (F2): whatever code runs, a hard-stop node never goes below zero.
        CheckConstraint(
            "not controlling or original_minor + supplementary_minor + virement_in_minor - virement_out_minor"
            " + carried_in_minor - frozen_minor + override_minor - reserved_minor - obligated_minor"
            " - advanced_minor - expended_minor - ordered_minor - paid_minor >= 0",
            name="available_not_negative",
        ),
        UniqueConstraint(
            "agency_id",
            "fiscal_year",
            "fund_code",
            "organisation_code",
            "program_code",
            "account_code",
            "function_code",
            "location_code",
            "project_code",
            "funding_source_code",
            "line_no",
            name="uq_budget_line_key",
        ),
        Index("ix_budget_line_list", "agency_id", "fiscal_year", "organisation_code", "account_code", "line_no"),
        Index("ix_budget_line_appropriation", "appropriation_id"),
        Index(
            "ix_budget_line_project",
            *("agency_id", "last_fiscal_year"),
            postgresql_where=text("last_fiscal_year is not null"),
        ),
        Index("ix_budget_line_parent", "parent_id", postgresql_where=text("parent_id is not null")),
    )

    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    fund_code: str = Field(sa_type=Text)
    organisation_code: str = Field(sa_type=Text)
    program_code: str = Field(sa_type=Text)
    account_code: str = Field(sa_type=Text)
    function_code: str = Field(sa_type=Text)
    location_code: str = Field(sa_type=Text)
    project_code: str = Field(sa_type=Text)
    funding_source_code: str = Field(sa_type=Text)
    line_no: int
    parent_id: UUID | None = _optional_uuid()
    # False for a node that has lines under it: it takes no movement of its own.
    postable: bool = Field(sa_column_kwargs={"server_default": text("true")})
    # A hard stop; or a node that records what goes beyond it and lets it pass; or neither.
    controlling: bool
    warning: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    # The appropriation, or the budget change, that brought the line in.
    appropriation_id: UUID | None = _optional_uuid()
    display_name: str = Field(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    currency: str = Field(sa_type=Text)
    original_minor: int = minor_field()
    supplementary_minor: int = minor_field()
    virement_in_minor: int = minor_field()
    virement_out_minor: int = minor_field()
    carried_in_minor: int = minor_field()
    frozen_minor: int = minor_field()
    override_minor: int = minor_field()
    reserved_minor: int = minor_field()
    obligated_minor: int = minor_field()
    advanced_minor: int = minor_field()
    expended_minor: int = minor_field()
    ordered_minor: int = minor_field()
    paid_minor: int = minor_field()
    status: str = Field(sa_type=Text)
    valid_from: date | None = Field(default=None, nullable=True)
    valid_to: date | None = Field(default=None, nullable=True)
    last_fiscal_year: int | None = Field(default=None, nullable=True)


class WithdrawnBudgetLineRow(FinanceTable, table=True):
    """A line of a draft that was withdrawn, as it stood then. Added, never changed."""

    __tablename__ = "withdrawn_budget_line"
    __table_args__ = (Index("ix_withdrawn_budget_line_appropriation", "appropriation_id"),)

    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    appropriation_id: UUID = Field(sa_type=Uuid)
    line: dict[str, Any] = json_field()


class FundsMovementRow(FinanceTable, table=True):
    """One movement of the funds ledger, on the line that it was made for; nodes above carry the sums only.

    `*_minor` are changes. What they leave over comes from, or goes back to, available. `authority_minor` is the
    change of F1's right side, `frozen_minor` and `override_minor` those of F2's left side. A movement without
    `document_line_id` has no position: it was made on a line's authority, or by a journal entry.
    """

    __tablename__ = "funds_movement"
    __table_args__ = (
        CheckConstraint(
            "kind in ('APPROPRIATE', 'ALLOT', 'RESERVE', 'OBLIGATE', 'RELEASE', 'EXPEND', 'ORDER', 'PAY',"
            " 'REJECT', 'VARIANCE', 'TRUE_UP', 'REVALUE', 'VIREMENT', 'FREEZE', 'OVERRIDE', 'LAPSE', 'CARRY',"
            " 'CLOSE_ADVANCE')",
            name="kind",
        ),
        Index("ix_funds_movement_line", "budget_line_id", "recorded_at", "funds_movement_id"),
        Index("ix_funds_movement_document", "document_id", "budget_line_id"),
        Index(
            "ix_funds_movement_document_line",
            *("document_line_id", "budget_line_id"),
            postgresql_where=text("document_line_id is not null"),
        ),
    )

    funds_movement_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    budget_line_id: UUID = Field(sa_type=Uuid)
    kind: str = Field(sa_type=Text)
    reserved_minor: int = minor_field()
    obligated_minor: int = minor_field()
    advanced_minor: int = minor_field()
    expended_minor: int = minor_field()
    ordered_minor: int = minor_field()
    paid_minor: int = minor_field()
    authority_minor: int = minor_field()
    frozen_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    override_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    document_kind: str = Field(sa_type=Text)
    document_id: UUID = Field(sa_type=Uuid)
    document_number: str = Field(sa_type=Text)
    document_line_id: UUID | None = _optional_uuid()
    # Whose position the buckets belong to, when that is another document line (the order line of a receipt).
    position_document_line_id: UUID | None = _optional_uuid()
    liquidates_movement_id: UUID | None = _optional_uuid()
    effective_on: date
    accounting_on: date
    recorded_at: datetime = instant_field()
    person_id: UUID | None = _optional_uuid()
    journal_entry_id: UUID | None = _optional_uuid()
    # The same changes in the commitment's own currency; the rate where the movement brought one in.
    foreign_currency: str | None = _optional_text()
    exchange_rate: Decimal | None = Field(default=None, sa_type=Numeric, nullable=True)
    foreign_reserved_minor: int | None = minor_field(nullable=True)
    foreign_obligated_minor: int | None = minor_field(nullable=True)
    foreign_advanced_minor: int | None = minor_field(nullable=True)
    foreign_expended_minor: int | None = minor_field(nullable=True)
    foreign_ordered_minor: int | None = minor_field(nullable=True)
    foreign_paid_minor: int | None = minor_field(nullable=True)


class FundsPositionRow(FinanceTable, table=True):
    """What one document line holds on one budget line, in each bucket, and how far it is used up.

    `total_minor` is what the line set aside (R of a requisition, O of an order) less what was given back by
    amount; `liquidated_minor` of it is used up; for a line with a quantity, by share of quantity.
    """

    __tablename__ = "funds_position"
    __table_args__ = (
        CheckConstraint(
            "least(reserved_minor, obligated_minor, advanced_minor, expended_minor, ordered_minor, paid_minor,"
            " total_minor, liquidated_minor, source_liquidated_minor, source_freed_minor) >= 0",
            name="no_negative_bucket",
        ),
        CheckConstraint("liquidated_minor <= total_minor", name="liquidated_within_total"),
        CheckConstraint(
            "quantity_total is null or (quantity_total > 0 and quantity_liquidated between 0 and quantity_total)",
            name="quantity_within_total",
        ),
        CheckConstraint(
            "foreign_currency is null or least(foreign_reserved_minor, foreign_obligated_minor, foreign_advanced_minor,"
            " foreign_expended_minor, foreign_ordered_minor, foreign_paid_minor, foreign_total_minor,"
            " foreign_liquidated_minor) >= 0",
            name="no_negative_foreign_bucket",
        ),
        Index(
            "ix_funds_position_foreign",
            *("agency_id", "budget_line_id", "document_line_id"),
            postgresql_where=text("foreign_currency is not null"),
        ),
        Index("ix_funds_position_line", "budget_line_id"),
        Index("ix_funds_position_document", "document_id"),
    )

    document_line_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    document_kind: str = Field(sa_type=Text)
    document_id: UUID = Field(sa_type=Uuid)
    document_number: str = Field(sa_type=Text)
    total_minor: int = minor_field()
    liquidated_minor: int = minor_field()
    quantity_total: Decimal | None = Field(default=None, sa_type=Numeric, nullable=True)
    quantity_liquidated: Decimal = Field(sa_type=Numeric)
    reserved_minor: int = minor_field()
    obligated_minor: int = minor_field()
    advanced_minor: int = minor_field()
    expended_minor: int = minor_field()
    ordered_minor: int = minor_field()
    paid_minor: int = minor_field()
    # What this line used up of another one (the requisition line of an order line): given back on cancelling.
    source_document_line_id: UUID | None = _optional_uuid()
    source_budget_line_id: UUID | None = _optional_uuid()
    source_quantity: Decimal = Field(sa_type=Numeric)
    source_liquidated_minor: int = minor_field()
    source_freed_minor: int = minor_field()
    # Closed by an act of its own: nothing is given back to it any more.
    closed: bool
    # The movement that opened it: what later movements name when they use it up.
    opening_movement_id: UUID = Field(sa_type=Uuid)
    # Its foreign side: null in the currency of the budget line. `foreign_rated_on`: what is open is at that day's rate.
    foreign_currency: str | None = _optional_text()
    foreign_rated_on: date | None = Field(default=None, nullable=True)
    foreign_total_minor: int | None = minor_field(nullable=True)
    foreign_liquidated_minor: int | None = minor_field(nullable=True)
    foreign_reserved_minor: int | None = minor_field(nullable=True)
    foreign_obligated_minor: int | None = minor_field(nullable=True)
    foreign_advanced_minor: int | None = minor_field(nullable=True)
    foreign_expended_minor: int | None = minor_field(nullable=True)
    foreign_ordered_minor: int | None = minor_field(nullable=True)
    foreign_paid_minor: int | None = minor_field(nullable=True)


class FundsScheduleRow(FinanceTable, table=True):
    """In which month what a document line still reserves or obligates falls due (for F3). Sums to R + O."""

    __tablename__ = "funds_schedule"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="not_negative"),
        CheckConstraint("period_number between 1 and 12", name="period"),
        Index("ix_funds_schedule_line", "budget_line_id", "year", "period_number"),
    )

    document_line_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    period_number: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    amount_minor: int = minor_field()


class AllotmentOrderRow(FinanceTable, table=True):
    """One release of funds (SPD): the document over its lines."""

    __tablename__ = "allotment_order"
    __table_args__ = (
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
        CheckConstraint("1 <= month_from and month_from <= month_to and month_to <= 12", name="months"),
    )

    allotment_order_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    document_number: str = Field(sa_type=Text)
    month_from: int = Field(sa_type=SmallInteger)
    month_to: int = Field(sa_type=SmallInteger)
    currency: str = Field(sa_type=Text)
    line_count: int
    total_minor: int = minor_field()
    effective_on: date
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()


class AllotmentRow(FinanceTable, table=True):
    """What one release gives to one line, usable from the first month of its period on."""

    __tablename__ = "allotment"
    __table_args__ = (Index("ix_allotment_line", "budget_line_id", "month_from"),)

    allotment_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    allotment_order_id: UUID = Field(sa_type=Uuid, index=True)
    budget_line_id: UUID = Field(sa_type=Uuid)
    month_from: int = Field(sa_type=SmallInteger)
    month_to: int = Field(sa_type=SmallInteger)
    amount_minor: int = minor_field()


class FundsRequestRow(FinanceTable, table=True):
    """What payment requests have asked of a line in one month (F3 at its step PAYMENT_REQUEST), kept as a sum."""

    __tablename__ = "funds_requested"
    __table_args__ = (CheckConstraint("amount_minor >= 0", name="not_negative"),)

    budget_line_id: UUID = uuid_key()
    month: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    amount_minor: int = minor_field()


class FundsRefusalRow(FinanceTable, table=True):
    """A request for funds that was refused, once for each request_id: what FundsRefused was published from."""

    __tablename__ = "funds_refusal"

    funds_refusal_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    budget_line_id: UUID = Field(sa_type=Uuid)
    document_kind: str = Field(sa_type=Text)
    document_id: UUID = Field(sa_type=Uuid, index=True)
    document_number: str = Field(sa_type=Text)
    asked_minor: int = minor_field()
    available_minor: int = minor_field()
    message: str = Field(sa_type=Text)
    person_id: UUID | None = _optional_uuid()
    recorded_at: datetime = instant_field()
