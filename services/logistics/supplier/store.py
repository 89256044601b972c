"""The rows of suppliers and of the legal entities behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from chassis.dates import Validity
from chassis.errors import NotFound
from services.logistics.supplier.domain import Category, Debarment, Document, Supplier, SupplierExists
from services.logistics.supplier.tables import DebarmentRow, LegalEntityRow, SupplierRow


def put_legal_entity(session: Session, legal_entity_id: UUID, display_name: str) -> None:
    """Keep the name of a legal entity, as identity tells it."""
    statement = insert(LegalEntityRow).values(legal_entity_id=legal_entity_id, display_name=display_name)
    session.execute(
        statement.on_conflict_do_update(index_elements=["legal_entity_id"], set_={"display_name": display_name})
    )


def legal_entity_name(session: Session, legal_entity_id: UUID) -> str | None:
    """The name of a legal entity; None when identity has not told of it yet."""
    return session.execute(
        select(LegalEntityRow.display_name).where(LegalEntityRow.legal_entity_id == legal_entity_id)
    ).scalar_one_or_none()


def _documents_json(documents: tuple[Document, ...]) -> list[dict[str, Any]]:
    return [
        {
            "kind": document.kind,
            "number": document.number,
            "valid_from": document.validity.valid_from.isoformat(),
            "valid_to": document.validity.valid_to.isoformat() if document.validity.valid_to else None,
        }
        for document in documents
    ]


def _document(saved: dict[str, Any]) -> Document:
    valid_to = date.fromisoformat(saved["valid_to"]) if saved["valid_to"] else None
    return Document(saved["kind"], saved["number"], Validity(date.fromisoformat(saved["valid_from"]), valid_to))


def _suppliers(session: Session, rows: Iterable[SupplierRow]) -> list[Supplier]:
    listed = list(rows)
    debarments: dict[UUID, list[Debarment]] = defaultdict(list)
    found = session.execute(
        select(DebarmentRow)
        .where(DebarmentRow.supplier_id.in_([row.supplier_id for row in listed]))
        .order_by(DebarmentRow.valid_from, DebarmentRow.debarment_id)
    ).scalars()
    for row in found:
        debarments[row.supplier_id].append(
            Debarment(
                row.debarment_id,
                Validity(row.valid_from, row.valid_to),
                row.decision_number,
                row.cause,
                row.decided_by_person_id,
            )
        )
    return [
        Supplier(
            supplier_id=row.supplier_id,
            legal_entity_id=row.legal_entity_id,
            display_name=row.display_name,
            categories=tuple(Category(category) for category in row.categories),
            documents=tuple(_document(saved) for saved in row.documents),
            debarments=tuple(debarments[row.supplier_id]),
            created_at=row.created_at,
            version=row.version,
        )
        for row in listed
    ]


def supplier_by_id(session: Session, supplier_id: UUID, *, lock: str = "") -> Supplier:
    """The supplier; NOT_FOUND when there is none.

    `lock` "update" holds the row for a change, "share" keeps its debarments as they are until the transaction ends.
    """
    options: dict[str, Any] | None = None
    if lock:
        options = {"read": True} if lock == "share" else {}
    row = session.get(SupplierRow, supplier_id, with_for_update=options if lock else None)
    if row is None:
        raise NotFound.resource("supplier", supplier_id)
    return _suppliers(session, [row])[0]


def insert_supplier(session: Session, supplier: Supplier) -> None:
    """Add the supplier; SUPPLIER_EXISTS when its legal entity is one already."""
    added = session.execute(
        insert(SupplierRow)
        .values(
            supplier_id=supplier.supplier_id,
            legal_entity_id=supplier.legal_entity_id,
            display_name=supplier.display_name,
            categories=list(supplier.categories),
            documents=_documents_json(supplier.documents),
            created_at=supplier.created_at,
            version=supplier.version,
        )
        .on_conflict_do_nothing()
        .returning(SupplierRow.supplier_id)
    ).first()
    if added is None:
        other = session.execute(
            select(SupplierRow.supplier_id).where(SupplierRow.legal_entity_id == supplier.legal_entity_id)
        ).scalar_one()
        raise SupplierExists(
            f"legal entity {supplier.legal_entity_id} is supplier {other} already",
            metadata={"supplier_id": str(other), "legal_entity_id": str(supplier.legal_entity_id)},
        )


def update_supplier(session: Session, supplier: Supplier) -> None:
    """Write the locked row."""
    row = session.get_one(SupplierRow, supplier.supplier_id)
    row.categories = list(supplier.categories)
    row.documents = _documents_json(supplier.documents)
    row.version = supplier.version
    session.flush()


def insert_debarment(session: Session, supplier_id: UUID, debarment: Debarment, at: datetime) -> None:
    """Add a debarment."""
    session.add(
        DebarmentRow(
            debarment_id=debarment.debarment_id,
            supplier_id=supplier_id,
            valid_from=debarment.validity.valid_from,
            valid_to=debarment.validity.valid_to,
            decision_number=debarment.decision_number,
            cause=debarment.cause,
            decided_by_person_id=debarment.decided_by_person_id,
            recorded_at=at,
        )
    )
    session.flush()


def suppliers_after(
    session: Session, after: UUID | None, limit: int, *, legal_entity_id: UUID | None
) -> list[Supplier]:
    """Up to `limit` suppliers in the order of their ids, that is, of registration, after `after`."""
    query = select(SupplierRow).order_by(SupplierRow.supplier_id).limit(limit)
    if after is not None:
        query = query.where(SupplierRow.supplier_id > after)
    if legal_entity_id is not None:
        query = query.where(SupplierRow.legal_entity_id == legal_entity_id)
    return _suppliers(session, session.execute(query).scalars())
