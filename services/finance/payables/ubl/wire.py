"""Imported documents between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis.wire import from_date, optional_uuid, resource_id, resource_name, to_timestamp, to_uuid
from kelola.finance.v1 import invoice_document_pb2
from services.finance.payables.ubl import reading
from services.finance.payables.ubl.usecases import NewDocument

DOCUMENTS = "invoiceDocuments"


def document_id(name: str) -> UUID:
    """The id in `invoiceDocuments/{uuid}`."""
    return resource_id(DOCUMENTS, name)


def new_document(request: invoice_document_pb2.ImportInvoiceDocumentRequest) -> NewDocument:
    """The document to take in, read."""
    return NewDocument(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        content=request.content,
        read=reading.read(request.content),
        received_on=from_date(request.received_on, "received_on"),
        purchase_order_id=optional_uuid(request.purchase_order_id, "purchase_order_id"),
    )


def document_message(row: Row[Any], *, content: bytes = b"") -> invoice_document_pb2.InvoiceDocument:
    """One document; its bytes where they are asked for."""
    return invoice_document_pb2.InvoiceDocument(
        name=resource_name(DOCUMENTS, row.invoice_document_id),
        invoice_document_id=str(row.invoice_document_id),
        agency_id=str(row.agency_id),
        kind=invoice_document_pb2.InvoiceDocumentKind.Value(f"INVOICE_DOCUMENT_KIND_{row.kind}"),
        document_number=row.document_number,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        invoice_id=str(row.invoice_id or ""),
        bill_id=str(row.bill_id or ""),
        credit_note_id=str(row.credit_note_id or ""),
        imported_at=to_timestamp(row.imported_at),
        content=content,
    )
