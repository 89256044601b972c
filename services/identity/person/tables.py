"""The table of persons: what is personal is sealed as one value, what must be found has a blind index."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, uuid_key
from services.identity.tables import IdentityTable


class PersonRow(IdentityTable, table=True):
    """A person. `sealed` opens to the JSON of PersonDetails; see sealing.py for the columns beside it."""

    __tablename__ = "person"
    __table_args__ = (
        Index("uq_person_national_id", "national_id_type", "national_id_index", unique=True),
        Index("uq_person_tax_number", "tax_number_index", unique=True),
        Index("uq_person_civil_servant_number", "civil_servant_number_index", unique=True),
        Index("ix_person_index_key", "index_key_id"),
    )

    person_id: UUID = uuid_key()
    version: int = bigint_field()
    national_id_type: str = Field(sa_type=Text)
    index_key_id: str = Field(sa_type=Text)
    national_id_index: bytes = Field(sa_type=LargeBinary)
    # Empty numbers are null, so that the unique indexes pass over them.
    tax_number_index: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    civil_servant_number_index: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    sealing_key_id: str = Field(sa_type=Text)
    wrapped_key: bytes = Field(sa_type=LargeBinary)
    sealed: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = instant_field()
    updated_at: datetime = instant_field()
