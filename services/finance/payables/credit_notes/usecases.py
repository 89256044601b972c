"""Credit notes: registered, approved or withdrawn, refunded (domain rules §2 and §3)."""

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
from services.finance.budget import requests
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Key
from services.finance.budget.movements import FundsAct
from services.finance.classification.fiscal_calendar import Period
from services.finance.classification.pack import fiscal_calendar
from services.finance.payables import domain as payables
from services.finance.payables import invoice_store, invoicing, ordering_store, payment_store
from services.finance.payables.credit_notes import domain, events, journals, refunding, store
from services.finance.payables.credit_notes.domain import CreditLine, CreditNoteKind, CreditNoteStatus, InvoicedLine
from services.finance.payables.credit_notes.store import CreditNote
from services.finance.payables.domain import OutOfTurn, Treatment
from services.finance.payables.invoicing import EtagMismatch
from services.finance.payables.journals import Tag
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
    _effect(
        session,
        invoice,
        new.kind,
        [known[one.purchase_order_line_id] for one in new.lines if one.purchase_order_line_id in known],
    )
    lines = [_line(line, nth, known, new) for nth, line in enumerate(new.lines)]
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
    parts = _parts(session, invoice.row.payable_id)
    approval.begin_on_lines(
        session,
        RoutedKind.CREDIT_NOTE,
        credit_note_id,
        new.agency_id,
        amount=new.total,
        budget_line_ids={parts[line.purchase_order_line_id].budget_line_id for line in lines},
        maker_person_id=person_id,
        at=at,
    )
    return store.get(session, credit_note_id)


def approve(
    session: Session, credit_note_id: UUID, *, etag: str, effective_on: date, person_id: UUID, at: datetime
) -> CreditNote:
    """The payable shrinks and funds come back, or, when it was paid, the creditor owes the amount."""
    note = _locked(session, credit_note_id)
    row = note.row
    if etag and etag != str(row.version):
        raise EtagMismatch(
            f"credit note {row.credit_note_number} has changed since you read it; read it again",
            metadata={"etag": str(row.version)},
        )
    _in_status(row, CreditNoteStatus.REGISTERED, "approved")
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
    status = _effect(session, invoice, CreditNoteKind(row.kind), invoiced)
    _still_there(note, known)
    receivable = status is CreditNoteStatus.RECEIVABLE
    parts = _parts(session, invoice.row.payable_id)
    act = _begin(session, row, note.lines, parts, effective_on)
    credited = [
        _credit(act, row, line, treatment=one.treatment, part=parts[line.purchase_order_line_id], paid=receivable)
        for line, one in zip(note.lines, invoiced, strict=True)
    ]
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
    if not receivable:
        store.reduce_payable(session, invoice.row.payable_id, note.lines)
    for line, one in zip(note.lines, credited, strict=True):
        if row.kind == CreditNoteKind.RETURN.value:
            store.take_back(session, [line], returned=one.went_back is not None)
        if line.variance and one.treatment is Treatment.STOCK:
            ordering_store.insert_variance(
                session, row.agency_id, credit_note_id, line.purchase_order_line_id, -line.variance
            )
    store.update(
        session,
        credit_note_id,
        status=status.value,
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
    row = _locked(session, credit_note_id).row
    _in_status(row, CreditNoteStatus.REGISTERED, "withdrawn")
    store.update(
        session,
        credit_note_id,
        status=CreditNoteStatus.WITHDRAWN.value,
        withdrawn_by_person_id=person_id,
        withdrawal_explanation=explanation,
    )
    approval.recall(session, credit_note_id)
    return store.get(session, credit_note_id)


def record_refund(
    session: Session,
    credit_note_id: UUID,
    *,
    treasury_agency_id: UUID,
    bank_reference: str,
    refunded_on: date,
    amount: Money,
    person_id: UUID,
) -> CreditNote:
    """P -> available (replaced: O), cash in, expenditure taken back; after the year it is other revenue instead.

    The same reference again changes nothing.
    """
    note = _locked(session, credit_note_id)
    row = note.row
    if row.status == CreditNoteStatus.REFUNDED.value and row.bank_reference == bank_reference:
        return note
    _in_status(row, CreditNoteStatus.RECEIVABLE, "refunded")
    total = Money(row.total_minor, row.currency)
    if amount != total:
        raise domain.RefundAmountMismatch(
            f"credit note {row.credit_note_number} is {total}, {amount} came; clear it up with the creditor",
            metadata={"total": str(total), "refunded": str(amount)},
        )
    invoice = invoice_store.get(session, row.invoice_id).row
    payment_store.lock_payables(session, [invoice.payable_id])
    order = store.paid_by(session, invoice.payable_id)
    if order.treasury_agency_id != treasury_agency_id:
        raise InvalidArgument.field(
            "treasury_agency_id", f"the invoice was paid by {order.treasury_agency_id} (order {order.order_number})"
        )
    if refunded_on < order.value_date:
        raise InvalidArgument.field("refunded_on", f"before the payment of {order.value_date}")
    parts = _parts(session, invoice.payable_id)
    said = _Refund(row, treasury_agency_id, refunded_on, person_id, order.value_date)
    earlier_year = _settle_refund(
        session, said, note.lines, parts, requested_in=fiscal_calendar().period_of(order.requested_on)
    )
    store.update(
        session,
        credit_note_id,
        status=CreditNoteStatus.REFUNDED.value,
        refunded_on=refunded_on,
        refunded_by_person_id=person_id,
        treasury_agency_id=treasury_agency_id,
        bank_reference=bank_reference,
        earlier_year=earlier_year,
    )
    told = events.PriorYearRefunded if earlier_year else events.ExpenditureRefunded
    outbox.emit(
        session,
        told(
            credit_note_id,
            row.agency_id,
            row.invoice_id,
            row.purchase_order_id,
            row.currency,
            row.total_minor,
            refunded_on,
            row.replaced,
            row.version + 1,
        ),
    )
    return store.get(session, credit_note_id)


@dataclass(frozen=True)
class _Refund:
    """A refund as the bank told it."""

    note: Row[Any]
    treasury_agency_id: UUID
    refunded_on: date
    person_id: UUID
    paid_on: date


def _settle_refund(
    session: Session,
    said: _Refund,
    lines: Sequence[CreditLine],
    parts: dict[UUID, PayablePart],
    *,
    requested_in: Period,
) -> bool:
    """Post a refund and, in the year of its expenditure, move its funds back; whether that year is over."""
    row, on = said.note, said.refunded_on
    act = _begin(session, row, lines, parts, on)
    mine = [parts[line.purchase_order_line_id] for line in lines]
    refunded = [journals.Refunded(_tag(part, None), line.amount) for part, line in zip(mine, lines, strict=True)]
    posted = journals.post_refund(
        session,
        agency_id=row.agency_id,
        treasury_agency_id=said.treasury_agency_id,
        credit_note_id=row.credit_note_id,
        number=row.credit_note_number,
        refunded_on=on,
        lines=refunded,
        person_id=said.person_id,
    )
    budget_lines = [act.lines[part.budget_line_id] for part in mine]
    earlier_year = any(refunding.earlier_year(one, posted.fiscal_year, paid_on=said.paid_on) for one in budget_lines)
    if not earlier_year:
        refunded = [
            journals.Refunded(_tag(part, refunding.refund(act, row, line, part)), line.amount)
            for part, line in zip(mine, lines, strict=True)
        ]
        budget.check(session, act)
    realised = journals.post_realised(
        session,
        agency_id=row.agency_id,
        credit_note_id=row.credit_note_id,
        number=row.credit_note_number,
        refunded_on=on,
        lines=refunded,
        earlier_year=earlier_year,
        person_id=said.person_id,
    )
    if earlier_year:
        return True
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=on,
        person_id=said.person_id,
        accounting_on=realised.accounting_on,
        journal_entry_id=realised.entry.journal_entry_id,
    )
    # What came back may be requested again within the releases (F3).
    by_line: dict[UUID, int] = {}
    for part, line in zip(mine, lines, strict=True):
        by_line[part.budget_line_id] = by_line.get(part.budget_line_id, 0) + line.amount
    requests.withdraw(session, row.agency_id, by_line, on=requested_in)
    return False


# --- what the steps share ------------------------------------------------------------------------------------------


def _locked(session: Session, credit_note_id: UUID) -> CreditNote:
    """The note, its order locked first: as every act on an order does."""
    ordering_store.lock_order(session, store.get(session, credit_note_id).row.purchase_order_id)
    return store.get(session, credit_note_id, lock=True)


def _in_status(row: Row[Any], needed: CreditNoteStatus, becomes: str) -> None:
    if row.status != needed.value:
        raise OutOfTurn(
            f"credit note {row.credit_note_number} is {row.status}; only a {needed.value} one is {becomes}",
            metadata={"status": row.status, "needed": needed.value},
        )


def _effect(
    session: Session, invoice: invoice_store.Invoice, kind: CreditNoteKind, lines: Sequence[InvoicedLine]
) -> CreditNoteStatus:
    row = invoice.row
    payable = None if row.payable_id is None else payment_store.payable(session, row.payable_id)
    if payable is not None:
        domain.check_currency(row.supplier_invoice_number, payable.foreign_currency)
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


def _still_there(note: CreditNote, known: dict[UUID, InvoicedLine]) -> None:
    """Other notes may have been approved since this one was registered: it must still fit, to the minor unit."""
    for line in note.lines:
        invoiced = known[line.purchase_order_line_id]
        if line.quantity:
            now = domain.returned(invoiced, line.quantity)
            if now != line:
                raise domain.CreditExceedsInvoice(
                    f"credit note {note.row.credit_note_number}: since it was registered another note has changed what "
                    "is left of the invoice; withdraw it and register it anew",
                    metadata={"purchase_order_line_id": str(line.purchase_order_line_id)},
                )
        else:
            domain.repriced(invoiced, line.net, line.tax, 1)


def _parts(session: Session, payable_id: UUID) -> dict[UUID, PayablePart]:
    return {part.document_line_id: part for part in payment_store.parts(session, [payable_id])}


def _begin(
    session: Session, row: Row[Any], lines: Sequence[CreditLine], parts: dict[UUID, PayablePart], on: date
) -> FundsAct:
    return budget.begin(
        session,
        row.agency_id,
        Document(DocumentKind.CREDIT_NOTE, row.credit_note_id, row.credit_note_number),
        effective_on=on,
        budget_line_ids=[parts[line.purchase_order_line_id].budget_line_id for line in lines],
        document_line_ids=[line.purchase_order_line_id for line in lines],
    )


def _credit(
    act: FundsAct, row: Row[Any], line: CreditLine, *, treatment: Treatment, part: PayablePart, paid: bool
) -> journals.Credited:
    """E -> available by the price, and by what went back (replaced: E -> O). What is paid moves when it is refunded."""
    key = Key(part.document_line_id, part.budget_line_id)
    varied = None if paid else act.vary(key, -line.variance)
    tag = _tag(part, None if varied is None else varied.funds_movement_id)
    went_back = None
    # Stock leaves the books by the stock ledger's own movement; till then it is received and not invoiced.
    if line.quantity and treatment is not Treatment.STOCK:
        moved = None if paid else act.return_delivery(key, line.cleared, line.quantity, replaced=row.replaced)
        went_back = _tag(part, None if moved is None else moved.funds_movement_id)
    return journals.Credited(tag, treatment, line.amount, line.cleared, line.variance, went_back)


def _tag(part: PayablePart, movement_id: UUID | None) -> Tag:
    return Tag(
        part.budget_line_id, part.fund_code, part.account_code, part.currency, part.document_line_id, movement_id
    )


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
