"""Credit notes between the wire and the domain: no decisions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any
from uuid import UUID

from google.type import money_pb2
from sqlalchemy import Row

from chassis import outbox
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    resource_id,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_uuid,
)
from kelola.finance.v1 import credit_note_events_pb2, credit_note_pb2
from services.finance.payables.credit_notes import events
from services.finance.payables.credit_notes.domain import CreditLine, CreditNoteKind
from services.finance.payables.credit_notes.store import CreditNote
from services.finance.payables.credit_notes.usecases import NewCreditNote, NewLine

CREDIT_NOTES = "creditNotes"


def credit_note_id(name: str) -> UUID:
    """The id in `creditNotes/{uuid}`."""
    return resource_id(CREDIT_NOTES, name)


def new_credit_note(message: credit_note_pb2.CreditNote) -> NewCreditNote:
    """The credit note to register."""
    return NewCreditNote(
        agency_id=to_uuid(message.agency_id, "credit_note.agency_id"),
        invoice_id=to_uuid(message.invoice_id, "credit_note.invoice_id"),
        credit_note_number=message.credit_note_number,
        kind=CreditNoteKind(credit_note_pb2.CreditNoteKind.Name(message.kind).removeprefix("CREDIT_NOTE_KIND_")),
        replaced=message.replaced,
        description=message.description,
        credited_on=from_date(message.credited_on, "credit_note.credited_on"),
        total=from_money(message.total, "credit_note.total"),
        lines=tuple(_new_line(line, f"credit_note.lines[{nth}]") for nth, line in enumerate(message.lines)),
        rounding=from_money(message.rounding, "credit_note.rounding") if message.HasField("rounding") else None,
    )


def _new_line(line: credit_note_pb2.CreditNoteLine, where: str) -> NewLine:
    return NewLine(
        purchase_order_line_id=to_uuid(line.purchase_order_line_id, f"{where}.purchase_order_line_id"),
        quantity=Fraction(from_decimal(line.quantity, f"{where}.quantity")) if line.quantity.value else Fraction(0),
        net=from_money(line.net, f"{where}.net") if line.HasField("net") else None,
        tax=from_money(line.tax, f"{where}.tax") if line.HasField("tax") else None,
    )


def credit_note_message(note: CreditNote) -> credit_note_pb2.CreditNote:
    """One credit note."""
    row, carried = note.row, [line.carried for line in note.lines]
    rounding = sum(line.rounding for line in note.lines)
    return credit_note_pb2.CreditNote(
        name=resource_name(CREDIT_NOTES, row.credit_note_id),
        credit_note_id=str(row.credit_note_id),
        agency_id=str(row.agency_id),
        invoice_id=str(row.invoice_id),
        credit_note_number=row.credit_note_number,
        kind=credit_note_pb2.CreditNoteKind.Value(f"CREDIT_NOTE_KIND_{row.kind}"),
        replaced=row.replaced,
        description=row.description,
        credited_on=to_date(row.credited_on),
        lines=[_line_message(line, row.currency) for line in note.lines],
        total=to_money(Money(row.total_minor, row.currency)),
        status=credit_note_pb2.CreditNoteStatus.Value(f"CREDIT_NOTE_STATUS_{row.status}"),
        journal_entry_id=str(row.journal_entry_id or ""),
        refunded_on=None if row.refunded_on is None else to_date(row.refunded_on),
        bank_reference=row.bank_reference or "",
        earlier_year=row.earlier_year,
        etag=str(row.version),
        carrying_amount=_in_books(row, None if None in carried else sum(filter(None, carried))),
        refunded_amount=_in_books(row, row.refunded_minor),
        rounding=to_money(Money(rounding, row.currency)) if rounding else None,
        withheld_amount=to_money(Money(row.withheld_minor, row.currency)) if row.withheld_minor else None,
    )


def _in_books(row: Row[Any], minor: int | None) -> money_pb2.Money | None:
    """An amount in the currency of the books; only a note in another one has it."""
    return None if row.functional_currency is None or minor is None else to_money(Money(minor, row.functional_currency))


def _line_message(line: CreditLine, currency: str) -> credit_note_pb2.CreditNoteLine:
    return credit_note_pb2.CreditNoteLine(
        purchase_order_line_id=str(line.purchase_order_line_id),
        quantity=to_decimal(line.quantity),
        net=to_money(Money(line.net, currency)),
        tax=to_money(Money(line.tax, currency)),
        amount=to_money(Money(line.amount, currency)),
    )


@outbox.translates(events.CreditNoteApproved)
def _approved(event: events.CreditNoteApproved) -> outbox.Envelope:
    message = credit_note_events_pb2.CreditNoteApproved(
        credit_note_id=str(event.credit_note_id),
        agency_id=str(event.agency_id),
        invoice_id=str(event.invoice_id),
        purchase_order_id=str(event.purchase_order_id),
        supplier_id=str(event.supplier_id),
        total=to_money(Money(event.total_minor, event.currency)),
        receivable=event.receivable,
        replaced=event.replaced,
        lines=[
            credit_note_events_pb2.CreditedLine(
                purchase_order_line_id=str(line.purchase_order_line_id),
                quantity=to_decimal(line.quantity),
                amount=to_money(Money(line.amount_minor, event.currency)),
                variance=to_money(Money(line.variance_minor, event.currency)),
                invoiced_quantity=to_decimal(line.invoiced_quantity),
                invoiced_before=to_decimal(line.invoiced_before),
            )
            for line in event.lines
        ],
    )
    return outbox.Envelope(message, event.credit_note_id, event.agency_id, event.version)


@outbox.translates(events.ExpenditureRefunded)
def _refunded(event: events.ExpenditureRefunded) -> outbox.Envelope:
    message = credit_note_events_pb2.ExpenditureRefunded(
        credit_note_id=str(event.credit_note_id),
        agency_id=str(event.agency_id),
        invoice_id=str(event.invoice_id),
        purchase_order_id=str(event.purchase_order_id),
        amount=to_money(Money(event.amount_minor, event.currency)),
        refunded_on=to_date(event.refunded_on),
        replaced=event.replaced,
        withheld=_withheld(event),
    )
    return outbox.Envelope(message, event.credit_note_id, event.agency_id, event.version)


@outbox.translates(events.PriorYearRefunded)
def _refunded_late(event: events.PriorYearRefunded) -> outbox.Envelope:
    message = credit_note_events_pb2.PriorYearRefunded(
        credit_note_id=str(event.credit_note_id),
        agency_id=str(event.agency_id),
        invoice_id=str(event.invoice_id),
        purchase_order_id=str(event.purchase_order_id),
        amount=to_money(Money(event.amount_minor, event.currency)),
        refunded_on=to_date(event.refunded_on),
        withheld=_withheld(event),
    )
    return outbox.Envelope(message, event.credit_note_id, event.agency_id, event.version)


def _withheld(event: events.Refunded) -> money_pb2.Money | None:
    return to_money(Money(event.withheld_minor, event.currency)) if event.withheld_minor else None
