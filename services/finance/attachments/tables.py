"""Tables of files and of what they are attached to. Only ever added."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, uuid_key
from services.finance.tables import FinanceTable


class AttachmentContentRow(FinanceTable, table=True):
    """A file of an agency, known by its hash. Two agencies with one file have it twice: a wall is between them."""

    __tablename__ = "attachment_content"
    __table_args__ = (
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("byte_count > 0", name="not_empty"),
        UniqueConstraint("agency_id", "sha256", name="uq_attachment_content_hash"),
    )

    attachment_content_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    sha256: str = Field(sa_type=Text)
    byte_count: int = bigint_field()
    media_type: str = Field(sa_type=Text)
    file_name: str = Field(sa_type=Text)
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()


class AttachmentChunkRow(FinanceTable, table=True):
    """A part of a file, so that no one holds all of it to send it."""

    __tablename__ = "attachment_chunk"

    attachment_content_id: UUID = uuid_key()
    chunk_no: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    data: bytes = Field(sa_type=LargeBinary)


class AttachmentRow(FinanceTable, table=True):
    """A file attached to a document of its agency."""

    __tablename__ = "attachment"
    __table_args__ = (
        CheckConstraint("(supersedes_attachment_id is null) = (reason = '')", name="superseded_with_reason"),
        Index("ix_attachment_list", "agency_id", "attachment_id"),
        Index("ix_attachment_document", "document_id", "attachment_id"),
        Index(
            "uq_attachment_supersedes",
            "supersedes_attachment_id",
            unique=True,
            postgresql_where=text("supersedes_attachment_id is not null"),
        ),
    )

    attachment_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    document_kind: str = Field(sa_type=Text)
    document_id: UUID = Field(sa_type=Uuid)
    attachment_content_id: UUID = Field(
        sa_type=Uuid, sa_column_args=(ForeignKey("attachment_content.attachment_content_id"),)
    )
    description: str = Field(sa_type=Text)
    supersedes_attachment_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    reason: str = Field(sa_type=Text)
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()
