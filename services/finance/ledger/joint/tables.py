"""Tables of acts in several books: the act, and its leg in each agency. Only ever added."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Index, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, json_field, uuid_key
from services.finance.tables import FinanceTable


class JointEntryRow(FinanceTable, table=True):
    """An act. Behind the wall of its treasury, through whose books each act goes."""

    __tablename__ = "joint_entry"
    __table_args__ = (
        Index(
            "uq_joint_entry_reverses",
            "reverses_joint_entry_id",
            unique=True,
            postgresql_where=text("reverses_joint_entry_id is not null"),
        ),
    )

    joint_entry_id: UUID = uuid_key()
    # The treasury.
    agency_id: UUID = Field(sa_type=Uuid)
    # Every agency that takes part, the treasury among them: whoever reverses the act must hold the permission in all.
    agency_ids: list[str] = json_field()
    reverses_joint_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()


class JointEntryLegRow(FinanceTable, table=True):
    """The entry that an act is in one agency's books. Behind that agency's wall."""

    __tablename__ = "joint_entry_leg"
    __table_args__ = (
        Index("ix_joint_entry_leg_list", "agency_id", "joint_entry_id"),
        Index(
            "ix_joint_entry_leg_reverses",
            *("reverses_joint_entry_id", "agency_id"),
            postgresql_where=text("reverses_joint_entry_id is not null"),
        ),
        Index(
            "ix_joint_entry_leg_corrects",
            *("corrects_joint_entry_id", "agency_id", "joint_entry_id"),
            postgresql_where=text("corrects_joint_entry_id is not null"),
        ),
    )

    joint_entry_id: UUID = uuid_key()
    agency_id: UUID = uuid_key()
    # Where it stood among the legs.
    position: int
    journal_entry_id: UUID = Field(sa_type=Uuid)
    treasury_agency_id: UUID = Field(sa_type=Uuid)
    reverses_joint_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    # The act that this one corrects.
    corrects_joint_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    # The day on which the act reverses by itself, all its legs together; null for one that stays.
    reverse_on: date | None = Field(default=None, nullable=True)


class JointReversalRow(FinanceTable, table=True):
    """An act that is to reverse by itself and has not. Taken away with its reversal, whoever posts it.

    Not behind the agency wall: the service's own round must know whose books to open before it opens them. It holds
    ids and days only.
    """

    __tablename__ = "joint_reversal"
    __table_args__ = (Index("ix_joint_reversal_due", "due_on", "joint_entry_id"),)

    joint_entry_id: UUID = uuid_key()
    # Every agency that takes part.
    entity_ids: list[str] = json_field()
    due_on: date
    # When it was last tried and refused; what was tried longest ago comes first.
    tried_at: datetime | None = instant_field(nullable=True)
