"""Tables of templates and due days."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class JournalTemplateRow(FinanceTable, table=True):
    """An entry that comes again; only its end may change."""

    __tablename__ = "journal_template"
    __table_args__ = (
        CheckConstraint("interval_months between 1 and 60", name="interval"),
        CheckConstraint("balancing in ('GIVEN', 'DUE')", name="balancing"),
        Index("ix_journal_template_list", "agency_id", "journal_template_id"),
    )

    journal_template_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    description: str = Field(sa_type=Text)
    first_due_on: date
    interval_months: int = Field(sa_type=SmallInteger)
    last_due_on: date | None = Field(default=None, nullable=True)
    auto_reverse: bool
    person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    version: int
    # How the funds of its entries balance (ledger.domain.FundBalancing).
    balancing: str = Field(sa_type=Text)


class JournalTemplateLineRow(FinanceTable, table=True):
    """One line of each of a template's entries."""

    __tablename__ = "journal_template_line"
    __table_args__ = (
        CheckConstraint("(debit_minor > 0) <> (credit_minor > 0)", name="one_side"),
        CheckConstraint("debit_minor >= 0 and credit_minor >= 0", name="not_negative"),
    )

    journal_template_id: UUID = uuid_key()
    line_no: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    basis: str = Field(sa_type=Text)
    fund_code: str = Field(sa_type=Text)
    account_code: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    debit_minor: int = minor_field()
    credit_minor: int = minor_field()
    functional_minor: int | None = minor_field(nullable=True)
    functional_currency: str = Field(sa_type=Text)
    organisation_code: str = Field(sa_type=Text)
    program_code: str = Field(sa_type=Text)
    function_code: str = Field(sa_type=Text)
    location_code: str = Field(sa_type=Text)
    project_code: str = Field(sa_type=Text)
    funding_source_code: str = Field(sa_type=Text)
    budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class ScheduledEntryRow(FinanceTable, table=True):
    """One due day of a template, or of an entry that reverses by itself: posted once, or refused and tried again."""

    __tablename__ = "scheduled_entry"
    __table_args__ = (
        CheckConstraint("kind in ('RECURRING', 'REVERSAL')", name="kind"),
        CheckConstraint("status in ('POSTED', 'REFUSED')", name="status"),
        CheckConstraint("(status = 'POSTED') = (journal_entry_id is not null)", name="posted_has_its_entry"),
        Index("ix_scheduled_entry_list", "agency_id", "due_on", "source_id"),
    )

    source_id: UUID = uuid_key()
    due_on: date = Field(primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    kind: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    refusal_reason: str = Field(sa_type=Text)
    refusal_message: str = Field(sa_type=Text)
    tried_at: datetime = instant_field()


class JournalClockRow(FinanceTable, table=True):
    """When the next scheduled entry of an entity (an agency) is due; null when none is.

    Not behind the agency wall: the service's own round serves all agencies. It holds ids and days only, and its row
    is the lock of an entity's run.
    """

    __tablename__ = "journal_clock"

    entity_id: UUID = uuid_key()
    next_due_on: date | None = Field(default=None, nullable=True)
