"""Between SupplierService's messages and the domain."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from google.type import date_pb2

from chassis import outbox
from chassis.dates import Validity
from chassis.errors import InvalidArgument
from chassis.wire import from_date, resource_name, to_date, to_timestamp, to_uuid
from kelola.logistics.v1 import supplier_events_pb2, supplier_pb2
from services.logistics.etag import etag_of
from services.logistics.supplier.domain import (
    Category,
    Debarment,
    Document,
    Supplier,
    SupplierChanged,
    SupplierDebarredFrom,
    SupplierRegistered,
)
from services.logistics.wire import from_enum, to_enum

SUPPLIERS = "suppliers"
_CATEGORY = "SUPPLIER_CATEGORY"
_OUTPUT_ONLY = frozenset({"name", "supplier_id", "display_name", "debarments", "create_time", "etag"})


def _validity(message: Any, field: str) -> Validity:
    valid_from = from_date(message.valid_from, f"{field}.valid_from")
    valid_to = from_date(message.valid_to, f"{field}.valid_to") if message.HasField("valid_to") else None
    if valid_to is not None and valid_to <= valid_from:
        raise InvalidArgument.field(f"{field}.valid_to", f"{valid_to} is not after {valid_from}")
    return Validity(valid_from, valid_to)


def _categories(message: supplier_pb2.Supplier) -> tuple[Category, ...]:
    found = [from_enum(supplier_pb2.SupplierCategory, _CATEGORY, each, Category) for each in message.categories]
    return tuple(category for category in found if category is not None)


def _documents(message: supplier_pb2.Supplier) -> tuple[Document, ...]:
    return tuple(
        Document(document.kind, document.number, _validity(document, f"supplier.documents[{nth}]"))
        for nth, document in enumerate(message.documents)
    )


def new_supplier(message: supplier_pb2.Supplier, supplier_id: UUID, display_name: str, at: datetime) -> Supplier:
    """The supplier that a request asks to register; its name is identity's."""
    return Supplier(
        supplier_id=supplier_id,
        legal_entity_id=to_uuid(message.legal_entity_id, "supplier.legal_entity_id"),
        display_name=display_name,
        categories=_categories(message),
        documents=_documents(message),
        debarments=(),
        created_at=at,
    )


def supplier_changes(request: supplier_pb2.UpdateSupplierRequest) -> dict[str, Any]:
    """The new categories and documents; None for what the mask leaves out."""
    asked = {path for path in request.update_mask.paths if path not in _OUTPUT_ONLY}
    if not asked or asked - {"categories", "documents"}:
        raise InvalidArgument.field("update_mask", "name categories, documents or both; nothing else can change")
    return {
        "categories": _categories(request.supplier) if "categories" in asked else None,
        "documents": _documents(request.supplier) if "documents" in asked else None,
    }


def new_debarment(message: supplier_pb2.Debarment, debarment_id: UUID, by: UUID) -> Debarment:
    """The debarment that a request asks for."""
    return Debarment(debarment_id, _validity(message, "debarment"), message.decision_number, message.cause, by)


def _day(day: Any) -> date_pb2.Date | None:
    return to_date(day) if day is not None else None


def supplier_message(supplier: Supplier) -> supplier_pb2.Supplier:
    """The supplier as the wire shows it."""
    return supplier_pb2.Supplier(
        name=resource_name(SUPPLIERS, supplier.supplier_id),
        supplier_id=str(supplier.supplier_id),
        legal_entity_id=str(supplier.legal_entity_id),
        display_name=supplier.display_name,
        categories=_category_numbers(supplier),
        documents=[
            supplier_pb2.SupplierDocument(
                kind=document.kind,
                number=document.number,
                valid_from=to_date(document.validity.valid_from),
                valid_to=_day(document.validity.valid_to),
            )
            for document in supplier.documents
        ],
        debarments=[
            supplier_pb2.Debarment(
                debarment_id=str(debarment.debarment_id),
                valid_from=to_date(debarment.validity.valid_from),
                valid_to=_day(debarment.validity.valid_to),
                decision_number=debarment.decision_number,
                cause=debarment.cause,
            )
            for debarment in supplier.debarments
        ],
        create_time=to_timestamp(supplier.created_at),
        etag=etag_of(supplier.version),
    )


def _category_numbers(supplier: Supplier) -> list[Any]:
    return [to_enum(supplier_pb2.SupplierCategory, _CATEGORY, category) for category in supplier.categories]


def _envelope(message: Message, supplier: Supplier) -> outbox.Envelope:
    return outbox.Envelope(message, supplier.supplier_id, None, supplier.version)


@outbox.translates(SupplierRegistered)
def _registered(event: SupplierRegistered) -> outbox.Envelope:
    message = supplier_events_pb2.SupplierRegistered(
        supplier_id=str(event.supplier.supplier_id),
        legal_entity_id=str(event.supplier.legal_entity_id),
        categories=_category_numbers(event.supplier),
    )
    return _envelope(message, event.supplier)


@outbox.translates(SupplierChanged)
def _changed(event: SupplierChanged) -> outbox.Envelope:
    message = supplier_events_pb2.SupplierChanged(
        supplier_id=str(event.supplier.supplier_id),
        legal_entity_id=str(event.supplier.legal_entity_id),
        categories=_category_numbers(event.supplier),
    )
    return _envelope(message, event.supplier)


@outbox.translates(SupplierDebarredFrom)
def _debarred(event: SupplierDebarredFrom) -> outbox.Envelope:
    debarment = event.debarment
    message = supplier_events_pb2.SupplierDebarred(
        supplier_id=str(event.supplier.supplier_id),
        legal_entity_id=str(event.supplier.legal_entity_id),
        debarment_id=str(debarment.debarment_id),
        valid_from=to_date(debarment.validity.valid_from),
        valid_to=_day(debarment.validity.valid_to),
        decision_number=debarment.decision_number,
    )
    return _envelope(message, event.supplier)
