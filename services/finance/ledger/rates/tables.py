"""Tables of exchange rates and revaluations. Both are only ever added."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, SmallInteger, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable

_NOBODY = text("'00000000-0000-0000-0000-000000000000'")


class ExchangeRateRow(FinanceTable, table=True):
    """A rate of a day as it became known; the latest row of a day holds. One set for the whole government."""

    __tablename__ = "exchange_rate"
    __table_args__ = (
        CheckConstraint("rate > 0", name="above_zero"),
        CheckConstraint("kind in ('MIDDLE')", name="kind"),
        Index(
            "ix_exchange_rate_day",
            *("functional_currency", "currency", "kind", "rated_on", "recorded_at", "exchange_rate_id"),
        ),
        Index("ix_exchange_rate_list", "rated_on", "currency", "exchange_rate_id"),
    )

    exchange_rate_id: UUID = uuid_key()
    currency: str = Field(sa_type=Text)
    functional_currency: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    rated_on: date
    rate: Decimal = Field(sa_type=Numeric)
    source: str = Field(sa_type=Text)
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()


class ForeignRevaluationRow(FinanceTable, table=True):
    """A revaluation of an agency's foreign balances at the end of a period."""

    __tablename__ = "foreign_revaluation"
    __table_args__ = (Index("ix_foreign_revaluation_list", "agency_id", "foreign_revaluation_id"),)

    foreign_revaluation_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    year: int
    number: int = Field(sa_type=SmallInteger)
    revalued_on: date
    functional_currency: str = Field(sa_type=Text)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()


class ForeignRevaluationItemRow(FinanceTable, table=True):
    """What a revaluation did to one balance: its difference belongs to the balance's currency from then on."""

    __tablename__ = "foreign_revaluation_item"

    foreign_revaluation_id: UUID = uuid_key()
    account_code: str = Field(sa_type=Text, primary_key=True)
    fund_code: str = Field(sa_type=Text, primary_key=True)
    currency: str = Field(sa_type=Text, primary_key=True)
    # Which debt of which budget line it is; nil for balances that belong to none.
    budget_line_id: UUID = Field(sa_type=Uuid, primary_key=True, sa_column_kwargs={"server_default": _NOBODY})
    document_line_id: UUID = Field(sa_type=Uuid, primary_key=True, sa_column_kwargs={"server_default": _NOBODY})
    agency_id: UUID = Field(sa_type=Uuid)
    foreign_minor: int = minor_field()
    carrying_minor: int = minor_field()
    revalued_minor: int = minor_field()
    exchange_rate_id: UUID = Field(sa_type=Uuid)
