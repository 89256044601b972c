"""Invoices: registered, matched against order and receipts, approved or withdrawn (domain rules §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from chassis.ids import new_id
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Key, Line, Movement
from services.finance.payables import (
    domain,
    events,
    exchange,
    exchange_store,
    invoice_store,
    journals,
    ordering_store,
    pack,
)
from services.finance.payables.domain import HoldReason, InvoiceStatus, OrderLine, OutOfTurn, Source, Treatment
from services.finance.payables.exceptions import following
from services.finance.payables.exceptions.domain import Outcome
from services.finance.payables.exceptions.following import BY_ITSELF, Cause
from services.finance.payables.invoice_store import Invoice, NewPayable, Part
from services.finance.payables.journals import Claimed, Tag


class InvoiceNotMatched(FailedPrecondition):
    """The invoice is held or waits for a receipt."""

    reason = "INVOICE_NOT_MATCHED"


class EtagMismatch(Aborted):
    """The resource has changed since it was read."""

    reason = "ETAG_MISMATCH"


@dataclass(frozen=True)
class NewLine:
    """One line as the clerk enters it."""

    purchase_order_line_id: UUID
    quantity: Fraction
    unit_price: Fraction
    tax: Money | None
    # What allowances took off the line (below zero), or charges put on it, without tax.
    adjustment: Money | None = None


@dataclass(frozen=True)
class NewInvoice:
    """An invoice as the clerk enters it."""

    agency_id: UUID
    purchase_order_id: UUID
    supplier_invoice_number: str
    invoiced_on: date
    received_on: date
    total: Money
    lines: tuple[NewLine, ...]
    # What the total was rounded by (EN 16931 BT-114): in it, and of no line.
    rounding: Money | None = None


def create(session: Session, new: NewInvoice, *, person_id: UUID, at: datetime) -> Invoice:
    """Register an invoice and match it. A mismatch is a state (HELD), never an error."""
    ordering_store.lock_order(session, new.purchase_order_id)
    order = ordering_store.order(session, new.purchase_order_id)
    if order is None or order.agency_id != new.agency_id:
        raise NotFound.resource("issued purchase order", new.purchase_order_id)
    order_lines = {
        line_id: line
        for line_id, (line, _) in ordering_store.order_lines(session, new.purchase_order_id, order.currency).items()
    }
    lines = [
        (new_id(), line)
        for line in _rounded([_priced(line, nth, order_lines, new) for nth, line in enumerate(new.lines)], new)
    ]
    if len({line.purchase_order_line_id for _, line in lines}) != len(lines):
        raise InvalidArgument.field("invoice.lines", "an order line is invoiced twice; add the quantities up")
    terms = pack.tolerance(order.currency, new.received_on).terms_days
    invoice_id = new_id()
    invoice_store.insert(
        session,
        {
            "invoice_id": invoice_id,
            "agency_id": new.agency_id,
            "purchase_order_id": new.purchase_order_id,
            "supplier_id": order.supplier_id,
            "supplier_invoice_number": new.supplier_invoice_number,
            "invoice_number_normalised": domain.normalised(new.supplier_invoice_number),
            "invoiced_on": new.invoiced_on,
            "received_on": new.received_on,
            "due_on": pack.due_on(new.received_on, terms),
            "currency": new.total.currency,
            "total_minor": new.total.minor,
            "status": InvoiceStatus.HELD.value,
            "created_by_person_id": person_id,
            "created_at": at,
        },
        lines,
    )
    approval.begin_on_lines(
        session,
        RoutedKind.INVOICE,
        invoice_id,
        new.agency_id,
        amount=new.total,
        budget_line_ids=ordering_store.budget_lines(session, [line.purchase_order_line_id for _, line in lines]),
        maker_person_id=person_id,
        at=at,
    )
    return match(session, invoice_store.get(session, invoice_id, lock=True), order.currency)


def match_again(session: Session, purchase_order_id: UUID) -> None:
    """Match the order's waiting and held invoices anew, in the order they came. The order is locked."""
    order = ordering_store.order(session, purchase_order_id)
    if order is None:
        return
    for invoice in invoice_store.of_order(session, purchase_order_id):
        match(session, invoice, order.currency)


def approve(
    session: Session, invoice_id: UUID, *, etag: str, effective_on: date, person_id: UUID, at: datetime
) -> tuple[Invoice, UUID, UUID]:
    """Dr GRNI / Cr AP; a price variance moves funds between available and E. The invoice, its payable, its entry."""
    invoice = locked(session, invoice_id)
    row = invoice.row
    if etag and etag != str(row.version):
        raise EtagMismatch(
            f"invoice {row.supplier_invoice_number} has changed since you read it; read it again",
            metadata={"etag": str(row.version)},
        )
    if invoice.status is not InvoiceStatus.MATCHED:
        raise _not_matched(invoice)
    domain.different_persons(
        person_id,
        {f"registered invoice {row.supplier_invoice_number}": row.created_by_person_id},
        "approve it",
    )
    approval.passed(
        session, invoice_id, f"invoice {row.supplier_invoice_number}", person_id=person_id, step="approve it"
    )
    order = ordering_store.order(session, row.purchase_order_id)
    assert order is not None, "an invoice is registered on a known order"
    found = ordering_store.order_lines(session, row.purchase_order_id, order.currency, without_invoice_id=invoice_id)
    document = Document(DocumentKind.INVOICE, invoice_id, row.supplier_invoice_number)
    lines = [stored.line for stored in invoice.lines]
    rows = [found[line.purchase_order_line_id][1] for line in lines]
    claims = domain.claims(lines, row.total_minor)
    foreign = any(one.foreign_currency for one in rows)
    varied = foreign and any(
        claim != domain.cleared(found[line.purchase_order_line_id][0], line.quantity)
        for line, claim in zip(lines, claims, strict=True)
    )
    act = budget.begin(
        session,
        row.agency_id,
        document,
        effective_on=effective_on,
        budget_line_ids=[one.budget_line_id for one in rows],
        document_line_ids=[line.purchase_order_line_id for line in lines],
        # Only a difference in price is new: what was accepted stands at the rate that it was accepted or revalued at.
        currencies=[row.currency] if varied else [],
    )
    claimed, parts, approved = [], [], []
    for stored, claim in zip(invoice.lines, claims, strict=True):
        order_line, order_row = found[stored.line.purchase_order_line_id]
        taken = domain.cleared(order_line, stored.line.quantity)
        variance = claim - taken
        own = exchange.in_books(
            act,
            order_row,
            taken=taken,
            claim=claim,
            tax=stored.line.tax,
            rounding=stored.line.rounding,
            currency=row.currency,
        )
        movement = act.vary(Key(order_line.purchase_order_line_id, order_row.budget_line_id), own.variance, variance)
        tag = _tag(act.lines[order_row.budget_line_id], order_line, movement)
        claimed.append(
            Claimed(
                tag,
                Treatment[order_row.treatment],
                own.cleared,
                own.variance,
                Money(taken, row.currency) if own.foreign else None,
                Money(claim, row.currency) if own.foreign else None,
            )
        )
        parts.append(
            Part(
                order_line.purchase_order_line_id,
                order_row.budget_line_id,
                own.claim,
                # What is withheld is taken of the price, not of what the total was rounded by.
                own.claim - own.tax - own.rounding,
                own.tax,
                claim if own.foreign else None,
            )
        )
        if own.foreign:
            exchange_store.take_uninvoiced(
                session,
                order_line.purchase_order_line_id,
                stored.invoice_line_id,
                amount=own.cleared,
                cost=own.cleared_cost,
                variance=own.variance,
            )
        approved.append(events.ApprovedLine(order_line.purchase_order_line_id, stored.line.quantity, claim, variance))
        invoice_store.set_variance(session, stored.invoice_line_id, claim, variance)
        ordering_store.clear(session, order_line.purchase_order_line_id, stored.line.quantity, taken)
        if variance and order_row.treatment == Treatment.STOCK.name:
            ordering_store.insert_variance(
                session, row.agency_id, invoice_id, order_line.purchase_order_line_id, own.variance
            )
    budget.check(session, act)
    posted = journals.post_invoice(
        session,
        agency_id=row.agency_id,
        invoice_id=invoice_id,
        number=row.supplier_invoice_number,
        effective_on=effective_on,
        lines=claimed,
        person_id=person_id,
    )
    entry_id = posted.entry.journal_entry_id
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=effective_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=entry_id,
    )
    payable_id = new_id()
    opened = invoice_store.insert_payable(
        session,
        NewPayable(
            payable_id,
            row.agency_id,
            Source.INVOICE,
            invoice_id,
            row.supplier_invoice_number,
            row.purchase_order_id,
            str(row.supplier_id),
            claimed[0].tag.currency if foreign else row.currency,
            row.due_on,
            tuple(parts),
            {},
            foreign_currency=row.currency if foreign else None,
        ),
    )
    assert opened, "an invoice is approved once: its row was locked and MATCHED"
    invoice_store.update(
        session,
        invoice_id,
        status=InvoiceStatus.APPROVED.value,
        approved_by_person_id=person_id,
        approved_at=at,
        payable_id=payable_id,
    )
    outbox.emit(
        session,
        events.InvoiceApproved(
            invoice_id,
            row.agency_id,
            row.purchase_order_id,
            row.supplier_id,
            payable_id,
            row.currency,
            row.total_minor,
            row.due_on,
            tuple(approved),
            row.version + 1,
        ),
    )
    return invoice_store.get(session, invoice_id), payable_id, entry_id


def void(
    session: Session, invoice_id: UUID, *, explanation: str, person_id: UUID, cause: Cause | None = None
) -> Invoice:
    """Withdraw an invoice that is not approved; the others of its order are matched anew without it.

    `cause` is why it leaves the queue of held invoices, when that is not a withdrawal.
    """
    invoice = locked(session, invoice_id)
    if invoice.status not in (InvoiceStatus.WAITING_RECEIPT, InvoiceStatus.HELD, InvoiceStatus.MATCHED):
        raise OutOfTurn(
            f"invoice {invoice.row.supplier_invoice_number} is {invoice.status.value}; "
            "only one that is not approved can be withdrawn",
            metadata={"status": invoice.status.value},
        )
    invoice_store.update(
        session,
        invoice_id,
        status=InvoiceStatus.VOID.value,
        holds=(),
        voided_by_person_id=person_id,
        void_explanation=explanation,
    )
    approval.recall(session, invoice_id)
    following.follow(session, invoice.row, (), cause or Cause(Outcome.WITHDRAWN, person_id, explanation))
    match_again(session, invoice.row.purchase_order_id)
    return invoice_store.get(session, invoice_id)


def release_hold(session: Session, invoice_id: UUID, *, explanation: str, person_id: UUID) -> Invoice:
    """Say that an invoice is no duplicate; every other hold is put right by a receipt or another invoice."""
    invoice = locked(session, invoice_id)
    reasons = {hold.reason for hold in invoice.holds}
    if invoice.status is not InvoiceStatus.HELD or HoldReason.DUPLICATE not in reasons:
        raise OutOfTurn(
            f"invoice {invoice.row.supplier_invoice_number} is not held as a duplicate",
            metadata={"status": invoice.status.value, "holds": ",".join(sorted(r.value for r in reasons))},
        )
    domain.different_persons(
        person_id,
        {
            f"registered invoice {invoice.row.supplier_invoice_number}": invoice.row.created_by_person_id,
            **approval.persons(session, invoice_id),
        },
        "release its hold",
    )
    invoice_store.update(
        session, invoice_id, hold_released_by_person_id=person_id, hold_release_explanation=explanation
    )
    order = ordering_store.order(session, invoice.row.purchase_order_id)
    assert order is not None, "an invoice is registered on a known order"
    return match(
        session,
        invoice_store.get(session, invoice_id),
        order.currency,
        Cause(Outcome.RELEASED, person_id, explanation),
    )


def locked(session: Session, invoice_id: UUID) -> Invoice:
    """The invoice, its order locked first: as every act on an order does."""
    ordering_store.lock_order(session, invoice_store.get(session, invoice_id).row.purchase_order_id)
    return invoice_store.get(session, invoice_id, lock=True)


def _priced(line: NewLine, nth: int, order_lines: dict[UUID, OrderLine], new: NewInvoice) -> domain.InvoiceLine:
    order_line = order_lines.get(line.purchase_order_line_id)
    if order_line is None:
        raise InvalidArgument.field(
            f"invoice.lines[{nth}].purchase_order_line_id", f"no line of order {new.purchase_order_id}"
        )
    if line.quantity <= 0:
        raise InvalidArgument.field(f"invoice.lines[{nth}].quantity", "above zero")
    if line.unit_price < 0:
        raise InvalidArgument.field(f"invoice.lines[{nth}].unit_price", "not below zero")
    if line.tax is not None and (line.tax.currency != new.total.currency or line.tax.minor < 0):
        raise InvalidArgument.field(
            f"invoice.lines[{nth}].tax", f"in {new.total.currency} and not below zero, as the total"
        )
    if line.adjustment is not None and line.adjustment.currency != new.total.currency:
        raise InvalidArgument.field(f"invoice.lines[{nth}].adjustment", f"in {new.total.currency}, as the total")
    tax = line.tax.minor if line.tax is not None else None
    adjustment = line.adjustment.minor if line.adjustment is not None else 0
    priced = domain.priced(order_line, line.quantity, line.unit_price, tax, adjustment)
    if priced.net < 0:
        raise InvalidArgument.field(
            f"invoice.lines[{nth}].adjustment", "takes more off than quantity × unit price comes to"
        )
    return priced


def _rounded(lines: list[domain.InvoiceLine], new: NewInvoice) -> list[domain.InvoiceLine]:
    """The lines with the document's rounding, which the last one bears as it bears a tolerated difference (§3)."""
    if new.rounding is None or not new.rounding.minor:
        return lines
    if new.rounding.currency != new.total.currency:
        raise InvalidArgument.field("invoice.rounding", f"in {new.total.currency}, as the total")
    refusal = domain.beyond_cap(new.rounding, pack.rounding_cap(new.total.currency, new.invoiced_on))
    if refusal is None and lines[-1].net + new.rounding.minor < 0:
        refusal = f"{new.rounding} takes more off than the last line comes to without tax"
    if refusal is not None:
        raise InvalidArgument.field("invoice.rounding", refusal)
    return [*lines[:-1], replace(lines[-1], rounding=new.rounding.minor)]


def match(session: Session, invoice: Invoice, order_currency: str, cause: Cause = BY_ITSELF) -> Invoice:
    """Match one invoice; its state and holds are written when they change, and InvoiceHeld is told.

    `cause` is what the queue of held invoices notes when the reasons change.
    """
    row = invoice.row
    tolerance = pack.tolerance(order_currency, row.received_on)
    found = ordering_store.order_lines(
        session, row.purchase_order_id, order_currency, without_invoice_id=row.invoice_id
    )
    outcome = domain.match(
        [stored.line for stored in invoice.lines],
        {line_id: line for line_id, (line, _) in found.items()},
        currency=row.currency,
        total=row.total_minor,
        tolerance=tolerance,
        duplicate_of=None
        if row.hold_released_by_person_id is not None
        else invoice_store.duplicate_of(
            session,
            agency_id=row.agency_id,
            supplier_id=row.supplier_id,
            purchase_order_id=row.purchase_order_id,
            number_normalised=row.invoice_number_normalised,
            total_minor=row.total_minor,
            currency=row.currency,
            invoiced_on=row.invoiced_on,
            days=tolerance.duplicate_days,
            without_invoice_id=row.invoice_id,
        ),
    )
    if (outcome.status, outcome.holds) == (invoice.status, invoice.holds) and row.version:
        return invoice
    invoice_store.update(session, row.invoice_id, status=outcome.status.value, holds=outcome.holds)
    following.follow(session, row, {hold.reason for hold in outcome.holds}, cause)
    if outcome.status is InvoiceStatus.HELD:
        outbox.emit(
            session,
            events.InvoiceHeld(
                row.invoice_id,
                row.agency_id,
                row.purchase_order_id,
                row.currency,
                outcome.holds,
                row.version + 1,
            ),
        )
    return invoice_store.get(session, row.invoice_id)


def _not_matched(invoice: Invoice) -> FailedPrecondition:
    row, status = invoice.row, invoice.status
    if status in (InvoiceStatus.HELD, InvoiceStatus.WAITING_RECEIPT):
        why = (
            "; ".join(hold.message for hold in invoice.holds)
            or "nothing of a line has been accepted yet; it is matched when the receipt comes"
        )
        return InvoiceNotMatched(
            f"invoice {row.supplier_invoice_number} is {status.value}: {why}",
            metadata={
                "status": status.value,
                "holds": ",".join(hold.reason.value for hold in invoice.holds),
            },
        )
    return OutOfTurn(
        f"invoice {row.supplier_invoice_number} is {status.value}; only a matched one is approved",
        metadata={"status": status.value},
    )


def _tag(budget_line: Line, order_line: OrderLine, movement: Movement | None) -> Tag:
    return Tag(
        budget_line.budget_line_id,
        budget_line.fund_code,
        budget_line.account_code,
        budget_line.currency,
        order_line.purchase_order_line_id,
        None if movement is None else movement.funds_movement_id,
    )
