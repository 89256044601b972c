"""The agency tree and the registry of legal entities."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, uuid_key
from services.identity.tables import IdentityTable


class AgencyRow(IdentityTable, table=True):
    """An agency. Its parent never changes, so the tree has no loops."""

    __tablename__ = "agency"
    __table_args__ = (
        Index("uq_agency_code", "government_agency_id", "code", unique=True),
        Index("ix_agency_parent", "parent_agency_id"),
        Index("uq_agency_treasury", "government_agency_id", unique=True, postgresql_where=text("kind = 'TREASURY'")),
        CheckConstraint("(parent_agency_id is null) = (kind = 'GOVERNMENT')", name="root_is_government"),
        CheckConstraint(
            "(parent_agency_id is null) = (government_agency_id = agency_id)", name="root_is_own_government"
        ),
        CheckConstraint("(parent_agency_id is null) = (depth = 0)", name="root_has_depth_zero"),
    )

    agency_id: UUID = uuid_key()
    version: int = bigint_field()
    parent_agency_id: UUID | None = Field(
        default=None, sa_type=Uuid, sa_column_args=(ForeignKey("agency.agency_id"),), nullable=True
    )
    government_agency_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("agency.agency_id"),))
    kind: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    region_code: str = Field(sa_type=Text)
    depth: int
    created_at: datetime = instant_field()
    updated_at: datetime = instant_field()


class LegalEntityRow(IdentityTable, table=True):
    """A legal entity. Its tax number is public (it stands on every invoice), so it is kept in the clear."""

    __tablename__ = "legal_entity"
    __table_args__ = (Index("uq_legal_entity_tax_number", "tax_number", unique=True),)

    legal_entity_id: UUID = uuid_key()
    display_name: str = Field(sa_type=Text)
    tax_number: str = Field(sa_type=Text)
    created_at: datetime = instant_field()


class LegalEntityOwnerRow(IdentityTable, table=True):
    """A person who owns or directs a legal entity."""

    __tablename__ = "legal_entity_owner"
    __table_args__ = (Index("ix_legal_entity_owner_person", "person_id"),)

    legal_entity_id: UUID = Field(
        sa_type=Uuid, primary_key=True, sa_column_args=(ForeignKey("legal_entity.legal_entity_id"),)
    )
    person_id: UUID = Field(sa_type=Uuid, primary_key=True, sa_column_args=(ForeignKey("person.person_id"),))
    kind: str = Field(sa_type=Text, primary_key=True)
