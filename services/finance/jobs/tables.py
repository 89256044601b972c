"""Tables of jobs and their runs."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.tables import FinanceTable


class JobRow(FinanceTable, table=True):
    """A kind of work of an agency for a due day. Its row is the lock of its runs."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("status in ('OPEN', 'DONE')", name="status"),
        UniqueConstraint("agency_id", "kind", "due_on", name="uq_job_due"),
    )

    job_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    kind: str = Field(sa_type=Text)
    due_on: date
    status: str = Field(sa_type=Text)
    done_count: int
    refused_count: int


class ProofClockRow(FinanceTable, table=True):
    """The last day on which the books of an entity (an agency) were proved; null while they never were.

    Not behind the agency wall: the service's own round serves all agencies. It holds ids and days only.
    """

    __tablename__ = "proof_clock"

    entity_id: UUID = uuid_key()
    proved_on: date | None = Field(default=None, nullable=True)


class JobRunRow(FinanceTable, table=True):
    """One run of a job."""

    __tablename__ = "job_run"
    __table_args__ = (
        CheckConstraint(
            "status in ('WAITING', 'RUNNING', 'DONE', 'PARTLY_DONE', 'NOTHING_TO_DO', 'FAILED')", name="status"
        ),
        CheckConstraint("(status in ('WAITING', 'RUNNING')) = (ended_at is null)", name="ended_when_over"),
        Index("ix_job_run_list", "agency_id", "job_run_id"),
        # The newest run of a kind: some come every hour, some once a year.
        Index("ix_job_run_kind", "agency_id", "kind", "job_run_id"),
    )

    job_run_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    kind: str = Field(sa_type=Text)
    due_on: date
    operation_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    subject: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    attempt_count: int
    done_count: int
    refused_count: int
    error_reason: str = Field(sa_type=Text)
    error_message: str = Field(sa_type=Text)
    requested_at: datetime = instant_field()
    started_at: datetime | None = instant_field(nullable=True)
    ended_at: datetime | None = instant_field(nullable=True)
