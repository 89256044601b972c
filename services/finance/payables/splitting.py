"""Splitting a held invoice: its approver sends on what matches, the rest stays (domain rules §3)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from services.finance.approval import usecases as approval
from services.finance.payables import domain, events, invoice_store, invoicing, ordering_store, pack, parts
from services.finance.payables.domain import InvoiceStatus
from services.finance.payables.invoice_store import Invoice
from services.finance.payables.parts import InvoiceNotSplittable

_SPLITTABLE = (InvoiceStatus.HELD, InvoiceStatus.WAITING_RECEIPT)


def split(
    session: Session, invoice_id: UUID, *, etag: str, explanation: str, person_id: UUID, at: datetime
) -> tuple[Invoice, Invoice]:
    """The invoice that was split off, MATCHED, and the one that keeps the rest.

    The new one has the supplier's own number and its maker's person: who splits may approve it, who registered it not.
    """
    invoice = invoicing.locked(session, invoice_id)
    row = invoice.row
    if etag and etag != str(row.version):
        raise invoicing.EtagMismatch(
            f"invoice {row.supplier_invoice_number} has changed since you read it; read it again",
            metadata={"etag": str(row.version)},
        )
    if invoice.status not in _SPLITTABLE:
        raise InvoiceNotSplittable(
            f"invoice {row.supplier_invoice_number} is {invoice.status.value}; only a held or waiting one is split",
            metadata={"status": invoice.status.value},
        )
    domain.different_persons(
        person_id, {f"registered invoice {row.supplier_invoice_number}": row.created_by_person_id}, "split it"
    )
    order = ordering_store.order(session, row.purchase_order_id)
    assert order is not None, "an invoice is registered on a known order"
    found = ordering_store.order_lines(session, row.purchase_order_id, order.currency, without_invoice_id=invoice_id)
    cut = parts.matched_part(
        row.supplier_invoice_number,
        [stored.line for stored in invoice.lines],
        {line_id: line for line_id, (line, _) in found.items()},
        holds=invoice.holds,
        tolerance=pack.tolerance(order.currency, row.received_on),
    )
    taken_id = new_id()
    total = sum(one.taken.amount for one in cut if one.taken is not None)
    invoice_store.insert(
        session,
        {
            "invoice_id": taken_id,
            "agency_id": row.agency_id,
            "purchase_order_id": row.purchase_order_id,
            "supplier_id": row.supplier_id,
            "supplier_invoice_number": row.supplier_invoice_number,
            "invoice_number_normalised": row.invoice_number_normalised,
            "invoiced_on": row.invoiced_on,
            "received_on": row.received_on,
            "due_on": row.due_on,
            "currency": row.currency,
            "total_minor": total,
            "status": InvoiceStatus.HELD.value,
            "created_by_person_id": row.created_by_person_id,
            "created_at": at,
            "split_from_invoice_id": invoice_id,
            # Its number is the other one's, of course: said here, so that the match does not take it for a duplicate.
            "hold_released_by_person_id": person_id,
            "hold_release_explanation": f"split off: {explanation}",
        },
        [(new_id(), one.taken) for one in cut if one.taken is not None and one.rest is not None],
    )
    approval.begin_like(session, invoice_id, taken_id, maker_person_id=row.created_by_person_id, at=at)
    for stored, one in zip(invoice.lines, cut, strict=True):
        if one.rest is None:
            invoice_store.move_line(session, stored.invoice_line_id, taken_id)
        elif one.taken is not None:
            invoice_store.keep_of_line(session, stored.invoice_line_id, one.rest)
    invoice_store.update(session, invoice_id, total_minor=row.total_minor - total)
    taken = invoicing.match(session, invoice_store.get(session, taken_id, lock=True), order.currency)
    if taken.status is not InvoiceStatus.MATCHED:
        raise InvoiceNotSplittable(
            f"invoice {row.supplier_invoice_number}: the part that could be split off would be {taken.status.value}: "
            + "; ".join(hold.message for hold in taken.holds),
            metadata={"status": taken.status.value},
        )
    outbox.emit(
        session,
        events.InvoiceSplit(
            taken_id,
            row.agency_id,
            row.purchase_order_id,
            invoice_id,
            row.currency,
            total,
            row.total_minor - total,
            taken.row.version,
        ),
    )
    invoicing.match_again(session, row.purchase_order_id)
    return invoice_store.get(session, taken_id), invoice_store.get(session, invoice_id)
