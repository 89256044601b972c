"""What a payment order does to the vouchers of a replenishment: it validates them; a rejected one takes that back.

Called by payables' payment order in its transaction; the settlement of an imprest validates in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Key, Movement
from services.finance.imprest import events, journals, store
from services.finance.imprest.domain import VoucherStatus
from services.finance.imprest.store import Voucher
from services.finance.payables.journals import Tag

# What one event carries; a replenishment of more vouchers is told in several.
EVENT_VOUCHERS_MAX = 1_000


def validate(
    session: Session, payable_ids: Collection[UUID], payment_order_id: UUID, *, on: date, person_id: UUID
) -> None:
    """S -> P and the budget realised for every voucher that these payables claim; nothing when there is none."""
    document = Document(DocumentKind.PAYMENT_ORDER, payment_order_id, str(payment_order_id))
    validated(session, store.claimed_vouchers(session, payable_ids), document, on=on, person_id=person_id)


def invalidate(
    session: Session,
    payable_ids: Collection[UUID],
    payment_order_id: UUID,
    order_number: str,
    *,
    on: date,
    person_id: UUID,
) -> None:
    """P -> S and the mirror entry: the order was rejected, its vouchers are claimed and not validated."""
    vouchers = store.claimed_vouchers(session, payable_ids)
    if not vouchers:
        return
    document = Document(DocumentKind.PAYMENT_ORDER, payment_order_id, order_number)
    _move(session, vouchers, document, on=on, person_id=person_id, undone=True)
    ids = [voucher.imprest_voucher_id for voucher in vouchers]
    store.move_vouchers(session, ids, VoucherStatus.CLAIMED.value)


def validated(session: Session, vouchers: Sequence[Voucher], document: Document, *, on: date, person_id: UUID) -> None:
    """Validate vouchers in the name of a document, and tell it, imprest by imprest."""
    if not vouchers:
        return
    _move(session, vouchers, document, on=on, person_id=person_id, undone=False)
    ids = [voucher.imprest_voucher_id for voucher in vouchers]
    store.move_vouchers(session, ids, VoucherStatus.VALIDATED.value)
    for imprest_id in sorted({voucher.imprest_id for voucher in vouchers}):
        mine = [voucher for voucher in vouchers if voucher.imprest_id == imprest_id]
        for start in range(0, len(mine), EVENT_VOUCHERS_MAX):
            part = mine[start : start + EVENT_VOUCHERS_MAX]
            store.update(session, "imprest", imprest_id, imprest_id=imprest_id)
            outbox.emit(
                session,
                events.ImprestVouchersValidated(
                    imprest_id,
                    part[0].agency_id,
                    part[0].currency,
                    tuple(events.Validated(one.imprest_voucher_id, one.budget_line_id, one.paid_minor) for one in part),
                    on,
                    store.imprest(session, imprest_id).version,
                ),
            )


def tag_of(voucher: Voucher, movement: Movement) -> Tag:
    """What ties a voucher's journal lines to its budget line."""
    return Tag(
        voucher.budget_line_id,
        voucher.fund_code,
        voucher.account_code,
        voucher.currency,
        voucher.document_line_id,
        movement.funds_movement_id,
    )


def _move(
    session: Session, vouchers: Sequence[Voucher], document: Document, *, on: date, person_id: UUID, undone: bool
) -> None:
    agency_id = vouchers[0].agency_id
    act = budget.begin(
        session,
        agency_id,
        document,
        effective_on=on,
        budget_line_ids={voucher.budget_line_id for voucher in vouchers},
        document_line_ids={voucher.document_line_id for voucher in vouchers},
    )
    tagged = []
    for voucher in vouchers:
        move = act.invalidate if undone else act.pay
        movement = move(Key(voucher.document_line_id, voucher.budget_line_id), voucher.paid_minor)
        tagged.append((tag_of(voucher, movement), voucher.paid_minor))
    posted = journals.post_validation(
        session,
        agency_id,
        tagged,
        on=on,
        source_kind=document.kind.value,
        source_id=document.document_id,
        person_id=person_id,
        undone=undone,
    )
    budget.settle(
        session,
        act,
        agency_id,
        effective_on=on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=posted.entry.journal_entry_id,
    )
