"""Tables of documents that suppliers sent as XML. Behind the agency wall."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.tables import FinanceTable


class InvoiceDocumentRow(FinanceTable, table=True):
    """One document as it came, and the invoice, bill or credit note that it became. The same bytes become one."""

    __tablename__ = "invoice_document"
    __table_args__ = (
        CheckConstraint("kind in ('INVOICE', 'CREDIT_NOTE')", name="kind"),
        CheckConstraint(
            "num_nonnulls(invoice_id, bill_id) = (kind = 'INVOICE')::int"
            " and (credit_note_id is not null) = (kind = 'CREDIT_NOTE')",
            name="became_one",
        ),
        UniqueConstraint("agency_id", "sha256"),
        Index("ix_invoice_document_list", "agency_id", "invoice_document_id"),
    )

    invoice_document_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    sha256: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    document_number: str = Field(sa_type=Text)
    content: bytes = Field(sa_type=LargeBinary)
    invoice_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    bill_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    credit_note_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    imported_by_person_id: UUID = Field(sa_type=Uuid)
    imported_at: datetime = instant_field()
