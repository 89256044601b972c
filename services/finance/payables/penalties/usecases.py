"""Penalties for late delivery: assessed by one person, approved by another, before the payment is requested.

A penalty is in the currency in which its payable is owed. What is approved is kept when the payment is ordered
(keeping.py). Until the payment is requested it may be reduced or waived, with a reason, by somebody with the approver's
authority.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import InvalidArgument, NotFound
from chassis.ids import new_id
from chassis.money import Money, total
from services.finance.approval import usecases as approval
from services.finance.approval.domain import DocumentKind as RoutedKind
from services.finance.payables import domain as payables
from services.finance.payables import payment_store, withholding
from services.finance.payables.domain import OutOfTurn, Source
from services.finance.payables.payment_store import PayablePart
from services.finance.payables.penalties import domain, keeping, pack, store
from services.finance.payables.penalties.domain import Assessed, Base, Delivery, Rule
from services.finance.payables.penalties.events import (
    LateDeliveryPenaltyApproved,
    LateDeliveryPenaltyAssessed,
    LateDeliveryPenaltyReduced,
)


@dataclass(frozen=True)
class NewPenalty:
    """A late delivery to penalise: of which payable, by which base without VAT, from when to when."""

    agency_id: UUID
    payable_id: UUID
    base: Base
    base_amount: Money
    due_on: date
    delivered_on: date
    explanation: str


@dataclass(frozen=True)
class _Found:
    """A payable that may be penalised, with the penalty by the rule."""

    payable: Row[Any]
    parts: list[PayablePart]
    rule: Rule
    assessed: Assessed

    @property
    def currency(self) -> str:
        """The currency in which it is owed, and penalised."""
        return _currency(self.payable)


def check(session: Session, new: NewPenalty, *, on: date) -> tuple[Money, Assessed, Rule]:
    """What a penalty would come to, and how; refused for everything that an assessment is refused for."""
    payable = payment_store.payable(session, new.payable_id)
    _refuse_others(payable, new)
    found = _found(session, new, payable, on=on)
    return Money(found.assessed.amount, found.currency), found.assessed, found.rule


def create(session: Session, new: NewPenalty, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Propose the penalty of a late delivery, by the rule of the day that it was due; approval lets it be kept."""
    known = payment_store.payable(session, new.payable_id)
    _refuse_others(known, new)
    # Penalties on two payables of one contract are assessed one after the other, so that neither is within the other.
    store.lock_agreement(session, _agreement_id(known))
    (owed,) = payment_store.lock_payables(session, [new.payable_id])
    found = _found(session, new, owed, on=at.date())
    payable, assessed = found.payable, found.assessed
    penalty_id = new_id()
    store.insert(
        session,
        {
            "late_delivery_penalty_id": penalty_id,
            "agency_id": new.agency_id,
            "payable_id": new.payable_id,
            "agreement_id": _agreement_id(payable),
            "source_document_number": payable.source_document_number,
            "creditor": payable.creditor,
            "base": new.base.value,
            "base_minor": new.base_amount.minor,
            "currency": found.currency,
            "due_on": new.due_on,
            "delivered_on": new.delivered_on,
            "days_late": assessed.days,
            "daily_rate": str(found.rule.daily_rate),
            "legal_source": found.rule.legal_source,
            "assessed_minor": assessed.amount,
            "amount_minor": assessed.amount,
            "explanation": new.explanation,
            "status": "PROPOSED",
            "created_by_person_id": person_id,
            "created_at": at,
            "version": 1,
        },
    )
    approval.begin_on_lines(
        session,
        RoutedKind.LATE_DELIVERY_PENALTY,
        penalty_id,
        new.agency_id,
        amount=Money(assessed.amount, found.currency),
        budget_line_ids={part.budget_line_id for part in found.parts},
        maker_person_id=person_id,
        at=at,
    )
    made = store.get(session, penalty_id)
    outbox.emit(session, LateDeliveryPenaltyAssessed(made))
    return made


def approve(session: Session, late_delivery_penalty_id: UUID, *, person_id: UUID, at: datetime) -> Row[Any]:
    """Let it be kept; never by who assessed it, and only while the payment is not requested and still bears it."""
    payable, row = _locked(session, late_delivery_penalty_id, "PROPOSED", "approved")
    _apart(row, person_id, "approve it")
    approval.passed(session, late_delivery_penalty_id, _label(row), person_id=person_id, step="approve it")
    _refuse_requested(payable)
    _check_room(session, payable, payment_store.parts(session, [payable.payable_id]), 0, on=at.date())
    store.update(session, late_delivery_penalty_id, status="APPROVED", approved_by_person_id=person_id, approved_at=at)
    approved = store.get(session, late_delivery_penalty_id)
    outbox.emit(session, LateDeliveryPenaltyApproved(approved))
    return approved


def reduce(
    session: Session,
    late_delivery_penalty_id: UUID,
    *,
    left: Money,
    explanation: str,
    person_id: UUID,
    at: datetime,
) -> Row[Any]:
    """Take off an approved penalty, once, or waive it when nothing is left; never by who assessed it."""
    payable, row = _locked(session, late_delivery_penalty_id, "APPROVED", "reduced or waived")
    _apart(row, person_id, "reduce or waive it")
    approval.passed(session, late_delivery_penalty_id, _label(row), person_id=person_id, step="reduce or waive it")
    _refuse_requested(payable)
    if left.currency != row.currency:
        raise InvalidArgument.field("amount", f"in {left.currency}; the penalty is in {row.currency}")
    if left.minor < 0:
        raise InvalidArgument.field("amount", "below zero: say what is left of the penalty; nil waives it")
    domain.check_reduction(
        left.minor,
        now=row.amount_minor,
        reduced=row.reduced_by_person_id is not None,
        currency=row.currency,
    )
    store.update(
        session,
        late_delivery_penalty_id,
        status="APPROVED" if left.minor else "WAIVED",
        amount_minor=left.minor,
        reduced_by_person_id=person_id,
        reduced_at=at,
        reduction_explanation=explanation,
    )
    reduced = store.get(session, late_delivery_penalty_id)
    outbox.emit(session, LateDeliveryPenaltyReduced(reduced))
    return reduced


def reject(session: Session, late_delivery_penalty_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Refuse a proposal, never by who made it; its delivery may be assessed anew."""
    _, row = _locked(session, late_delivery_penalty_id, "PROPOSED", "rejected")
    _apart(row, person_id, "reject it")
    return _end(session, late_delivery_penalty_id, "REJECTED", explanation, person_id)


def recall(session: Session, late_delivery_penalty_id: UUID, *, explanation: str, person_id: UUID) -> Row[Any]:
    """Take a proposal back; its delivery may be assessed anew."""
    _locked(session, late_delivery_penalty_id, "PROPOSED", "recalled")
    return _end(session, late_delivery_penalty_id, "RECALLED", explanation, person_id)


# --- what the acts share -------------------------------------------------------------------------------------------


def _refuse_others(payable: Row[Any], new: NewPenalty) -> None:
    """A penalty is on an invoice or a bill of the agency."""
    if payable.agency_id != new.agency_id:
        raise NotFound.resource("payable of this agency", new.payable_id)
    if payable.source not in (Source.INVOICE.value, Source.BILL.value):
        raise domain.PenaltyNotAllowed(
            f"payable {payable.source_document_number} is of kind {payable.source}; a penalty is kept from an invoice "
            "or a bill for what was delivered late",
            metadata={"source": payable.source},
        )


def _found(session: Session, new: NewPenalty, payable: Row[Any], *, on: date) -> _Found:
    _refuse_requested(payable)
    currency = _currency(payable)
    if new.base_amount.currency != currency:
        raise InvalidArgument.field(
            "late_delivery_penalty.base_amount",
            f"in {new.base_amount.currency}; {payable.source_document_number} is owed in {currency}",
        )
    if new.base_amount.minor <= 0:
        raise InvalidArgument.field("late_delivery_penalty.base_amount", "above zero: the price without VAT")
    if new.delivered_on > on:
        raise InvalidArgument.field(
            "late_delivery_penalty.delivered_on",
            f"{new.delivered_on} is after today, {on}: a penalty is assessed once it was delivered",
        )
    rule = pack.rule(new.base, new.due_on)
    assessed = domain.assess(new.base_amount.minor, due_on=new.due_on, delivered_on=new.delivered_on, rule=rule)
    live = [
        Delivery(Base(row.base), row.base_minor, row.due_on, row.delivered_on)
        for row in store.live(session, [new.payable_id])
    ]
    domain.check_base(
        Delivery(new.base, new.base_amount.minor, new.due_on, new.delivered_on),
        live,
        price=_price(session, payable, new.base),
        currency=currency,
        number=payable.source_document_number,
    )
    elsewhere = store.elsewhere(session, _agreement_id(payable), new.due_on, new.payable_id)
    domain.check_agreement(
        new.base, {row.source_document_number: Base(row.base) for row in elsewhere}, due_on=new.due_on
    )
    parts = payment_store.parts(session, [new.payable_id])
    _check_room(session, payable, parts, assessed.amount, on=on)
    return _Found(payable, parts, rule, assessed)


def _currency(payable: Row[Any]) -> str:
    """What the creditor is owed in."""
    return str(payable.foreign_currency or payable.currency)


def _price(session: Session, payable: Row[Any], base: Base) -> int:
    """The price without VAT that a base cannot be above, in the currency in which it is owed.

    An advance on a contract was paid before its bill came, so what is late of a bill is within the contract, not within
    what the bill still asks.
    """
    if payable.source == Source.BILL.value:
        return store.contract_price(session, payable.contract_id)
    if base is Base.CONTRACT:
        return store.order_price(session, payable.purchase_order_id)
    return store.invoiced_price(session, payable.source_document_id)


def _check_room(session: Session, payable: Row[Any], parts: list[PayablePart], more: int, *, on: date) -> None:
    """Whether what is owed bears the live penalties and `more`, after what would be withheld on a day."""
    withheld = total(withholding.of_payables(session, [payable.payable_id], parts, payable.currency, on).values())
    abroad = keeping.net_abroad(parts, withheld)
    owed = payable.amount_minor if abroad is None else payable.foreign_minor
    domain.check_room(
        total(row.amount_minor for row in store.live(session, [payable.payable_id])) + more,
        owed=owed,
        withheld=withheld if abroad is None else owed - abroad.minor,
        currency=_currency(payable),
        number=payable.source_document_number,
    )


def _refuse_requested(payable: Row[Any]) -> None:
    if payable.status != "OPEN":
        raise domain.PenaltyPayableNotOpen(
            f"{payable.source_document_number} is {payable.status}: a penalty is decided before its payment is "
            "requested; withdraw the payment request first, if there is no payment order yet",
            metadata={"status": payable.status},
        )


def _agreement_id(payable: Row[Any]) -> UUID:
    found: UUID | None = payable.contract_id or payable.purchase_order_id
    assert found is not None, "an invoice has its purchase order, a bill its contract"
    return found


def _locked(session: Session, late_delivery_penalty_id: UUID, status: str, becomes: str) -> tuple[Row[Any], Row[Any]]:
    """The penalty's payable and the penalty, locked in this order; refused out of turn."""
    (payable,) = payment_store.lock_payables(session, [store.get(session, late_delivery_penalty_id).payable_id])
    row = store.get(session, late_delivery_penalty_id, lock=True)
    if row.status != status:
        raise OutOfTurn(
            f"{_label(row)} is {row.status}; only one that is {status} can be {becomes}",
            metadata={"status": row.status, "needed": status},
        )
    return payable, row


def _label(row: Row[Any]) -> str:
    return f"the penalty on {row.source_document_number} for the delivery due on {row.due_on}"


def _apart(row: Row[Any], person_id: UUID, step: str) -> None:
    payables.different_persons(person_id, {f"assessed {_label(row)}": row.created_by_person_id}, step)


def _end(session: Session, late_delivery_penalty_id: UUID, status: str, explanation: str, person_id: UUID) -> Row[Any]:
    store.update(
        session, late_delivery_penalty_id, status=status, ended_by_person_id=person_id, end_explanation=explanation
    )
    approval.recall(session, late_delivery_penalty_id)
    return store.get(session, late_delivery_penalty_id)
