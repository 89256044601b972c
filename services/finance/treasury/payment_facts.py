"""The payment that an answer of the bank speaks of: found, locked, and where it stands. And what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.money import Money
from services.finance.payables import payment_order
from services.finance.treasury import answer_store as store
from services.finance.treasury import bank_rules, pack, returns, rows
from services.finance.treasury.account_store import Cash
from services.finance.treasury.bank_rules import Booked, Decision, Outcome, PaymentState, Tolerance
from services.finance.treasury.returns import BankReturn

_OF_INSTRUCTION = {
    "IN_RUN": PaymentState.NOT_SENT,
    "CANCELLED": PaymentState.NOT_SENT,
    "SENT": PaymentState.OPEN,
    "ACCEPTED": PaymentState.OPEN,
    "DEBITED": PaymentState.DEBITED,
    "REJECTED": PaymentState.REJECTED,
    "RETURNED": PaymentState.RETURNED,
}


@dataclass(frozen=True)
class Payment:
    """One attempt at paying an order, its order locked. `instruction` is None for an order that was in no run."""

    order: Row[Any]
    instruction: Row[Any] | None
    # The re-issue that this attempt pays; None for a first payment.
    reissue: Row[Any] | None
    # The return of this very attempt, if it came back.
    came_back: Row[Any] | None
    state: PaymentState
    # What the payee gets; once debited, what left the account, in its currency.
    net: Money

    def is_paid_by(self, amount: Money, *, debit: bool, tolerance: Tolerance | None) -> bool:
        """Whether an entry of the bank may be this payment.

        Of one in a foreign currency that went in no run the bank's rate decides, within `tolerance` (None: a person has
        looked); one that went in a run left the account of the run, in its currency.
        """
        if amount == self.net:
            return True
        if not debit or not payment_order.at_another_rate(self.order, amount):
            return False
        if self.instruction is not None:
            return amount == Money(self.instruction.amount_minor, self.instruction.currency)
        return (
            amount.currency != self.order.currency
            or tolerance is None
            or tolerance.allows_rate(net=self.order.net_minor, left=amount.minor)
        )

    @property
    def reissue_id(self) -> UUID | None:
        """The return that this attempt pays anew."""
        return self.reissue.payment_return_id if self.reissue is not None else None


@dataclass(frozen=True)
class Effect:
    """What was done in the books: the twin of a bank's entry, and the return, when there is one."""

    journal_entry_id: UUID | None = None
    payment_return_id: UUID | None = None


def of_instruction(session: Session, instruction: Row[Any]) -> Payment | None:
    """The attempt that an instruction is; None when the caller does not see its order."""
    order = store.lock_order(session, instruction.payment_order_id)
    if order is None:
        return None
    # Read again under the lock: another answer may have come in between.
    instruction = rows.get(session, "payment_instruction", instruction.payment_instruction_id)
    past = store.returns_of(session, order.payment_order_id)
    reissue = _by_id(past, instruction.payment_return_id)
    came_back = next((row for row in past if row.returned_instruction_id == instruction.payment_instruction_id), None)
    if came_back is not None:
        state = PaymentState.RETURNED
    elif reissue is None:
        state = _first_payment(order, instruction, past)
    else:
        state = _OF_INSTRUCTION[instruction.status]
    return Payment(order, instruction, reissue, came_back, state, returns.left(session, order))


def of_order(session: Session, payment_order_id: UUID) -> Payment | None:
    """The newest attempt at an order; None when the caller does not see it."""
    order = store.lock_order(session, payment_order_id)
    if order is None:
        return None
    instruction = store.last_instruction(session, payment_order_id)
    if instruction is not None:
        return of_instruction(session, instruction)
    past = store.returns_of(session, payment_order_id)
    came_back = past[-1] if past else None
    state = PaymentState.RETURNED if came_back is not None else _of_order(order)
    return Payment(order, None, None, came_back, state, returns.left(session, order))


def _first_payment(order: Row[Any], instruction: Row[Any], past: Sequence[Row[Any]]) -> PaymentState:
    state = _of_order(order)
    if state is PaymentState.OPEN:
        return _OF_INSTRUCTION[instruction.status]
    return state


def _of_order(order: Row[Any]) -> PaymentState:
    if order.status == "DEBITED":
        return PaymentState.DEBITED
    if order.status in ("REJECTED", "STOPPED"):
        return PaymentState.REJECTED
    return PaymentState.OPEN


def _by_id(past: Sequence[Row[Any]], payment_return_id: UUID | None) -> Row[Any] | None:
    return next((row for row in past if row.payment_return_id == payment_return_id), None)


# --- effects -------------------------------------------------------------------------------------------------------


def decide_entry(session: Session, payment: Payment, entry: Booked, *, by_hand: bool = False) -> Decision:
    """What an entry that names a payment means, or one of which a person says so."""
    tolerance = None if by_hand else pack.tolerance(entry.currency, entry.booked_on)
    if not payment.is_paid_by(Money(entry.amount, entry.currency), debit=entry.debit, tolerance=tolerance):
        return Decision(
            Outcome.UNMATCHED,
            f"payment order {payment.order.order_number} pays {payment.net}, the entry is "
            f"{Money(entry.amount, entry.currency)}",
        )
    order_id = payment.order.payment_order_id
    came_back_id = payment.came_back.payment_return_id if payment.came_back is not None else None
    return bank_rules.decide_entry(
        debit=entry.debit,
        state=payment.state,
        debit_seen=store.matched_entry_exists(session, order_id, payment.reissue_id, direction="DEBIT"),
        return_seen=came_back_id is not None
        and store.matched_entry_exists(session, order_id, came_back_id, direction="CREDIT"),
    )


def carry_out(
    session: Session,
    payment: Payment,
    entry: Booked,
    outcome: Outcome,
    *,
    cash: Cash,
    person_id: UUID,
    at: datetime,
) -> Effect:
    """Take a booked entry into the books: a debit, a return, or the confirmation of what they have."""
    order = payment.order
    if outcome is Outcome.DEBITED:
        return _debit(session, payment, entry, cash=cash, person_id=person_id)
    if outcome is Outcome.RETURNED:
        said = BankReturn(entry.bank_reference or entry.key, entry.reason or "returned by the bank", entry.value_on)
        return_id = returns.record(
            session,
            order,
            said,
            instruction=payment.instruction,
            account_code=cash.code,
            person_id=person_id,
            at=at,
        )
        return Effect(rows.get(session, "payment_return", return_id).return_entry_id, return_id)
    if entry.debit:
        source_id = payment.reissue_id or order.payment_order_id
        entry_id = store.cash_entry(
            session, order.treasury_agency_id, source_id, cash.codes, signed_minor=-entry.amount
        )
        _settle(session, payment, entry)
        return Effect(entry_id, payment.reissue_id)
    assert payment.came_back is not None, "a return is confirmed only when the books have it"
    return_id = payment.came_back.payment_return_id
    entry_id = store.cash_entry(session, order.treasury_agency_id, return_id, cash.codes, signed_minor=entry.amount)
    return Effect(entry_id, return_id)


def _debit(session: Session, payment: Payment, entry: Booked, *, cash: Cash, person_id: UUID) -> Effect:
    order = payment.order
    if payment.reissue is not None:
        entry_id: UUID | None = returns.record_debit(
            session,
            payment.reissue.payment_return_id,
            account_code=cash.code,
            value_date=entry.value_on,
            person_id=person_id,
        )
    else:
        payment_order.record_debit(
            session,
            order.payment_order_id,
            bank_reference=(entry.bank_reference or entry.key)[:100],
            value_date=entry.value_on,
            amount=Money(entry.amount, entry.currency),
            person_id=person_id,
            cash_account=cash.code,
        )
        entry_id = store.cash_entry(
            session, order.treasury_agency_id, order.payment_order_id, cash.codes, signed_minor=-entry.amount
        )
    _settle(session, payment, entry)
    return Effect(entry_id, payment.reissue_id)


def _settle(session: Session, payment: Payment, entry: Booked) -> None:
    """Write at the instruction that the bank debited it, whoever told the books."""
    instruction = payment.instruction
    if instruction is not None and instruction.status in ("IN_RUN", "SENT", "ACCEPTED"):
        rows.update(
            session,
            "payment_instruction",
            instruction.payment_instruction_id,
            status="DEBITED",
            live=False,
            bank_reference=entry.bank_reference or entry.key,
        )


def reject(
    session: Session, payment: Payment, *, bank_reference: str, explanation: str, rejected_on: date, person_id: UUID
) -> None:
    """Take a rejection before the debit into the books."""
    if payment.reissue is not None:
        returns.reject_reissue(
            session,
            payment.reissue.payment_return_id,
            explanation=explanation,
            rejected_on=rejected_on,
            person_id=person_id,
        )
    else:
        payment_order.reject(
            session,
            payment.order.payment_order_id,
            bank_reference=bank_reference,
            explanation=explanation,
            rejected_on=rejected_on,
            person_id=person_id,
        )
    if payment.instruction is not None:
        rows.update(
            session,
            "payment_instruction",
            payment.instruction.payment_instruction_id,
            status="REJECTED",
            live=False,
            bank_reference=bank_reference,
        )
