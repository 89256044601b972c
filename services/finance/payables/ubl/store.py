"""SQL of imported documents, and what their references find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound

_COLUMNS = (
    "invoice_document_id, agency_id, sha256, kind, document_number, octet_length(content) as size_bytes, invoice_id,"
    " bill_id, credit_note_id, imported_at"
)


def lock(session: Session, agency_id: UUID, sha256: str) -> None:
    """One import of the same bytes at a time."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('document:' || :key, 0))"), {"key": f"{agency_id}:{sha256}"}
    )


def known(session: Session, agency_id: UUID, sha256: str) -> Row[Any] | None:
    """The document with these bytes, if it came before."""
    return session.execute(
        text(f"select {_COLUMNS} from invoice_document where agency_id = :agency_id and sha256 = :sha256"),  # noqa: S608
        {"agency_id": agency_id, "sha256": sha256},
    ).first()


def insert(session: Session, values: Mapping[str, Any]) -> None:
    """Keep a document with what it became."""
    session.execute(
        text(
            f"insert into invoice_document ({', '.join(values)})"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)})"
        ),
        dict(values),
    )


def get(session: Session, invoice_document_id: UUID, *, content: bool = False) -> Row[Any]:
    """One document; NOT_FOUND when the caller does not see it."""
    columns = f"{_COLUMNS}, content" if content else _COLUMNS
    row = session.execute(
        text(f"select {columns} from invoice_document where invoice_document_id = :id"),  # noqa: S608
        {"id": invoice_document_id},
    ).first()
    if row is None:
        raise NotFound.resource("invoice document", invoice_document_id)
    return row


def page(session: Session, *, agency_id: UUID | None, after: tuple[Any, ...] | None, limit: int) -> Sequence[Row[Any]]:
    """Documents, the newest id first."""
    return session.execute(
        text(
            f"""
            select {_COLUMNS} from invoice_document
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:after as uuid) is null or invoice_document_id < :after)
            order by invoice_document_id desc limit :limit
            """  # noqa: S608
        ),
        {"agency_id": agency_id, "after": after[0] if after else None, "limit": limit},
    ).all()


def orders_numbered(session: Session, agency_id: UUID, number: str) -> Sequence[Row[Any]]:
    """The agency's issued orders of that number (one; two would be ambiguous)."""
    return session.execute(
        text(
            "select * from purchase_order where agency_id = :agency_id and purchase_order_number = :number"
            " order by purchase_order_id limit 2"
        ),
        {"agency_id": agency_id, "number": number},
    ).all()


def invoices_numbered(
    session: Session, agency_id: UUID, number_normalised: str, purchase_order_id: UUID | None
) -> Sequence[Row[Any]]:
    """The agency's invoices of that number that are not void (two would be ambiguous), perhaps of one order alone."""
    return session.execute(
        text(
            """
            select invoice_id, purchase_order_id, status from invoice
            where agency_id = :agency_id and invoice_number_normalised = :number and status <> 'VOID'
              and (cast(:order_id as uuid) is null or purchase_order_id = :order_id)
            order by invoice_id limit 2
            """
        ),
        {"agency_id": agency_id, "number": number_normalised, "order_id": purchase_order_id},
    ).all()


def contracts_numbered(session: Session, agency_id: UUID, number: str) -> Sequence[Row[Any]]:
    """The terms of the agency's contracts of that number (one; two would be ambiguous)."""
    return session.execute(
        text(
            "select * from contract_terms where agency_id = :agency_id and contract_number = :number"
            " order by contract_terms_id limit 2"
        ),
        {"agency_id": agency_id, "number": number},
    ).all()


def order_line_ids(session: Session, purchase_order_id: UUID) -> list[UUID]:
    """The order's lines in their own order: ids grow with time."""
    return list(
        session.execute(
            text(
                "select purchase_order_line_id from purchase_order_line where purchase_order_id = :id and ordered"
                " order by purchase_order_line_id"
            ),
            {"id": purchase_order_id},
        ).scalars()
    )
