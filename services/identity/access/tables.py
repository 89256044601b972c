"""The table of grants."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Text, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.identity.tables import IdentityTable


class GrantRow(IdentityTable, table=True):
    """A grant (`grant` is a word of SQL). Behind the agency wall; ended, never deleted."""

    __tablename__ = "access_grant"
    __table_args__ = (
        Index("ix_access_grant_person", "person_id", "role", "agency_id"),
        Index("ix_access_grant_agency", "agency_id"),
        CheckConstraint("granted_by_person_id is distinct from person_id", name="maker_is_not_holder"),
        CheckConstraint("valid_to is null or valid_to > valid_from", name="days_in_order"),
        CheckConstraint(
            "revoked_at is not null or (revoked_by_person_id is null and revocation_reason = '')",
            name="revocation_whole",
        ),
    )

    grant_id: UUID = uuid_key()
    person_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("person.person_id"),))
    role: str = Field(sa_type=Text)
    agency_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("agency.agency_id"),))
    valid_from: date = Field(sa_type=Date)
    valid_to: date | None = Field(default=None, sa_type=Date, nullable=True)
    granted_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    created_at: datetime = instant_field()
    revoked_at: datetime | None = instant_field(nullable=True)
    revoked_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    revocation_reason: str = Field(default="", sa_type=Text)
