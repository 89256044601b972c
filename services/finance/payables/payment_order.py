"""The payment order (SP2D): issued on an authorised request, then debited or rejected by the bank.

Domain rules §2 and §4. The bank's answer is a fact and not a command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.ids import new_id
from chassis.money import Money, total
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, Key, Movement
from services.finance.budget.foreign import covering
from services.finance.budget.movements import FundsAct
from services.finance.classification.pack import fiscal_calendar
from services.finance.imprest import replenishing
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables import (
    advances,
    domain,
    events,
    invoice_store,
    journals,
    number_store,
    pack,
    payment,
    statements,
    withholding,
)
from services.finance.payables import payment_store as store
from services.finance.payables.clocks import usecases as clocks
from services.finance.payables.clocks.domain import Outcome
from services.finance.payables.domain import OutOfTurn, Source
from services.finance.payables.exchange import revalue_ordered
from services.finance.payables.journals import Owed, Tag
from services.finance.payables.payment_store import Cash, PayablePart
from services.finance.payables.penalties import keeping
from services.finance.payables.penalties import store as penalty_store
from services.finance.payables.remittances import remitting
from services.finance.payables.slips import usecases as slips


class OrderUnnumbered(OutOfTurn):
    """The order waits for its number; the bank cannot have had it."""

    reason = "PAYMENT_ORDER_UNNUMBERED"


class DebitAmountMismatch(FailedPrecondition):
    """The bank debited another amount than the order's net."""

    reason = "DEBIT_AMOUNT_MISMATCH"


class BankContradiction(FailedPrecondition):
    """The bank said something else of this order before."""

    reason = "BANK_CONTRADICTION"


def issue(
    session: Session,
    payment_request_id: UUID,
    *,
    treasury_agency_id: UUID,
    issued_on: date,
    person_id: UUID,
    at: datetime,
) -> UUID:
    """SP2D: E -> S gross, taxes withheld by the day's rates, penalties kept, two entries; UNNUMBERED until numbered."""
    row = payment.in_status(session, payment_request_id, "AUTHORISED", "ordered")
    domain.different_persons(person_id, payment.people(session, row), "issue its payment order")
    statements.check_order(payment.label(row), row.statement_sha256, statements.needed(issued_on))
    payable_ids = store.request_payables(session, [payment_request_id])[payment_request_id]
    store.lock_payables(session, payable_ids)
    parts, cash = store.parts(session, payable_ids), store.cash(session, payable_ids)
    withheld = withholding.of_payables(session, payable_ids, parts, row.currency, issued_on)
    gross = total([*(part.amount_minor for part in parts), *(one.amount_minor for one in cash)])
    kept = keeping.of_order(session, payable_ids, parts, withheld, on=issued_on)
    net = gross - sum(withheld.values()) - kept.amount
    if net < 0:
        raise FailedPrecondition(
            f"{Money(sum(withheld.values()), row.currency)} would be withheld of {Money(gross, row.currency)}; "
            "check the withholding rates of the country pack"
        )
    order_id = new_id()
    act = _act(session, row, order_id, payment.label(row), parts, issued_on)
    covering.refuse_uncovered(session, act.lines.values())
    advances.bring_to_order(act, parts)
    moved = [_ordering(act, part)(_key(part), part.amount_minor, *_foreign(part)) for part in parts]
    covering.cover(session, act, row.agency_id, on=issued_on, person_id=person_id)
    budget.check(session, act)
    entries = journals.post_order(
        session,
        agency_id=row.agency_id,
        treasury_agency_id=treasury_agency_id,
        payment_order_id=order_id,
        issued_on=issued_on,
        parts=_owed(parts, moved),
        cash=[(_role(one), one.fund_code, one.amount_minor) for one in cash],
        currency=row.currency,
        withheld=withheld,
        penalties=kept.by_fund,
        person_id=person_id,
    )
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=issued_on,
        person_id=person_id,
        accounting_on=entries.agency.accounting_on,
        journal_entry_id=entries.agency.entry.journal_entry_id,
    )
    budget.tell_revalued(session, act, row.agency_id)
    store.insert(
        session,
        "payment_order",
        {
            "payment_order_id": order_id,
            "agency_id": row.agency_id,
            "treasury_agency_id": treasury_agency_id,
            "payment_request_id": payment_request_id,
            "status": "UNNUMBERED",
            "currency": row.currency,
            "gross_minor": gross,
            "net_minor": net,
            "issued_on": issued_on,
            "issued_by_person_id": person_id,
            "issued_at": at,
            "agency_entry_id": entries.agency.entry.journal_entry_id,
            "treasury_entry_id": entries.treasury.entry.journal_entry_id,
            "version": 1,
            **_to_pay(parts, sum(withheld.values()), kept.foreign_minor),
        },
    )
    store.insert_items(session, order_id, row.agency_id, parts, cash, withheld)
    penalty_store.keep(session, order_id, row.agency_id, kept.by_penalty)
    replenishing.validate(session, payable_ids, order_id, on=issued_on, person_id=person_id)
    store.move_payables(session, payable_ids, "ORDERED", payment_request_id)
    store.update_request(session, payment_request_id, status="ORDERED", payment_order_id=order_id)
    clocks.end(session, payment_request_id, Outcome.DONE, on=at.date())
    number_store.enqueue(
        session,
        "PAYMENT_ORDER",
        entity_id=treasury_agency_id,
        year=fiscal_calendar().year_of(issued_on),
        document_id=order_id,
        paper_agency_id=row.agency_id,
    )
    return order_id


def record_debit(
    session: Session,
    payment_order_id: UUID,
    *,
    bank_reference: str,
    value_date: date,
    amount: Money,
    person_id: UUID,
    cash_account: str | None = None,
) -> None:
    """S -> P; cash leaves (`cash_account`, or the mapped one), the budget is realised gross.

    The same reference again changes nothing. Of an order in a foreign currency, which is at what the debt stood at,
    the amount that really left counts: the difference goes to FXD, and from or to available.
    """
    row = store.order(session, payment_order_id, lock=True)
    if row.status == "DEBITED" and row.bank_reference == bank_reference:
        return
    _refuse_if_not_at_the_bank(row, "debited")
    left = _left(session, row, amount, value_date)
    if left is None:
        raise DebitAmountMismatch(
            f"payment order {row.order_number} pays {Money(row.net_minor, row.currency)}, the bank debited {amount}; "
            "clear it up with the bank first",
            metadata={"net": str(Money(row.net_minor, row.currency)), "debited": str(amount)},
        )
    if value_date < row.issued_on:
        raise InvalidArgument.field("value_date", f"before the order of {row.issued_on}")
    payable_ids, parts = _order_parts(session, row)
    act = _act(session, row, payment_order_id, row.order_number, parts, value_date)
    net = journals.net_by_fund(session, row.treasury_entry_id, journals.transit_account(session, row.issued_on))
    differences = revalue_ordered(act, parts, left.minor - row.net_minor, net)
    paid = [replace(part, amount_minor=part.amount_minor + one) for part, one in zip(parts, differences, strict=True)]
    moved = [_paying(act, part)(_key(part), part.amount_minor, *_foreign(part)) for part in paid]
    budget.cover(session, act, row.agency_id, on=value_date, person_id=person_id)
    budget.check(session, act)
    by_fund: dict[str, int] = {}
    for part, one in zip(parts, differences, strict=True):
        by_fund[part.fund_code] = by_fund.get(part.fund_code, 0) + one
    owed = _owed(paid, moved)
    posted = journals.post_debit(
        session,
        agency_id=row.agency_id,
        treasury_agency_id=row.treasury_agency_id,
        payment_order_id=payment_order_id,
        order_number=row.order_number,
        value_date=value_date,
        parts=owed,
        currency=row.currency,
        differences=by_fund,
        advanced=advances.bearing(owed, differences),
        foreign_cash=amount if amount.currency != row.currency else None,
        net_by_fund=net,
        person_id=person_id,
        cash_account=cash_account,
    )
    if posted is not None:
        budget.settle(
            session,
            act,
            row.agency_id,
            effective_on=value_date,
            person_id=person_id,
            accounting_on=posted.accounting_on,
            journal_entry_id=posted.entry.journal_entry_id,
        )
    keeping.realise(session, row, value_date=value_date, person_id=person_id)
    advances.keep(session, paid, differences)
    store.move_payables(session, payable_ids, "PAID", row.payment_request_id)
    invoice_store.mark_paid(session, [p.source_document_id for p in parts if p.source is Source.INVOICE])
    store.update_order(
        session,
        payment_order_id,
        status="DEBITED",
        bank_reference=bank_reference,
        value_date=value_date,
        bank_recorded_by_person_id=person_id,
        **({} if row.foreign_currency is None else {"debited_minor": left.minor}),
    )
    budget.tell_revalued(session, act, row.agency_id)
    slips.write(session, row, withheld_on=value_date)
    remitting.remitted(session, payable_ids, payment_order_id, on=value_date)
    outbox.emit(
        session,
        events.PaymentMade(
            payment_order_id,
            row.agency_id,
            row.order_number,
            row.currency,
            value_date,
            tuple(store.order_items(session, [payment_order_id])[payment_order_id]),
            row.version + 1,
        ),
    )


def reject(
    session: Session,
    payment_order_id: UUID,
    *,
    bank_reference: str,
    explanation: str,
    rejected_on: date,
    person_id: UUID,
    stopped: bool = False,
) -> None:
    """S -> E; the order's journal is mirrored, the payables are open again, the number stays used.

    `stopped`: the treasury itself took the order back before the bank had it.
    """
    what = "stopped by the treasury" if stopped else "rejected by the bank"
    row = store.order(session, payment_order_id, lock=True)
    if row.status == "REJECTED" and row.bank_reference == bank_reference:
        return
    _refuse_if_not_at_the_bank(row, "stopped" if stopped else "rejected")
    if rejected_on < row.issued_on:
        raise InvalidArgument.field("rejected_on", f"before the order of {row.issued_on}")
    request = store.request(session, row.payment_request_id, lock=True)
    payable_ids, parts = _order_parts(session, row)
    act = _act(session, row, payment_order_id, row.order_number, parts, rejected_on)
    for part in parts:
        _rejecting(act, part)(_key(part), part.amount_minor, *_foreign(part))
    posted = journals.post_reversal(
        session,
        # An agency that is its own treasury has one entry.
        entry_ids=list(dict.fromkeys((row.agency_entry_id, row.treasury_entry_id))),
        rejected_on=rejected_on,
        description=f"Payment order {row.order_number} {what}",
        person_id=person_id,
    )
    replenishing.invalidate(
        session, payable_ids, payment_order_id, row.order_number, on=rejected_on, person_id=person_id
    )
    budget.settle(
        session,
        act,
        row.agency_id,
        effective_on=rejected_on,
        person_id=person_id,
        accounting_on=posted[0].accounting_on,
        journal_entry_id=posted[0].entry.journal_entry_id,
    )
    store.update_order(
        session,
        payment_order_id,
        status="STOPPED" if stopped else "REJECTED",
        bank_reference=bank_reference,
        rejection_explanation=explanation,
        bank_recorded_by_person_id=person_id,
    )
    payment.free(session, request, explanation=f"{what}: {explanation}", person_id=person_id)
    outbox.emit(
        session,
        events.PaymentRejected(
            payment_order_id,
            row.agency_id,
            row.order_number,
            row.currency,
            explanation,
            tuple(store.order_items(session, [payment_order_id])[payment_order_id]),
            row.version + 1,
        ),
    )


# --- what the steps share ------------------------------------------------------------------------------------------


def _order_parts(session: Session, order: Row[Any]) -> tuple[list[UUID], list[PayablePart]]:
    payable_ids = store.request_payables(session, [order.payment_request_id])[order.payment_request_id]
    store.lock_payables(session, payable_ids)
    return payable_ids, store.parts(session, payable_ids)


def _act(
    session: Session,
    row: Row[Any],
    order_id: UUID,
    number: str,
    parts: Sequence[PayablePart],
    effective_on: date,
) -> FundsAct:
    return budget.begin(
        session,
        row.agency_id,
        Document(DocumentKind.PAYMENT_ORDER, order_id, number),
        effective_on=effective_on,
        budget_line_ids={part.budget_line_id for part in parts},
        document_line_ids={part.document_line_id for part in parts},
    )


def _role(cash: Cash) -> str:
    """The account role that the order debits for what moves no budget line."""
    return cash.source.role if cash.withholding_code is None else pack.withholding_role(cash.withholding_code)


def _key(part: PayablePart) -> Key:
    return Key(part.document_line_id, part.budget_line_id)


def _foreign(part: PayablePart) -> tuple[int, ...]:
    """The amount in the creditor's own currency, for acts on funds that are held in it."""
    return () if part.foreign_minor is None else (part.foreign_minor,)


def _to_pay(parts: Sequence[PayablePart], withheld: int, penalties: int) -> dict[str, Any]:
    """What an order pays in the creditor's own currency: what is withheld is kept back at the order's own rate."""
    abroad = keeping.net_abroad(parts, withheld)
    if abroad is None:
        return {}
    return {"foreign_currency": abroad.currency, "foreign_minor": abroad.minor - penalties}


def paid(row: Row[Any]) -> Money:
    """What an order costs in the currency of the books: its net, or what really left for it once it was debited."""
    return Money(row.net_minor if row.debited_minor is None else row.debited_minor, row.currency)


def at_another_rate(row: Row[Any], amount: Money) -> bool:
    """Whether a debit may be what the bank's rate made of a payment in a foreign currency: from an account in the
    currency of the books any amount, from one in the creditor's what he gets."""
    if row.foreign_currency is None or row.status != "ISSUED":
        return False
    own = Money(row.foreign_minor, row.foreign_currency)
    return amount == own or (amount.currency == row.currency and amount.minor > 0)


def _left(session: Session, row: Row[Any], amount: Money, value_date: date) -> Money | None:
    """What a debit is in the currency of the books; None when it is not this order's.

    Money that left an account in the creditor's own currency is worth what the rate of the day says.
    """
    if amount == Money(row.net_minor, row.currency):
        return amount
    if not at_another_rate(row, amount):
        return None
    if amount.currency == row.currency:
        return amount
    rate, _ = rates.rate_on(session, currency=amount.currency, functional_currency=row.currency, on=value_date)
    return functional_amount(amount, rate.rate, row.currency)


def _ordering(act: FundsAct, part: PayablePart) -> Callable[..., Movement]:
    return act.order_prepayment if part.source is Source.PREPAYMENT else act.order


def _paying(act: FundsAct, part: PayablePart) -> Callable[..., Movement]:
    return act.pay_prepayment if part.source is Source.PREPAYMENT else act.pay


def _rejecting(act: FundsAct, part: PayablePart) -> Callable[..., Movement]:
    return act.reject_prepayment if part.source is Source.PREPAYMENT else act.reject


def _owed(parts: Sequence[PayablePart], moved: Sequence[Movement]) -> list[Owed]:
    return [
        Owed(
            Tag(
                part.budget_line_id,
                part.fund_code,
                part.account_code,
                part.currency,
                part.document_line_id,
                movement.funds_movement_id,
            ),
            part.source,
            part.amount_minor,
            # An advance is non-monetary: the prepayment account keeps the amount of the books alone.
            None if part.source is Source.PREPAYMENT else part.foreign,
        )
        for part, movement in zip(parts, moved, strict=True)
    ]


def _refuse_if_not_at_the_bank(row: Row[Any], becomes: str) -> None:
    if row.status == "UNNUMBERED":
        raise OrderUnnumbered(
            f"payment order {row.payment_order_id} has no number yet, so the bank cannot have {becomes} it; "
            "try again in some seconds"
        )
    if row.status != "ISSUED":
        advice = (
            "money that comes back after a debit is a return, recorded as such"
            if row.status == "DEBITED"
            else "what is owed needs a new payment request"
        )
        raise BankContradiction(
            f"payment order {row.order_number} is {row.status} (bank reference {row.bank_reference}) and cannot be "
            f"{becomes}: {advice}",
            metadata={"status": row.status, "bank_reference": str(row.bank_reference or "")},
        )
