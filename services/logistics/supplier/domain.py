"""Suppliers: who may be given an order, and on which day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from chassis.dates import Validity
from chassis.errors import AlreadyExists, FailedPrecondition


class Category(StrEnum):
    """What a supplier may be asked to deliver."""

    GOODS = "GOODS"
    WORKS = "WORKS"
    CONSULTING = "CONSULTING"
    SERVICES = "SERVICES"


class SupplierExists(AlreadyExists):
    """The legal entity is a supplier already."""

    reason = "SUPPLIER_EXISTS"


class SupplierDebarred(FailedPrecondition):
    """The supplier is barred from new orders on that day."""

    reason = "SUPPLIER_DEBARRED"


@dataclass(frozen=True)
class Document:
    """A paper that the supplier has shown."""

    kind: str
    number: str
    validity: Validity


@dataclass(frozen=True)
class Debarment:
    """A span of days without new orders (daftar hitam)."""

    debarment_id: UUID
    validity: Validity
    decision_number: str
    cause: str
    decided_by_person_id: UUID


@dataclass(frozen=True)
class Supplier:
    """The procurement side of a legal entity."""

    supplier_id: UUID
    legal_entity_id: UUID
    display_name: str
    categories: tuple[Category, ...]
    documents: tuple[Document, ...]
    debarments: tuple[Debarment, ...]
    created_at: datetime
    version: int = 1


@dataclass(frozen=True)
class SupplierRegistered:
    """Event: a legal entity became a supplier."""

    supplier: Supplier


@dataclass(frozen=True)
class SupplierChanged:
    """Event: categories or documents changed."""

    supplier: Supplier


@dataclass(frozen=True)
class SupplierDebarredFrom:
    """Event: the supplier was barred from new orders."""

    supplier: Supplier
    debarment: Debarment


def change(
    supplier: Supplier, *, categories: tuple[Category, ...] | None, documents: tuple[Document, ...] | None
) -> Supplier:
    """The supplier with other categories or documents (None keeps them), one version on."""
    return replace(
        supplier,
        categories=supplier.categories if categories is None else categories,
        documents=supplier.documents if documents is None else documents,
        version=supplier.version + 1,
    )


def debar(supplier: Supplier, debarment: Debarment) -> Supplier:
    """The supplier with one more debarment; spans may overlap, each decision stands for itself."""
    return replace(supplier, debarments=(*supplier.debarments, debarment), version=supplier.version + 1)


def require_orderable(supplier: Supplier, on: date) -> None:
    """Refuse with SUPPLIER_DEBARRED when a debarment holds on `on`."""
    for debarment in supplier.debarments:
        if debarment.validity.holds_on(on):
            until = f"until {debarment.validity.valid_to}" if debarment.validity.valid_to else "without an end"
            raise SupplierDebarred(
                f"{supplier.display_name} is debarred {until} by {debarment.decision_number}; choose another supplier",
                metadata={
                    "supplier_id": str(supplier.supplier_id),
                    "decision_number": debarment.decision_number,
                    "valid_from": str(debarment.validity.valid_from),
                    "valid_to": str(debarment.validity.valid_to or ""),
                },
            )
