"""Tables of the general ledger. Entries and lines are only ever added; balances are kept beside them."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class JournalEntryRow(FinanceTable, table=True):
    """One entry of one agency's books."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        Index("ix_journal_entry_day", "agency_id", "accounting_on", "journal_entry_id"),
        Index("ix_journal_entry_source", "source_id", postgresql_where=text("source_id is not null")),
        Index(
            "uq_journal_entry_reverses",
            "reverses_journal_entry_id",
            unique=True,
            postgresql_where=text("reverses_journal_entry_id is not null"),
        ),
        Index(
            "ix_journal_entry_corrects",
            *("corrects_journal_entry_id", "journal_entry_id"),
            postgresql_where=text("corrects_journal_entry_id is not null"),
        ),
        Index(
            "ix_journal_entry_reverse_on",
            *("agency_id", "reverse_on", "journal_entry_id"),
            postgresql_where=text("reverse_on is not null"),
        ),
    )

    journal_entry_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    effective_on: date
    accounting_on: date
    fiscal_year: int
    period_number: int = Field(sa_type=SmallInteger)
    recorded_at: datetime = instant_field()
    description: str = Field(sa_type=Text)
    source_kind: str = Field(sa_type=Text)
    source_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    reverses_journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    late_reason: str = Field(sa_type=Text)
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    corrects_journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    # The day on which its mirror is posted by itself; null for an entry that stays.
    reverse_on: date | None = Field(default=None, nullable=True)


class JournalLineRow(FinanceTable, table=True):
    """One line. No foreign key to the entry: both are written by one statement, and verify holds them together."""

    __tablename__ = "journal_line"
    __table_args__ = (
        CheckConstraint("(debit_minor > 0) <> (credit_minor > 0)", name="one_side"),
        CheckConstraint("debit_minor >= 0 and credit_minor >= 0", name="not_negative"),
        CheckConstraint("(functional_debit_minor is null) = (functional_credit_minor is null)", name="functional_pair"),
        Index(
            "ix_journal_line_statement",
            *("agency_id", "account_code", "accounting_on", "journal_entry_id", "line_no"),
        ),
        Index(
            "ix_journal_line_budget_line",
            "budget_line_id",
            postgresql_where=text("budget_line_id is not null"),
        ),
    )

    journal_entry_id: UUID = uuid_key()
    line_no: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    basis: str = Field(sa_type=Text)
    fund_code: str = Field(sa_type=Text)
    account_code: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    debit_minor: int = minor_field()
    credit_minor: int = minor_field()
    functional_debit_minor: int | None = minor_field(nullable=True)
    functional_credit_minor: int | None = minor_field(nullable=True)
    organisation_code: str = Field(sa_type=Text)
    program_code: str = Field(sa_type=Text)
    function_code: str = Field(sa_type=Text)
    location_code: str = Field(sa_type=Text)
    project_code: str = Field(sa_type=Text)
    funding_source_code: str = Field(sa_type=Text)
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    funds_movement_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    document_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    counterpart_agency_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    # The entry's, kept here so that statements and balances as of a day read lines alone.
    accounting_on: date
    fiscal_year: int
    period_number: int = Field(sa_type=SmallInteger)
    recorded_at: datetime = instant_field()


class AccountBalanceRow(FinanceTable, table=True):
    """What an account's lines of one period sum to, kept by the posting statement."""

    __tablename__ = "account_balance"

    agency_id: UUID = Field(sa_type=Uuid, primary_key=True)
    account_code: str = Field(sa_type=Text, primary_key=True)
    fund_code: str = Field(sa_type=Text, primary_key=True)
    basis: str = Field(sa_type=Text, primary_key=True)
    currency: str = Field(sa_type=Text, primary_key=True)
    fiscal_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    period_number: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    debit_minor: int = minor_field()
    credit_minor: int = minor_field()
    functional_debit_minor: int = minor_field()
    functional_credit_minor: int = minor_field()
    line_count: int = bigint_field()


class AccountTurnoverRow(FinanceTable, table=True):
    """What an account's lines of one accounting day sum to, kept by the posting statement for balances of past days."""

    __tablename__ = "account_turnover"
    __table_args__ = (Index("ix_account_turnover_day", "accounting_on"),)

    agency_id: UUID = Field(sa_type=Uuid, primary_key=True)
    account_code: str = Field(sa_type=Text, primary_key=True)
    fund_code: str = Field(sa_type=Text, primary_key=True)
    basis: str = Field(sa_type=Text, primary_key=True)
    currency: str = Field(sa_type=Text, primary_key=True)
    accounting_on: date = Field(primary_key=True)
    period_number: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    fiscal_year: int
    debit_minor: int = minor_field()
    credit_minor: int = minor_field()
    functional_debit_minor: int = minor_field()
    functional_credit_minor: int = minor_field()
    line_count: int = bigint_field()
