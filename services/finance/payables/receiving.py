"""What logistics tells: orders issued, goods accepted, stock moved. Each has its effect once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from uuid import UUID

from sqlmodel import Session

from chassis.errors import FailedPrecondition
from chassis.money import Money
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item, Key
from services.finance.payables import exchange_store, invoicing, journals, ordering_store
from services.finance.payables.domain import Treatment
from services.finance.payables.journals import Accepted, Tag


class StockNumberGap(FailedPrecondition):
    """A stock movement came out of order: the cut would have a hole."""

    reason = "STOCK_NUMBER_GAP"


class StockVarianceUnknown(FailedPrecondition):
    """A price variance was numbered that no invoice put on stock."""

    reason = "STOCK_VARIANCE_UNKNOWN"


@dataclass(frozen=True)
class OrderedLine:
    """One line of an issued order."""

    purchase_order_line_id: UUID
    budget_line_id: UUID
    item_id: UUID | None
    description: str
    quantity: Fraction
    unit_price: Fraction
    tax_rate: Fraction
    amount_minor: int
    treatment: Treatment


@dataclass(frozen=True)
class Order:
    """An issued order."""

    purchase_order_id: UUID
    agency_id: UUID
    purchase_order_number: str
    supplier_id: UUID
    legal_entity_id: UUID
    currency: str
    lines: tuple[OrderedLine, ...]


@dataclass(frozen=True)
class AcceptedLine:
    """One accepted line; values are at the order's price, tax included."""

    receipt_line_id: UUID
    purchase_order_line_id: UUID
    budget_line_id: UUID
    item_id: UUID | None
    treatment: Treatment
    ordered_quantity: Fraction
    accepted_quantity: Fraction
    cumulative_quantity: Fraction
    unit_price: Fraction
    value_minor: int
    cumulative_minor: int
    stock_movement_number: int
    stock_movement_id: UUID | None


@dataclass(frozen=True)
class Acceptance:
    """An acceptance of goods or services."""

    receipt_id: UUID
    agency_id: UUID
    receipt_number: str
    purchase_order_id: UUID
    accepted_on: date
    currency: str
    lines: tuple[AcceptedLine, ...]


# What finance posts from the stock topic: the rest is in the books by its receipt or invoice, or moves no value.
POSTED_KINDS = frozenset({"ISSUE", "COUNT_GAIN", "COUNT_LOSS", "CORRECTION"})


@dataclass(frozen=True)
class StockMovement:
    """A numbered stock movement."""

    stock_movement_id: UUID
    agency_id: UUID
    number: int
    kind: str
    corrected_kind: str
    item_id: UUID
    item_code: str
    expenditure_account_code: str
    fund_code: str
    currency: str
    value_minor: int
    effective_on: date
    accounting_on: date
    invoice_id: UUID | None
    purchase_order_line_id: UUID | None


def register_order(session: Session, order: Order) -> None:
    """Keep an issued order for matching; invoices that came before a receipt stay as they are."""
    ordering_store.lock_order(session, order.purchase_order_id)
    ordering_store.save_order(session, order)


def cancel_order(session: Session, purchase_order_id: UUID, lines: list[tuple[UUID, Fraction]]) -> None:
    """Note the quantities that will not come; logistics freed their funds before it told us."""
    ordering_store.lock_order(session, purchase_order_id)
    ordering_store.cancel(session, lines)


def _where_funds_are(session: Session, acceptance: Acceptance) -> Acceptance:
    """The acceptance with next year's budget lines where the order was carried over a year's end."""
    named = {line: Key(line.purchase_order_line_id, line.budget_line_id) for line in acceptance.lines}
    carried = budget.carried_lines(session, list(named.values()))
    lines = tuple(replace(line, budget_line_id=carried.get(key, key.budget_line_id)) for line, key in named.items())
    return replace(acceptance, lines=lines) if carried else acceptance


def accrue_delivery(session: Session, acceptance: Acceptance) -> None:
    """O -> E by share of quantity; Dr EXP, INV or FA / Cr GRNI at the order's price; invoices are matched anew."""
    ordering_store.lock_order(session, acceptance.purchase_order_id)
    if ordering_store.receipt_known(session, acceptance.receipt_id):
        return
    if any(line.stock_movement_number for line in acceptance.lines):
        # Before any balance is touched, as post_stock_movement does, so that the two cannot wait for one another.
        ordering_store.lock_cut(session, acceptance.agency_id)
    acceptance = _where_funds_are(session, acceptance)
    valued = [line for line in acceptance.lines if line.value_minor]
    act = budget.begin(
        session,
        acceptance.agency_id,
        Document(DocumentKind.GOODS_RECEIPT, acceptance.receipt_id, acceptance.receipt_number),
        effective_on=acceptance.accepted_on,
        budget_line_ids=[line.budget_line_id for line in valued],
        document_line_ids=[line.purchase_order_line_id for line in valued],
        currencies=[acceptance.currency],
    )
    accepted, values = [], {}
    for line in valued:
        movement = act.expend(
            Item(
                document_line_id=line.receipt_line_id,
                budget_line_id=line.budget_line_id,
                amount=line.value_minor,
                currency=acceptance.currency,
                liquidates_document_line_id=line.purchase_order_line_id,
                liquidated_quantity=line.accepted_quantity,
            )
        )
        budget_line = act.lines[line.budget_line_id]
        tag = Tag(
            line.budget_line_id,
            budget_line.fund_code,
            budget_line.account_code,
            budget_line.currency,
            line.purchase_order_line_id,
            movement.funds_movement_id,
        )
        # In another currency than the budget's: at the rate of the day, which goods and assets keep.
        values[line.receipt_line_id] = value = movement.changes.expended
        foreign = Money(line.value_minor, acceptance.currency) if acceptance.currency != tag.currency else None
        accepted.append(Accepted(tag, line.treatment, value, foreign))
    budget.cover(session, act, acceptance.agency_id, on=acceptance.accepted_on, person_id=None)
    budget.check(session, act)
    ordering_store.save_acceptance(session, acceptance.agency_id, acceptance.purchase_order_id, acceptance.lines)
    exchange_store.add_uninvoiced(session, [one for one in accepted if one.foreign is not None])
    if accepted:
        posted = journals.post_delivery(
            session,
            agency_id=acceptance.agency_id,
            receipt_id=acceptance.receipt_id,
            receipt_number=acceptance.receipt_number,
            accepted_on=acceptance.accepted_on,
            lines=accepted,
        )
        entry_id = posted.entry.journal_entry_id
        budget.settle(
            session,
            act,
            acceptance.agency_id,
            effective_on=acceptance.accepted_on,
            person_id=None,
            accounting_on=posted.accounting_on,
            journal_entry_id=entry_id,
        )
        ordering_store.insert_receipt(
            session,
            receipt_id=acceptance.receipt_id,
            agency_id=acceptance.agency_id,
            purchase_order_id=acceptance.purchase_order_id,
            receipt_number=acceptance.receipt_number,
            accepted_on=acceptance.accepted_on,
            value_minor=sum(line.value_minor for line in valued),
            journal_entry_id=entry_id,
        )
        funds = {one.tag.budget_line_id: one.tag.fund_code for one in accepted}
        _note_stock(session, acceptance, funds, values, entry_id)
        budget.tell_expended(session, act, acceptance.agency_id)
        budget.tell_revalued(session, act, acceptance.agency_id)
    invoicing.match_again(session, acceptance.purchase_order_id)


def _note_stock(
    session: Session, acceptance: Acceptance, funds: dict[UUID, str], values: dict[UUID, int], journal_entry_id: UUID
) -> None:
    numbered = [line for line in acceptance.lines if line.stock_movement_number and line.stock_movement_id]
    if not numbered:
        return
    for line in numbered:
        assert line.stock_movement_id is not None, "filtered above"
        ordering_store.insert_posting(
            session,
            agency_id=acceptance.agency_id,
            number=line.stock_movement_number,
            movement_id=line.stock_movement_id,
            kind="RECEIPT",
            item_id=line.item_id,
            fund_code=funds.get(line.budget_line_id, ""),
            value_minor=values.get(line.receipt_line_id, line.value_minor),
            journal_entry_id=journal_entry_id,
        )
    ordering_store.advance_cut(session, acceptance.agency_id)


def post_stock_movement(session: Session, movement: StockMovement) -> None:
    """Post what the stock ledger alone knows, in the order of its numbers; the last one without a gap is the cut.

    RECEIPT is noted when GoodsAccepted is accrued, from another topic, so it may be noted before or after this event.
    """
    cut = ordering_store.lock_cut(session, movement.agency_id)
    if movement.number <= cut.seen_number:
        return
    if movement.number != cut.seen_number + 1:
        raise StockNumberGap(
            f"stock movement {movement.number} follows {cut.seen_number}: {cut.seen_number + 1} has not come",
            metadata={"expected_number": str(cut.seen_number + 1), "number": str(movement.number)},
        )
    if movement.kind != "RECEIPT":
        fund_code = movement.fund_code or ordering_store.fund_of_stock(session, movement)
        entry_id = None
        if movement.kind in POSTED_KINDS and movement.value_minor:
            entry_id = _post_stock(session, movement, fund_code)
        if movement.kind == "PRICE_VARIANCE":
            _match_variance(session, movement)
        ordering_store.insert_posting(
            session,
            agency_id=movement.agency_id,
            number=movement.number,
            movement_id=movement.stock_movement_id,
            kind=movement.kind,
            item_id=movement.item_id,
            fund_code=fund_code,
            value_minor=movement.value_minor,
            journal_entry_id=entry_id,
            invoice_id=movement.invoice_id,
        )
    ordering_store.advance_cut(session, movement.agency_id, seen_number=movement.number)


def _post_stock(session: Session, movement: StockMovement, fund_code: str) -> UUID:
    kind = movement.corrected_kind if movement.kind == "CORRECTION" else movement.kind
    posted = journals.post_stock(
        session,
        agency_id=movement.agency_id,
        movement_id=movement.stock_movement_id,
        description=f"Stock {movement.kind} {movement.number}: {movement.item_code}",
        effective_on=movement.effective_on,
        accounting_on=movement.accounting_on,
        fund_code=fund_code,
        expenditure_account_code=movement.expenditure_account_code,
        currency=movement.currency,
        value=movement.value_minor,
        source_kind="STOCK_ISSUE" if kind == "ISSUE" else "STOCK_MOVEMENT",
    )
    return posted.entry.journal_entry_id


def _match_variance(session: Session, movement: StockMovement) -> None:
    found = None
    if movement.invoice_id is not None and movement.purchase_order_line_id is not None:
        found = ordering_store.number_variance(session, movement.invoice_id, movement.purchase_order_line_id)
    if found != movement.value_minor:
        raise StockVarianceUnknown(
            f"stock movement {movement.number} values a receipt anew by {movement.value_minor} minor units; the "
            f"books have {found} for invoice {movement.invoice_id}, order line {movement.purchase_order_line_id}",
            metadata={"number": str(movement.number)},
        )
