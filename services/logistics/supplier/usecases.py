"""What is done with suppliers: load, decide, save, emit."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from services.logistics.etag import require_etag
from services.logistics.supplier import domain, store
from services.logistics.supplier.domain import Category, Debarment, Document, Supplier


def register_supplier(session: Session, supplier: Supplier) -> Supplier:
    """Make a legal entity a supplier."""
    store.put_legal_entity(session, supplier.legal_entity_id, supplier.display_name)
    store.insert_supplier(session, supplier)
    outbox.emit(session, domain.SupplierRegistered(supplier))
    return supplier


def update_supplier(
    session: Session,
    supplier_id: UUID,
    *,
    categories: tuple[Category, ...] | None,
    documents: tuple[Document, ...] | None,
    etag: str,
) -> Supplier:
    """Change categories or documents (None keeps them)."""
    supplier = store.supplier_by_id(session, supplier_id, lock="update")
    require_etag(etag, supplier.version, f"supplier {supplier_id}")
    changed = domain.change(supplier, categories=categories, documents=documents)
    if (changed.categories, changed.documents) == (supplier.categories, supplier.documents):
        return supplier
    store.update_supplier(session, changed)
    outbox.emit(session, domain.SupplierChanged(changed))
    return changed


def debar_supplier(session: Session, supplier_id: UUID, debarment: Debarment, *, at: datetime) -> Supplier:
    """Bar a supplier from new orders."""
    supplier = store.supplier_by_id(session, supplier_id, lock="update")
    debarred = domain.debar(supplier, debarment)
    store.insert_debarment(session, supplier_id, debarment, at)
    store.update_supplier(session, debarred)
    outbox.emit(session, domain.SupplierDebarredFrom(debarred, debarment))
    return debarred


def keep_legal_entity(session: Session, legal_entity_id: UUID, display_name: str) -> None:
    """Identity told of a legal entity."""
    store.put_legal_entity(session, legal_entity_id, display_name)
