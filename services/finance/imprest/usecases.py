"""Imprests: ask for cash, approve and pay purchases, replenish, settle. The cash itself is paid by payables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from chassis.money import Money, total
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Item, Key
from services.finance.budget.foreign.held import refuse_foreign
from services.finance.budget.usecases import FundsOrder
from services.finance.imprest import domain, events, journals, pack, replenishing, store
from services.finance.imprest.domain import ImprestKind, VoucherStatus
from services.finance.imprest.store import Voucher
from services.finance.payables import invoice_store
from services.finance.payables.domain import Source, different_persons
from services.finance.payables.invoice_store import NewPayable


@dataclass(frozen=True)
class NewImprest:
    """An imprest to ask for; `lines` are the budget lines of an additional one."""

    agency_id: UUID
    kind: ImprestKind
    fiscal_year: int
    fund_code: str
    holder_person_id: UUID
    amount: Money
    claimed_on: date
    lines: tuple[tuple[UUID, Money], ...]


def ask(session: Session, new: NewImprest, *, person_id: UUID, at: datetime) -> UUID:
    """Open the payable of the cash; an additional imprest reserves its budget lines."""
    _check_lines(new)
    if new.amount.minor <= 0:
        raise InvalidArgument.field("imprest.amount", "must be above zero")
    store.lock_agency(session, new.agency_id)
    clash = store.clashing(session, new.agency_id, new.kind.value, new.fiscal_year)
    if clash is not None and new.kind is ImprestKind.STANDING:
        raise domain.ImprestKnown(
            f"the unit has its standing imprest of {new.fiscal_year} ({clash.imprest_id}): replenish it",
            metadata={"imprest_id": str(clash.imprest_id)},
        )
    if clash is not None:
        raise domain.ImprestOpen(
            f"the additional imprest of {clash.claimed_on} is not settled (due {clash.due_on}): settle it first",
            metadata={"imprest_id": str(clash.imprest_id), "due_on": str(clash.due_on)},
        )
    imprest_id, payable_id = new_id(), new_id()
    document = Document(DocumentKind.IMPREST, imprest_id, _number(new.kind, new.fiscal_year, imprest_id))
    lines = [(new_id(), budget_line_id, amount) for budget_line_id, amount in new.lines]
    if lines:
        items = tuple(
            Item(line_id, budget_line_id, amount.minor, amount.currency) for line_id, budget_line_id, amount in lines
        )
        moved = budget.reserve(session, FundsOrder(new.agency_id, document, items, new.claimed_on), person_id=person_id)
        refuse_foreign([movement.foreign for movement in moved.movements], "an imprest")
    store.insert(
        session,
        "imprest",
        [
            {
                "imprest_id": imprest_id,
                "agency_id": new.agency_id,
                "kind": new.kind.value,
                "fiscal_year": new.fiscal_year,
                "fund_code": new.fund_code,
                "currency": new.amount.currency,
                "holder_person_id": new.holder_person_id,
                "amount_minor": new.amount.minor,
                "claimed_on": new.claimed_on,
                "due_on": domain.due_on(new.claimed_on, pack.usable_months(new.kind, new.claimed_on)),
                "status": "OPEN",
                "payable_id": payable_id,
                "returned_minor": 0,
                "created_by_person_id": person_id,
                "created_at": at,
                "version": 1,
            }
        ],
    )
    store.insert(
        session,
        "imprest_line",
        [
            {
                "imprest_id": imprest_id,
                "budget_line_id": budget_line_id,
                "agency_id": new.agency_id,
                "document_line_id": line_id,
                "amount_minor": amount.minor,
            }
            for line_id, budget_line_id, amount in lines
        ],
    )
    row = store.imprest(session, imprest_id)
    _open(session, row, Source.IMPREST, payable_id, imprest_id, new.amount.minor, due_on=new.claimed_on)
    return imprest_id


@dataclass(frozen=True)
class NewVoucher:
    """A purchase to approve."""

    agency_id: UUID
    imprest_id: UUID
    budget_line_id: UUID
    amount: Money
    payee: str
    description: str
    approved_on: date


def approve_purchase(session: Session, new: NewVoucher, *, person_id: UUID, at: datetime) -> UUID:
    """Reserve the budget of a purchase (an additional imprest has reserved it); the cash must be in hand."""
    row = _open_imprest(session, new.imprest_id)
    if row.agency_id != new.agency_id:
        raise InvalidArgument.field("imprest_voucher.agency_id", "the imprest is another agency's")
    if new.amount.currency != row.currency:
        raise InvalidArgument.field("imprest_voucher.amount", f"in {new.amount.currency}; the cash is {row.currency}")
    if new.amount.minor <= 0:
        raise InvalidArgument.field("imprest_voucher.amount", "must be above zero")
    figures = store.figures(session, [new.imprest_id])[new.imprest_id]
    domain.check_purchase(new.amount.minor, figures.free, "the cash in hand", row.currency)
    voucher_id = new_id()
    document_line_id = _reserved(session, row, new, voucher_id, person_id=person_id)
    store.insert(
        session,
        "imprest_voucher",
        [
            {
                "imprest_voucher_id": voucher_id,
                "agency_id": new.agency_id,
                "imprest_id": new.imprest_id,
                "budget_line_id": new.budget_line_id,
                "document_line_id": document_line_id,
                "amount_minor": new.amount.minor,
                "payee": new.payee,
                "description": new.description,
                "approved_on": new.approved_on,
                "status": VoucherStatus.APPROVED.value,
                "paid_minor": 0,
                "created_by_person_id": person_id,
                "created_at": at,
            }
        ],
    )
    approval.begin_on_lines(
        session,
        RoutedKind.IMPREST_VOUCHER,
        voucher_id,
        new.agency_id,
        amount=new.amount,
        budget_line_ids={new.budget_line_id},
        maker_person_id=person_id,
        at=at,
    )
    return voucher_id


def pay(session: Session, voucher_id: UUID, paid: Money, *, paid_on: date, person_id: UUID) -> None:
    """R -> S at the real amount, the rest available again; Dr expense / Cr imprest."""
    imprest = _open_imprest(session, store.voucher(session, voucher_id).imprest_id)
    row = _in_status(session, voucher_id, VoucherStatus.APPROVED, "paid")
    if imprest.holder_person_id != person_id:
        raise domain.NotTheHolder("only the holder of the imprest pays from it")
    different_persons(person_id, {f"approved the purchase from {row.payee}": row.created_by_person_id}, "pay it")
    name = f"the purchase from {row.payee}"
    approval.passed(session, voucher_id, name, person_id=person_id, step="pay it")
    if paid.currency != imprest.currency or not 0 < paid.minor <= row.amount_minor:
        raise InvalidArgument.field(
            "paid", f"{paid}: must be above zero and not above {Money(row.amount_minor, imprest.currency)}"
        )
    if paid_on < row.approved_on:
        raise InvalidArgument.field("paid_on", f"before the approval of {row.approved_on}")
    document = Document(DocumentKind.IMPREST_VOUCHER, voucher_id, row.payee)
    act = budget.begin(
        session,
        row.agency_id,
        document,
        effective_on=paid_on,
        budget_line_ids=[row.budget_line_id],
        document_line_ids=[row.document_line_id],
    )
    key = Key(row.document_line_id, row.budget_line_id)
    movement = act.voucher(key, paid.minor, whole=imprest.kind == ImprestKind.STANDING.value)
    budget.check(session, act)
    line = act.lines[row.budget_line_id]
    voucher = Voucher(
        voucher_id,
        row.imprest_id,
        row.agency_id,
        row.budget_line_id,
        row.document_line_id,
        paid.minor,
        line.fund_code,
        line.account_code,
        line.currency,
    )
    tag = replenishing.tag_of(voucher, movement)
    posted = journals.post_voucher(session, voucher, tag, paid_on=paid_on, person_id=person_id)
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=paid_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=posted.entry.journal_entry_id,
    )
    store.update(
        session,
        "imprest_voucher",
        voucher_id,
        status=VoucherStatus.PAID.value,
        paid_minor=paid.minor,
        paid_on=paid_on,
        paid_by_person_id=person_id,
        journal_entry_id=posted.entry.journal_entry_id,
    )


def cancel(session: Session, voucher_id: UUID, *, explanation: str, on: date, person_id: UUID) -> None:
    """Free what an unpaid purchase reserved; what an additional imprest reserved stays with the imprest."""
    imprest = _open_imprest(session, store.voucher(session, voucher_id).imprest_id)
    row = _in_status(session, voucher_id, VoucherStatus.APPROVED, "cancelled")
    if imprest.kind == ImprestKind.STANDING.value:
        order = FundsOrder(
            row.agency_id,
            Document(DocumentKind.IMPREST_VOUCHER, voucher_id, row.payee),
            (Item(row.document_line_id, row.budget_line_id, final=True),),
            on,
        )
        budget.release(session, order, person_id=person_id)
    store.update(
        session,
        "imprest_voucher",
        voucher_id,
        status=VoucherStatus.CANCELLED.value,
        cancel_explanation=explanation,
    )
    approval.recall(session, voucher_id)


def replenish(session: Session, imprest_id: UUID, *, claimed_on: date, person_id: UUID, at: datetime) -> UUID:
    """Claim the paid vouchers of a standing imprest; the payable of their sum. Its payment order validates them."""
    row = _open_imprest(session, imprest_id)
    if row.kind != ImprestKind.STANDING.value:
        raise domain.ImprestNotReady("an additional imprest is not replenished: settle it and ask for another")
    vouchers = store.paid_vouchers(session, imprest_id)
    if not vouchers:
        raise domain.ImprestNotReady("no voucher of the imprest is paid and unclaimed")
    replenishment_id, payable_id = new_id(), new_id()
    amount = total(voucher.paid_minor for voucher in vouchers)
    _open(session, row, Source.REPLENISHMENT, payable_id, replenishment_id, amount, due_on=claimed_on)
    store.insert(
        session,
        "imprest_replenishment",
        [
            {
                "imprest_replenishment_id": replenishment_id,
                "agency_id": row.agency_id,
                "imprest_id": imprest_id,
                "payable_id": payable_id,
                "amount_minor": amount,
                "claimed_on": claimed_on,
                "created_by_person_id": person_id,
                "created_at": at,
            }
        ],
    )
    ids = [voucher.imprest_voucher_id for voucher in vouchers]
    store.move_vouchers(session, ids, VoucherStatus.CLAIMED.value, payable_id)
    return payable_id


@dataclass(frozen=True)
class Settled:
    """What a settlement did."""

    validated_minor: int
    returned_minor: int


def settle(
    session: Session,
    imprest_id: UUID,
    *,
    treasury_agency_id: UUID,
    settled_on: date,
    bank_reference: str,
    person_id: UUID,
) -> Settled:
    """Validate the paid vouchers without new cash, take the rest of the cash back, free what is left reserved."""
    row = _open_imprest(session, imprest_id)
    different_persons(person_id, _makers(row), "settle it")
    waiting = store.unfinished(session, imprest_id)
    if waiting:
        raise domain.ImprestNotReady("the imprest cannot be settled yet: " + "; ".join(waiting))
    if settled_on < row.claimed_on:
        raise InvalidArgument.field("settled_on", f"before the claim of {row.claimed_on}")
    returned = store.figures(session, [imprest_id])[imprest_id].cash_in_hand
    if returned and not bank_reference:
        raise InvalidArgument.field(
            "bank_reference", f"{Money(returned, row.currency)} come back into the treasury's account: name the entry"
        )
    vouchers = store.paid_vouchers(session, imprest_id)
    document = Document(DocumentKind.IMPREST, imprest_id, _number(ImprestKind(row.kind), row.fiscal_year, imprest_id))
    replenishing.validated(session, vouchers, document, on=settled_on, person_id=person_id)
    if returned:
        journals.post_return(
            session,
            agency_id=row.agency_id,
            treasury_agency_id=treasury_agency_id,
            imprest_id=imprest_id,
            fund_code=row.fund_code,
            amount=returned,
            currency=row.currency,
            on=settled_on,
            person_id=person_id,
        )
    _release_rest(session, row, document, settled_on, person_id=person_id)
    store.update(
        session,
        "imprest",
        imprest_id,
        status="SETTLED",
        returned_minor=returned,
        settled_on=settled_on,
        settled_by_person_id=person_id,
        bank_reference=bank_reference or None,
    )
    outbox.emit(
        session,
        events.ImprestSettled(
            imprest_id,
            row.agency_id,
            row.currency,
            returned,
            settled_on,
            store.imprest(session, imprest_id).version,
        ),
    )
    return Settled(total(voucher.paid_minor for voucher in vouchers), returned)


# --- what the acts share -------------------------------------------------------------------------------------------


def _check_lines(new: NewImprest) -> None:
    if new.kind is ImprestKind.STANDING:
        if new.lines:
            raise InvalidArgument.field("imprest.lines", "a standing imprest is for no named budget line")
        return
    if not new.lines:
        raise InvalidArgument.field("imprest.lines", "an additional imprest names its budget lines")
    if len({budget_line_id for budget_line_id, _ in new.lines}) != len(new.lines):
        raise InvalidArgument.field("imprest.lines", "a budget line is named twice; add the amounts up")
    for nth, (_, amount) in enumerate(new.lines):
        if amount.currency != new.amount.currency or amount.minor <= 0:
            raise InvalidArgument.field(f"imprest.lines[{nth}].amount", f"above zero, in {new.amount.currency}")
    if total(amount.minor for _, amount in new.lines) != new.amount.minor:
        raise InvalidArgument.field("imprest.amount", "must be the sum of the lines")


def _number(kind: ImprestKind, fiscal_year: int, imprest_id: UUID) -> str:
    """How funds movements name an imprest: it has no legal number, its payment papers have."""
    return f"{kind.value} {fiscal_year} {str(imprest_id)[-12:]}"


def _open_imprest(session: Session, imprest_id: UUID) -> Row[Any]:
    """The imprest, locked: one act on its cash at a time."""
    row = store.imprest(session, imprest_id, lock=True)
    if row.status != "OPEN":
        raise domain.ImprestNotReady(f"the imprest was settled on {row.settled_on}", metadata={"status": row.status})
    return row


def _in_status(session: Session, voucher_id: UUID, status: VoucherStatus, becomes: str) -> Row[Any]:
    row = store.voucher(session, voucher_id, lock=True)
    if row.status != status.value:
        raise domain.VoucherOutOfTurn(
            f"the purchase from {row.payee} is {row.status}; only a {status.value} one can be {becomes}",
            metadata={"status": row.status, "needed": status.value},
        )
    return row


def _makers(row: Row[Any]) -> Mapping[str, UUID | None]:
    return {"hold the imprest": row.holder_person_id, "asked for the imprest": row.created_by_person_id}


def _reserved(session: Session, row: Row[Any], new: NewVoucher, voucher_id: UUID, *, person_id: UUID) -> UUID:
    """The document line whose reservation the purchase will use."""
    if row.kind == ImprestKind.ADDITIONAL.value:
        found = store.line_free(session, new.imprest_id, new.budget_line_id)
        if found is None:
            raise InvalidArgument.field("imprest_voucher.budget_line_id", "not a line of this imprest")
        document_line_id, free = found
        domain.check_purchase(new.amount.minor, free, "the imprest's line", row.currency)
        return document_line_id
    item = Item(voucher_id, new.budget_line_id, new.amount.minor, new.amount.currency)
    document = Document(DocumentKind.IMPREST_VOUCHER, voucher_id, new.payee)
    order = FundsOrder(new.agency_id, document, (item,), new.approved_on)
    moved = budget.reserve(session, order, person_id=person_id)
    refuse_foreign([movement.foreign for movement in moved.movements], "a voucher of an imprest")
    return voucher_id


def _release_rest(session: Session, row: Row[Any], document: Document, on: date, *, person_id: UUID) -> None:
    lines = store.lines(session, [row.imprest_id]).get(row.imprest_id, [])
    if not lines:
        return
    items = tuple(Item(line.document_line_id, line.budget_line_id, final=True) for line in lines)
    budget.release(session, FundsOrder(row.agency_id, document, items, on), person_id=person_id)


def _open(
    session: Session,
    row: Row[Any],
    source: Source,
    payable_id: UUID,
    document_id: UUID,
    amount: int,
    *,
    due_on: date,
) -> None:
    made = invoice_store.insert_payable(
        session,
        NewPayable(
            payable_id=payable_id,
            agency_id=row.agency_id,
            source=source,
            source_document_id=document_id,
            source_document_number=_number(ImprestKind(row.kind), row.fiscal_year, row.imprest_id),
            purchase_order_id=None,
            creditor=str(row.holder_person_id),
            currency=row.currency,
            due_on=due_on,
            parts=(),
            withholdings={},
            cash=(row.fund_code, amount),
        ),
    )
    assert made, "an imprest or replenishment opens its payable once: its id is new"
