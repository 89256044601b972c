"""A supplier's document becomes an invoice, a bill or a credit note, through the same acts as a clerk's."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.ids import new_id
from chassis.money import Money, exponent, round_half_away
from services.finance.billing import domain as billing_domain
from services.finance.billing import store as billing_store
from services.finance.billing import usecases as billing
from services.finance.payables import domain as payables
from services.finance.payables import invoicing, ordering_store, pack
from services.finance.payables.credit_notes import store as credit_store
from services.finance.payables.credit_notes import usecases as credit_notes
from services.finance.payables.credit_notes.domain import CreditNoteKind
from services.finance.payables.ubl import domain, store
from services.finance.payables.ubl.domain import Document, DocumentKind, Line, Mismatch, Share, UblMismatch


@dataclass(frozen=True)
class NewDocument:
    """A document to take in: its bytes, what was read in them, and what the clerk adds."""

    agency_id: UUID
    content: bytes
    read: Document
    received_on: date
    purchase_order_id: UUID | None

    @property
    def is_bill(self) -> bool:
        """Whether it bills a contract: it is an invoice that names one (BT-12), and no order."""
        named = self.purchase_order_id is not None or self.read.order_number
        return self.read.kind is DocumentKind.INVOICE and not named and bool(self.read.contract_number)


def take_in(session: Session, new: NewDocument, *, person_id: UUID, at: datetime) -> tuple[Row[Any], bool]:
    """The kept document and whether its bytes had come before: the same bytes are the same invoice."""
    sha256 = hashlib.sha256(new.content).hexdigest()
    store.lock(session, new.agency_id, sha256)
    known = store.known(session, new.agency_id, sha256)
    if known is not None:
        return known, True
    broken = domain.problems(new.read)
    if broken:
        raise UblMismatch.of(broken)
    _rounding(new.read)
    invoice_id = credit_note_id = bill_id = None
    if new.is_bill:
        bill_id = _bill(session, new, person_id=person_id, at=at)
    elif new.read.kind is DocumentKind.INVOICE:
        invoice_id = _invoice(session, new, person_id=person_id, at=at)
    else:
        credit_note_id = _credit_note(session, new, person_id=person_id, at=at)
    document_id = new_id()
    store.insert(
        session,
        {
            "invoice_document_id": document_id,
            "agency_id": new.agency_id,
            "sha256": sha256,
            "kind": new.read.kind.value,
            "document_number": new.read.number,
            "content": new.content,
            "invoice_id": invoice_id,
            "bill_id": bill_id,
            "credit_note_id": credit_note_id,
            "imported_by_person_id": person_id,
            "imported_at": at,
        },
    )
    return store.get(session, document_id), False


def _invoice(session: Session, new: NewDocument, *, person_id: UUID, at: datetime) -> UUID:
    order = _order(session, new)
    _parties(new, {order.supplier_id, order.legal_entity_id}, f"order {order.purchase_order_number}")
    _nothing_prepaid(
        new.read,
        f"no advance is known on order {order.purchase_order_number}: advances are paid and recovered under a "
        "contract, so name the contract (BT-12) and no order, or have BT-113 taken out",
    )
    lines = _by_order_line(new.read, store.order_line_ids(session, order.purchase_order_id))
    merged: dict[UUID, invoicing.NewLine] = {}
    for (line_id, line), share in zip(lines, domain.shares(new.read), strict=True):
        before = merged.get(line_id)
        if before is not None and before.unit_price != line.unit_price:
            raise UblMismatch.of(
                [Mismatch("BT-132", f"line {line.number} bills an order line again at another price (BT-146)")]
            )
        merged[line_id] = _added(before, line_id, line, share, new.read.currency)
    invoice = invoicing.create(
        session,
        invoicing.NewInvoice(
            agency_id=new.agency_id,
            purchase_order_id=order.purchase_order_id,
            supplier_invoice_number=new.read.number,
            invoiced_on=new.read.issued_on,
            received_on=new.received_on,
            total=new.read.total,
            lines=tuple(merged.values()),
            rounding=new.read.rounding,
        ),
        person_id=person_id,
        at=at,
    )
    return UUID(str(invoice.row.invoice_id))


def _added(
    before: invoicing.NewLine | None, line_id: UUID, line: Line, share: Share, currency: str
) -> invoicing.NewLine:
    """A line of the document with those before it of the same order line: their net, tax and quantity together."""
    minor, quantity, net, tax = 10 ** exponent(currency), line.quantity, share.net, Money(share.tax, currency)
    if before is not None:
        assert before.tax is not None, "made here"
        assert before.adjustment is not None, "made here"
        net += round_half_away(before.quantity * line.unit_price * minor) + before.adjustment.minor
        quantity, tax = quantity + before.quantity, tax + before.tax
    adjustment = net - round_half_away(quantity * line.unit_price * minor)
    return invoicing.NewLine(line_id, quantity, line.unit_price, tax, Money(adjustment, currency))


def _credit_note(session: Session, new: NewDocument, *, person_id: UUID, at: datetime) -> UUID:
    """A note whose lines have the invoice's own prices returns goods; any other one takes back a part of the price."""
    document = new.read
    _nothing_prepaid(document, "a credit note recovers no advance: have BT-113 taken out")
    asked = new.purchase_order_id or (_order(session, new).purchase_order_id if document.order_number else None)
    found = store.invoices_numbered(session, new.agency_id, payables.normalised(document.invoice_number), asked)
    if len(found) != 1:
        what, advice = ("no invoice", "") if not found else ("more than one invoice", "; name its order (BT-13)")
        raise UblMismatch.of([Mismatch("BT-25", f"{what} {document.invoice_number!r} is registered{advice}")])
    invoice = found[0]
    order = ordering_store.order(session, invoice.purchase_order_id)
    assert order is not None, "an invoice is registered on a known order"
    _parties(new, {order.supplier_id, order.legal_entity_id}, f"order {order.purchase_order_number}")
    lines = _by_order_line(document, store.order_line_ids(session, invoice.purchase_order_id))
    invoiced = credit_store.invoiced_lines(session, invoice.invoice_id)
    for line_id, line in lines:
        if line_id not in invoiced:
            raise UblMismatch.of(
                [Mismatch("BT-132", f"line {line.number}: invoice {document.invoice_number} did not bill that line")]
            )
    returns = all(line.unit_price == invoiced[line_id].unit_price for line_id, line in lines)
    note = credit_notes.create(
        session,
        credit_notes.NewCreditNote(
            agency_id=new.agency_id,
            invoice_id=invoice.invoice_id,
            credit_note_number=document.number,
            kind=CreditNoteKind.RETURN if returns else CreditNoteKind.PRICE,
            replaced=False,
            description="",
            credited_on=document.issued_on,
            total=document.total,
            lines=tuple(
                credit_notes.NewLine(line_id, line.quantity, None, None)
                if returns
                else credit_notes.NewLine(
                    line_id,
                    Fraction(0),
                    Money(share.net, document.currency),
                    Money(share.tax, document.currency),
                )
                for (line_id, line), share in zip(lines, domain.shares(document), strict=True)
            ),
            rounding=document.rounding,
        ),
        person_id=person_id,
        at=at,
    )
    return UUID(str(note.row.credit_note_id))


def _order(session: Session, new: NewDocument) -> Row[Any]:
    """The order that the document names (BT-13), which must be the one that the clerk names, if he names one."""
    number, named = new.read.order_number, None
    if new.purchase_order_id is not None:
        named = ordering_store.order(session, new.purchase_order_id)
        if named is None or named.agency_id != new.agency_id:
            raise UblMismatch.of([Mismatch("BT-13", f"no issued order {new.purchase_order_id} of this agency")])
        if number and number != named.purchase_order_number:
            raise UblMismatch.of(
                [Mismatch("BT-13", f"the document names order {number!r}, you name {named.purchase_order_number!r}")]
            )
        return named
    if not number:
        raise UblMismatch.of([Mismatch("BT-13", "the document names no order; name it in purchase_order_id")])
    found = store.orders_numbered(session, new.agency_id, number)
    if len(found) != 1:
        what = "no issued order" if not found else "more than one issued order"
        raise UblMismatch.of([Mismatch("BT-13", f"{what} {number!r} of this agency; name it in purchase_order_id")])
    return found[0]


def _bill(session: Session, new: NewDocument, *, person_id: UUID, at: datetime) -> UUID:
    """The bill of the contract that the document names (BT-12); what is prepaid is what the bill recovers."""
    document = new.read
    found = store.contracts_numbered(session, new.agency_id, document.contract_number)
    if len(found) != 1:
        what = "no contract with terms" if not found else "more than one contract"
        advice = "; name the order that is billed (BT-13, or purchase_order_id), or register the contract's terms"
        raise UblMismatch.of([Mismatch("BT-12", f"{what} {document.contract_number!r} of this agency{advice}")])
    terms = billing.locked_terms(session, found[0].contract_id)
    called = f"contract {terms.contract_number}"
    _parties(new, {terms.supplier_id}, called)
    if document.currency != terms.currency:
        raise UblMismatch.of([Mismatch("BT-5", f"in {document.currency}, {called} is in {terms.currency}")])
    lines = billing_store.lines(session, [terms.contract_id])[terms.contract_id]
    known = {line.document_line_id: line for line in lines}
    gross: dict[UUID, int] = {}
    for (line_id, _), share in zip(_by_order_line(document, list(known)), domain.shares(document), strict=True):
        gross[line_id] = gross.get(line_id, 0) + share.gross
    # Work is billed by amount alone, so what the total was rounded by is billed too: the last line bears it.
    gross[next(reversed(gross))] += document.rounding.minor
    recovered = sum(
        billing_domain.billed(
            known[line_id],
            amount,
            retention_rate=Fraction(terms.retention_rate),
            final=False,
            currency=terms.currency,
        ).recovered
        for line_id, amount in gross.items()
    )
    said = domain.money(document.totals.prepaid, document.currency)
    if said.minor != recovered:
        left = Money(sum(line.prepaid - line.recovered for line in lines), terms.currency)
        raise UblMismatch.of(
            [
                Mismatch(
                    "BT-113",
                    f"{said} prepaid, of the advance of {called} ({left} not recovered) this bill recovers"
                    f" {Money(recovered, terms.currency)}: have BT-113 and BT-115 say so",
                )
            ]
        )
    return billing.register_bill(
        session,
        billing.NewBill(
            agency_id=new.agency_id,
            contract_id=terms.contract_id,
            bill_number=document.number,
            description="",
            billed_on=document.issued_on,
            final=False,
            lines=tuple((line_id, Money(amount, terms.currency)) for line_id, amount in gross.items()),
        ),
        person_id=person_id,
        at=at,
    )


def _rounding(document: Document) -> None:
    """The total may be rounded as far as the law of the document's day says, whatever the document becomes."""
    if not document.totals.rounding:
        return
    refusal = payables.beyond_cap(document.rounding, pack.rounding_cap(document.currency, document.issued_on))
    if refusal is not None:
        raise UblMismatch.of([Mismatch("BT-114", refusal)])


def _nothing_prepaid(document: Document, advice: str) -> None:
    if document.totals.prepaid:
        raise UblMismatch.of([Mismatch("BT-113", f"{domain.plain(document.totals.prepaid)} prepaid; {advice}")])


def _parties(new: NewDocument, suppliers: Collection[UUID], called: str) -> None:
    """Ids of ours that the document carries must be the order's; other schemes are the supplier register's affair."""
    wrong = []
    for term, who, ids, ours in (
        ("BT-29", "the seller", new.read.seller_ids, set(suppliers)),
        ("BT-46", "the buyer", new.read.buyer_ids, {new.agency_id}),
    ):
        theirs = {found for found in map(_as_uuid, ids) if found is not None}
        if theirs and not theirs & ours:
            wrong.append(Mismatch(term, f"{who} is {min(map(str, theirs))}, not the one of {called}"))
    if wrong:
        raise UblMismatch.of(wrong)


def _by_order_line(document: Document, ids: list[UUID]) -> list[tuple[UUID, Line]]:
    """Which line of the order or contract each line bills: BT-132 is its id, or its position there (1, 2, …)."""
    found, wrong = [], []
    for line in document.lines:
        line_id = _order_line(line.order_line, ids)
        if line_id is None:
            said = f"{line.order_line[:60]!r} is none of its lines" if line.order_line else "missing"
            wrong.append(
                Mismatch("BT-132", f"line {line.number}: {said}; give the line's id or its position 1 to {len(ids)}")
            )
        else:
            found.append((line_id, line))
    if wrong:
        raise UblMismatch.of(wrong)
    return found


def _order_line(reference: str, ids: list[UUID]) -> UUID | None:
    if not reference and len(ids) == 1:
        return ids[0]
    if reference.isascii() and reference.isdigit() and len(reference) <= 4:
        position = int(reference)
        return ids[position - 1] if 1 <= position <= len(ids) else None
    named = _as_uuid(reference)
    return named if named in ids else None


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
