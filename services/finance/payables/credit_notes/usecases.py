"""Credit notes: registered, approved or withdrawn (domain rules §3); `refunds` has what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import AlreadyExists, InvalidArgument
from chassis.ids import new_id
from chassis.money import Money, exponent
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import usecases as budget
from services.finance.payables import domain as payables
from services.finance.payables import invoice_store, invoicing, ordering_store, pack, payment_store
from services.finance.payables.credit_notes import crediting, domain, events, journals, store
from services.finance.payables.credit_notes.domain import CreditLine, CreditNoteKind, CreditNoteStatus, InvoicedLine
from services.finance.payables.credit_notes.store import CreditNote
from services.finance.payables.credit_notes.withholding import correcting
from services.finance.payables.domain import OutOfTurn, Treatment
from services.finance.payables.invoicing import EtagMismatch
from services.finance.payables.payment_store import PayablePart


class CreditNoteKnown(AlreadyExists):
    """The creditor's credit note of that number is registered."""

    reason = "CREDIT_NOTE_KNOWN"


@dataclass(frozen=True)
class NewLine:
    """One line as the clerk enters it: a quantity (RETURN), or net and perhaps tax (PRICE)."""

    purchase_order_line_id: UUID
    quantity: Fraction
    net: Money | None
    tax: Money | None


@dataclass(frozen=True)
class NewCreditNote:
    """A credit note as the clerk enters it."""

    agency_id: UUID
    invoice_id: UUID
    credit_note_number: str
    kind: CreditNoteKind
    replaced: bool
    description: str
    credited_on: date
    total: Money
    lines: tuple[NewLine, ...]
    # What the total was rounded by (EN 16931 BT-114): in it, and of no line.
    rounding: Money | None = None


def create(session: Session, new: NewCreditNote, *, person_id: UUID, at: datetime) -> CreditNote:
    """Register a credit note on an approved invoice; what could not be approved now is refused now."""
    invoice = invoice_store.get(session, new.invoice_id)
    if invoice.row.agency_id != new.agency_id:
        raise InvalidArgument.field("credit_note.agency_id", f"invoice {new.invoice_id} is another agency's")
    ordering_store.lock_order(session, invoice.row.purchase_order_id)
    if new.total.currency != invoice.row.currency:
        raise InvalidArgument.field("credit_note.total", f"in {invoice.row.currency}, as the invoice")
    if new.replaced and new.kind is CreditNoteKind.PRICE:
        raise InvalidArgument.field("credit_note.replaced", "only goods that went back are replaced")
    known = store.invoiced_lines(session, new.invoice_id)
    payable = None if invoice.row.payable_id is None else payment_store.payable(session, invoice.row.payable_id)
    _effect(
        invoice,
        payable,
        new.kind,
        [known[one.purchase_order_line_id] for one in new.lines if one.purchase_order_line_id in known],
    )
    lines = _rounded([_line(line, nth, known, new) for nth, line in enumerate(new.lines)], known, new)
    if len({line.purchase_order_line_id for line in lines}) != len(lines):
        raise InvalidArgument.field("credit_note.lines", "an order line is credited twice; add them up")
    domain.check_total(lines, new.total)
    credit_note_id = new_id()
    inserted = store.insert(
        session,
        {
            "credit_note_id": credit_note_id,
            "agency_id": new.agency_id,
            "invoice_id": new.invoice_id,
            "purchase_order_id": invoice.row.purchase_order_id,
            "supplier_id": invoice.row.supplier_id,
            "credit_note_number": new.credit_note_number,
            "number_normalised": payables.normalised(new.credit_note_number),
            "kind": new.kind.value,
            "replaced": new.replaced,
            "description": new.description,
            "credited_on": new.credited_on,
            "currency": new.total.currency,
            "functional_currency": payable.currency if payable is not None and payable.foreign_currency else None,
            "total_minor": new.total.minor,
            "status": CreditNoteStatus.REGISTERED.value,
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
        lines,
    )
    if not inserted:
        raise CreditNoteKnown(
            f"the supplier's credit note {new.credit_note_number} is registered already",
            metadata={"credit_note_number": new.credit_note_number},
        )
    found = parts(session, invoice.row.payable_id)
    approval.begin_on_lines(
        session,
        RoutedKind.CREDIT_NOTE,
        credit_note_id,
        new.agency_id,
        amount=new.total,
        budget_line_ids={found[line.purchase_order_line_id].budget_line_id for line in lines},
        maker_person_id=person_id,
        at=at,
    )
    return store.get(session, credit_note_id)


def approve(
    session: Session, credit_note_id: UUID, *, etag: str, effective_on: date, person_id: UUID, at: datetime
) -> CreditNote:
    """The payable shrinks and funds come back, or, when it was paid, the creditor owes the amount.

    What the payment withheld of it he never had: that is withheld no more, and he owes the rest.
    """
    note = locked(session, credit_note_id)
    row = note.row
    if etag and etag != str(row.version):
        raise EtagMismatch(
            f"credit note {row.credit_note_number} has changed since you read it; read it again",
            metadata={"etag": str(row.version)},
        )
    in_status(row, CreditNoteStatus.REGISTERED, "approved")
    payables.different_persons(
        person_id, {f"registered credit note {row.credit_note_number}": row.created_by_person_id}, "approve it"
    )
    approval.passed(
        session, credit_note_id, f"credit note {row.credit_note_number}", person_id=person_id, step="approve it"
    )
    invoice = invoice_store.get(session, row.invoice_id)
    if invoice.row.payable_id is not None:
        payment_store.lock_payables(session, [invoice.row.payable_id])
    known = store.invoiced_lines(session, row.invoice_id)
    invoiced = [known[line.purchase_order_line_id] for line in note.lines]
    payable = None if invoice.row.payable_id is None else payment_store.payable(session, invoice.row.payable_id)
    status = _effect(invoice, payable, CreditNoteKind(row.kind), invoiced)
    _still_there(note, known)
    receivable = status is CreditNoteStatus.RECEIVABLE
    found = parts(session, invoice.row.payable_id)
    act = crediting.begin(session, row, note.lines, found, effective_on, at_the_days_rate=receivable or row.replaced)
    credited = []
    for line, one in zip(note.lines, invoiced, strict=True):
        part = found[line.purchase_order_line_id]
        books = crediting.in_books(act, row, line, one, part, paid=receivable)
        credited.append(crediting.credit(act, row, line, books, treatment=one.treatment, part=part, paid=receivable))
    budget.cover(session, act, row.agency_id, on=effective_on, person_id=person_id)
    budget.check(session, act)
    posted = journals.post_credit(
        session,
        agency_id=row.agency_id,
        credit_note_id=credit_note_id,
        number=row.credit_note_number,
        effective_on=effective_on,
        lines=credited,
        receivable=receivable,
        person_id=person_id,
    )
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=effective_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=posted.entry.journal_entry_id,
    )
    budget.tell_revalued(session, act, row.agency_id)
    if not receivable:
        store.reduce_payable(session, invoice.row.payable_id, [(one.line, one.books) for one in credited])
    for each in credited:
        if row.kind == CreditNoteKind.RETURN.value:
            store.take_back(session, each.line, each.books, returned=each.went_back is not None)
        if each.books.variance_cost and each.treatment is Treatment.STOCK:
            ordering_store.insert_variance(
                session, row.agency_id, credit_note_id, each.line.purchase_order_line_id, -each.books.variance_cost
            )
        if row.functional_currency is not None:
            store.note_books(session, credit_note_id, each.line, each.books)
    withheld = 0
    if receivable:
        withheld = correcting.correct(session, row, note.lines, known, invoice.row.payable_id, on=effective_on)
    store.update(
        session,
        credit_note_id,
        status=status.value,
        withheld_minor=withheld,
        approved_by_person_id=person_id,
        approved_at=at,
        journal_entry_id=posted.entry.journal_entry_id,
    )
    _tell_approved(session, note, known, receivable=receivable)
    # What went back may be what held another invoice of the order.
    invoicing.match_again(session, row.purchase_order_id)
    return store.get(session, credit_note_id)


def withdraw(session: Session, credit_note_id: UUID, *, explanation: str, person_id: UUID) -> CreditNote:
    """Take back a credit note that is not approved."""
    row = locked(session, credit_note_id).row
    in_status(row, CreditNoteStatus.REGISTERED, "withdrawn")
    store.update(
        session,
        credit_note_id,
        status=CreditNoteStatus.WITHDRAWN.value,
        withdrawn_by_person_id=person_id,
        withdrawal_explanation=explanation,
    )
    approval.recall(session, credit_note_id)
    return store.get(session, credit_note_id)


# --- what the steps share ------------------------------------------------------------------------------------------


def locked(session: Session, credit_note_id: UUID) -> CreditNote:
    """The note, its order locked first: as every act on an order does."""
    ordering_store.lock_order(session, store.get(session, credit_note_id).row.purchase_order_id)
    return store.get(session, credit_note_id, lock=True)


def in_status(row: Row[Any], needed: CreditNoteStatus, becomes: str) -> None:
    """Refuse an act out of turn."""
    if row.status != needed.value:
        raise OutOfTurn(
            f"credit note {row.credit_note_number} is {row.status}; only a {needed.value} one is {becomes}",
            metadata={"status": row.status, "needed": needed.value},
        )


def _effect(
    invoice: invoice_store.Invoice, payable: Row[Any] | None, kind: CreditNoteKind, lines: Sequence[InvoicedLine]
) -> CreditNoteStatus:
    row = invoice.row
    if payable is not None:
        domain.check_offset(row.supplier_invoice_number, payable.status, payable.offset_minor)
    return domain.effect(
        row.supplier_invoice_number,
        row.status,
        None if payable is None else payable.status,
        kind,
        [one.treatment for one in lines],
    )


def _line(line: NewLine, nth: int, known: dict[UUID, InvoicedLine], new: NewCreditNote) -> CreditLine:
    invoiced = known.get(line.purchase_order_line_id)
    if invoiced is None:
        raise InvalidArgument.field(
            f"credit_note.lines[{nth}].purchase_order_line_id", f"no line of invoice {new.invoice_id}"
        )
    domain.check_kind(new.kind, nth, line.quantity, line.net)
    for name, money in (("net", line.net), ("tax", line.tax)):
        if money is not None and (money.currency != new.total.currency or money.minor < 0):
            raise InvalidArgument.field(f"credit_note.lines[{nth}].{name}", f"in {new.total.currency}, not below zero")
    if line.net is None:
        return domain.returned(invoiced, line.quantity)
    minor_per_unit = int(10 ** exponent(new.total.currency))
    return domain.repriced(invoiced, line.net.minor, None if line.tax is None else line.tax.minor, minor_per_unit)


def _rounded(lines: Sequence[CreditLine], known: dict[UUID, InvoicedLine], new: NewCreditNote) -> list[CreditLine]:
    """The lines with the note's rounding, which the last one bears, as of an invoice."""
    rounding = 0 if new.rounding is None else new.rounding.minor
    if rounding and new.rounding is not None:
        if new.rounding.currency != new.total.currency:
            raise InvalidArgument.field("credit_note.rounding", f"in {new.total.currency}, as the total")
        refusal = payables.beyond_cap(new.rounding, pack.rounding_cap(new.total.currency, new.credited_on))
        if refusal is not None:
            raise InvalidArgument.field("credit_note.rounding", refusal)
    last = len(lines) - 1
    return [
        domain.rounded(line, known[line.purchase_order_line_id], rounding if nth == last else 0)
        for nth, line in enumerate(lines)
    ]


def _still_there(note: CreditNote, known: dict[UUID, InvoicedLine]) -> None:
    """Other notes may have been approved since this one was registered: it must still fit, to the minor unit."""
    for line in note.lines:
        invoiced = known[line.purchase_order_line_id]
        if line.quantity:
            now = domain.rounded(domain.returned(invoiced, line.quantity), invoiced, line.rounding)
            if now != line:
                raise domain.CreditExceedsInvoice(
                    f"credit note {note.row.credit_note_number}: since it was registered another note has changed what "
                    "is left of the invoice; withdraw it and register it anew",
                    metadata={"purchase_order_line_id": str(line.purchase_order_line_id)},
                )
        else:
            domain.rounded(domain.repriced(invoiced, line.net, line.tax, 1), invoiced, line.rounding)


def parts(session: Session, payable_id: UUID) -> dict[UUID, PayablePart]:
    """The parts of a payable by order line; units may go back of one whose price was credited whole, for nothing."""
    return {part.document_line_id: part for part in payment_store.parts(session, [payable_id], credited=True)}


def _tell_approved(session: Session, note: CreditNote, known: dict[UUID, InvoicedLine], *, receivable: bool) -> None:
    row = note.row
    before = store.invoiced_before(session, row.invoice_id)
    outbox.emit(
        session,
        events.CreditNoteApproved(
            row.credit_note_id,
            row.agency_id,
            row.invoice_id,
            row.purchase_order_id,
            row.supplier_id,
            row.currency,
            row.total_minor,
            receivable,
            row.replaced,
            tuple(
                events.CreditedLine(
                    line.purchase_order_line_id,
                    line.quantity,
                    line.amount,
                    -line.variance,
                    known[line.purchase_order_line_id].quantity,
                    before[line.purchase_order_line_id],
                )
                for line in note.lines
            ),
            row.version + 1,
        ),
    )
