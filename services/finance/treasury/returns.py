"""Money that came back after its debit (retur SP2D), ordered anew, and orders stopped before the bank had them.

Domain rules §2: a return is money that did leave, so the expenditure stays realised and the claim lives on in RTN;
re-issue moves RTN to TRANSIT and the bank's debit TRANSIT to cash. No funds move in any of it, so the budget line
cannot be charged twice. What left an account in a foreign currency comes back in it: each step is at the rate of its
day, and the month's revaluation shows the difference in the treasury's books (IPSAS 4).
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
from chassis.money import Money
from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables import journals, payment_order
from services.finance.payables.domain import OutOfTurn
from services.finance.treasury import answer_store as store
from services.finance.treasury import domain, events, rows, run_store, runs

SOURCE_KIND = "PAYMENT_RETURN"


@dataclass(frozen=True)
class BankReturn:
    """What the bank says of money that came back."""

    bank_reference: str
    explanation: str
    returned_on: date


def record(
    session: Session,
    order: Row[Any],
    said: BankReturn,
    *,
    instruction: Row[Any] | None,
    account_code: str,
    person_id: UUID,
    at: datetime,
) -> UUID:
    """T Dr CASH / Cr RTN. `order` is locked and debited; `instruction` is the payment that came back, if in a run."""
    if order.value_date is not None and said.returned_on < order.value_date:
        raise InvalidArgument.field("returned_on", f"before the debit of {order.value_date}")
    if any(row.bank_reference == said.bank_reference for row in store.returns_of(session, order.payment_order_id)):
        raise domain.ReturnNotPossible(
            f"payment order {order.order_number} came back under the bank's reference {said.bank_reference} before; "
            "clear up with the bank what this one is",
            metadata={"bank_reference": said.bank_reference},
        )
    return_id, amount = new_id(), left(session, order)
    entry_id = _post(
        session,
        order,
        return_id,
        amount,
        debit=account_code,
        credit=mapping.account_for(session, "RTN", on=said.returned_on),
        on=said.returned_on,
        what="returned by the bank",
        person_id=person_id,
    )
    rows.insert(
        session,
        "payment_return",
        {
            "payment_return_id": return_id,
            "agency_id": order.treasury_agency_id,
            "paying_agency_id": order.agency_id,
            "payment_order_id": order.payment_order_id,
            "returned_instruction_id": instruction.payment_instruction_id if instruction is not None else None,
            "order_number": order.order_number,
            "currency": amount.currency,
            "amount_minor": amount.minor,
            "returned_on": said.returned_on,
            "explanation": said.explanation,
            "bank_reference": said.bank_reference,
            "status": "RETURNED",
            "account_code": account_code,
            "recorded_by_person_id": person_id,
            "recorded_at": at,
            "return_entry_id": entry_id,
            "version": 1,
        },
    )
    if instruction is not None:
        rows.update(
            session,
            "payment_instruction",
            instruction.payment_instruction_id,
            status="RETURNED",
            live=False,
            bank_reference=said.bank_reference,
        )
    row = rows.get(session, "payment_return", return_id)
    outbox.emit(session, events.PaymentReturned(_returned(row, said.returned_on), said.explanation))
    return return_id


def record_by_hand(
    session: Session, payment_order_id: UUID, said: BankReturn, amount: Money, *, person_id: UUID, at: datetime
) -> UUID:
    """A return told outside the bank's files; the same reference again changes nothing."""
    order = store.lock_order(session, payment_order_id)
    if order is None:
        raise NotFound.resource("payment order", payment_order_id)
    past = store.returns_of(session, payment_order_id)
    for row in past:
        if row.bank_reference == said.bank_reference:
            return UUID(str(row.payment_return_id))
    net = left(session, order)
    if order.status != "DEBITED" or (past and past[-1].status != "PAID"):
        stands = f"{past[-1].status} since {past[-1].returned_on}" if past else order.status
        raise domain.ReturnNotPossible(
            f"payment order {order.order_number or payment_order_id} is {stands}; only a debited payment comes back",
            metadata={"status": stands.partition(" ")[0]},
        )
    if amount != net:
        raise domain.ReturnNotPossible(
            f"payment order {order.order_number} paid {net}, {amount} came back; clear a part up with the bank first",
            metadata={"net": str(net), "returned": str(amount)},
        )
    instruction = store.last_instruction(session, payment_order_id)
    if instruction is not None and instruction.status == "CANCELLED":
        instruction = None
    account_code = (
        store.cash_account_of(session, instruction.payment_instruction_id, said.returned_on)
        if instruction is not None
        else None
    )
    return record(
        session,
        order,
        said,
        instruction=instruction,
        account_code=account_code or mapping.account_for(session, "CASH", on=said.returned_on),
        person_id=person_id,
        at=at,
    )


def reissue(
    session: Session, payment_return_id: UUID, *, payee_account_id: UUID, reissued_on: date, person_id: UUID
) -> None:
    """T Dr RTN / Cr TRANSIT: order a returned payment anew, to an account of the same creditor that holds."""
    row = rows.get(session, "payment_return", payment_return_id, lock=True)
    if row.status != "RETURNED":
        raise OutOfTurn(
            f"the return of payment order {row.order_number} is {row.status}; only a RETURNED one can be ordered anew",
            metadata={"status": row.status, "needed": "RETURNED"},
        )
    if reissued_on < row.returned_on:
        raise InvalidArgument.field("reissued_on", f"before the return of {row.returned_on}")
    order = _order(session, row)
    account = rows.get(session, "payee_account", payee_account_id)
    if (
        not runs.holds(account, reissued_on)
        or account.agency_id != row.paying_agency_id
        or account.currency != row.currency
        or [account.creditor] != store.creditors(session, row.payment_order_id)
    ):
        raise domain.PayeeAccountInvalid(
            f"payee account {payee_account_id} is no approved account of the creditor of payment order "
            f"{row.order_number} that holds on {reissued_on}",
            metadata={"payee_account_id": str(payee_account_id), "payment_order_id": str(row.payment_order_id)},
        )
    entry_id = _post(
        session,
        order,
        payment_return_id,
        Money(row.amount_minor, row.currency),
        debit=mapping.account_for(session, "RTN", on=reissued_on),
        credit=mapping.account_for(session, "TRANSIT", on=reissued_on),
        on=reissued_on,
        what="ordered anew",
        person_id=person_id,
    )
    rows.update(
        session,
        "payment_return",
        payment_return_id,
        status="REISSUED",
        payee_account_id=payee_account_id,
        reissued_by_person_id=person_id,
        reissued_on=reissued_on,
        reissue_entry_id=entry_id,
    )
    outbox.emit(
        session, events.PaymentReissued(_returned(rows.get(session, "payment_return", payment_return_id), reissued_on))
    )


def record_debit(
    session: Session, payment_return_id: UUID, *, account_code: str, value_date: date, person_id: UUID
) -> UUID:
    """T Dr TRANSIT / Cr CASH: the bank debited a re-issued payment. The entry of the books."""
    row = rows.get(session, "payment_return", payment_return_id, lock=True)
    if value_date < row.reissued_on:
        raise InvalidArgument.field("value_date", f"before the new order of {row.reissued_on}")
    order = _order(session, row)
    entry_id = _post(
        session,
        order,
        payment_return_id,
        Money(row.amount_minor, row.currency),
        debit=mapping.account_for(session, "TRANSIT", on=value_date),
        credit=account_code,
        on=value_date,
        what="ordered anew and debited",
        person_id=person_id,
    )
    rows.update(
        session, "payment_return", payment_return_id, status="PAID", debit_entry_id=entry_id, paid_on=value_date
    )
    outbox.emit(
        session,
        events.ReissuedPaymentMade(_returned(rows.get(session, "payment_return", payment_return_id), value_date)),
    )
    return entry_id


def reject_reissue(
    session: Session, payment_return_id: UUID, *, explanation: str, rejected_on: date, person_id: UUID
) -> None:
    """T Dr TRANSIT / Cr RTN: the bank rejected a re-issue before its debit; the claim is open again."""
    row = rows.get(session, "payment_return", payment_return_id, lock=True)
    if rejected_on < row.reissued_on:
        raise InvalidArgument.field("rejected_on", f"before the new order of {row.reissued_on}")
    _post(
        session,
        _order(session, row),
        payment_return_id,
        Money(row.amount_minor, row.currency),
        debit=mapping.account_for(session, "TRANSIT", on=rejected_on),
        credit=mapping.account_for(session, "RTN", on=rejected_on),
        on=rejected_on,
        what="ordered anew and rejected",
        person_id=person_id,
    )
    rows.update(
        session, "payment_return", payment_return_id, status="RETURNED", payee_account_id=None, explanation=explanation
    )
    outbox.emit(
        session,
        events.PaymentReturned(
            _returned(rows.get(session, "payment_return", payment_return_id), rejected_on), explanation
        ),
    )


def stop(session: Session, payment_order_id: UUID, *, explanation: str, stopped_on: date, person_id: UUID) -> None:
    """Take back an order that the bank does not have: S -> E, its payables are open again, its number stays used.

    A run that holds it without a file loses it, and its approval with it.
    """
    held = run_store.live_instruction(session, payment_order_id)
    if held is not None:
        # Runs are locked before orders everywhere.
        run = rows.get(session, "payment_run", held.payment_run_id, lock=True)
        held = run_store.live_instruction(session, payment_order_id)
        if held is not None and held.payment_run_id == run.payment_run_id and held.status == "IN_RUN":
            _take_out(session, run, held, explanation=explanation, person_id=person_id)
    order = store.lock_order(session, payment_order_id)
    if order is None:
        raise NotFound.resource("payment order", payment_order_id)
    at_the_bank = run_store.live_instruction(session, payment_order_id)
    if at_the_bank is not None:
        raise domain.OrderAtTheBank(
            f"payment order {at_the_bank.order_number} went to the bank or into a run (payment run "
            f"{at_the_bank.payment_run_id}, {at_the_bank.status}): only the bank's answer ends it",
            metadata={"payment_run_id": str(at_the_bank.payment_run_id), "status": at_the_bank.status},
        )
    payment_order.reject(
        session,
        payment_order_id,
        bank_reference=f"STOP-{payment_order_id}",
        explanation=explanation,
        rejected_on=stopped_on,
        person_id=person_id,
        stopped=True,
    )


def _take_out(session: Session, run: Row[Any], held: Row[Any], *, explanation: str, person_id: UUID) -> None:
    rows.update(session, "payment_instruction", held.payment_instruction_id, status="CANCELLED", live=False)
    if run.instruction_count == 1:
        runs.give_up(session, run, explanation=f"its only order was stopped: {explanation}", person_id=person_id)
        return
    rows.update(
        session,
        "payment_run",
        run.payment_run_id,
        status="DRAFT",
        approved_by_person_id=None,
        approved_at=None,
        instruction_count=run.instruction_count - 1,
        total_minor=run.total_minor - held.amount_minor,
    )


# --- what the steps share ------------------------------------------------------------------------------------------


def _order(session: Session, row: Row[Any]) -> Row[Any]:
    order = store.lock_order(session, row.payment_order_id)
    if order is None:
        raise NotFound.resource("payment order", row.payment_order_id)
    return order


def left(session: Session, order: Row[Any]) -> Money:
    """What an order's payee gets; once the bank has debited it, what left the account, in the account's currency."""
    if (
        order.status == "DEBITED"
        and order.foreign_currency is not None
        and store.left_in(session, order, order.foreign_currency)
    ):
        return Money(order.foreign_minor, order.foreign_currency)
    return payment_order.paid(order)


def _post(
    session: Session,
    order: Row[Any],
    return_id: UUID,
    amount: Money,
    *,
    debit: str,
    credit: str,
    on: date,
    what: str,
    person_id: UUID,
) -> UUID:
    """One entry of the treasury over `amount`, shared over the funds of the order's net."""
    net = journals.net_by_fund(session, order.treasury_entry_id, journals.transit_account(session, order.issued_on))
    funds = sorted(net.items())
    weights = [share for _, share in funds]
    worth: list[int | None] = [None] * len(funds)
    if amount.currency != order.currency:
        rate, _ = rates.rate_on(session, currency=amount.currency, functional_currency=order.currency, on=on)
        worth = [one.minor for one in functional_amount(amount, rate.rate, order.currency).allocate(weights)]
    lines = []
    for (fund, _), share, own in zip(funds, amount.allocate(weights), worth, strict=True):
        lines += [
            Line(Basis.ACCRUAL, fund, debit, share.minor, 0, amount.currency, own),
            Line(Basis.ACCRUAL, fund, credit, 0, share.minor, amount.currency, own),
        ]
    posted = post_one(
        session,
        journals.entry(
            order.treasury_agency_id,
            on,
            f"Payment order {order.order_number} {what}",
            SOURCE_KIND,
            return_id,
            lines,
            person_id=person_id,
        ),
    )
    return posted.entry.journal_entry_id


def _returned(row: Row[Any], on: date) -> events.Returned:
    return events.Returned(
        row.payment_return_id,
        row.payment_order_id,
        row.paying_agency_id,
        row.order_number,
        row.currency,
        row.amount_minor,
        on,
        row.version,
    )
