"""What nothing explains: suggestions for a person, and the person's word (domain rules §4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.finance.payables.domain import different_persons
from services.finance.treasury import account_store, bank_rules, events, pack, payment_facts, rows
from services.finance.treasury import answer_store as store
from services.finance.treasury.bank_rules import Booked, Outcome, Suggestion

# Orders that are looked at for one page of entries, the newest ones.
_ORDERS_MAX = 2_000


def suggestions(session: Session, entries: Sequence[Row[Any]]) -> dict[UUID, list[Suggestion]]:
    """For each entry the orders that it may belong to. The entries are of one page."""
    found: dict[UUID, list[Suggestion]] = {}
    groups: dict[tuple[UUID, str], list[Row[Any]]] = {}
    for entry in entries:
        groups.setdefault((entry.agency_id, entry.currency), []).append(entry)
    for (agency_id, currency), group in groups.items():
        tolerances = {entry.bank_entry_id: pack.tolerance(currency, entry.booked_on) for entry in group}
        ranges = [
            (entry.amount_minor - tolerances[entry.bank_entry_id].amount,
             entry.amount_minor + tolerances[entry.bank_entry_id].amount)
            for entry in group
        ]  # fmt: skip
        orders = store.possible_orders(session, agency_id, currency, ranges, limit=_ORDERS_MAX)
        for entry in group:
            found[entry.bank_entry_id] = bank_rules.suggest(
                debit=entry.direction == "DEBIT",
                amount=entry.amount_minor,
                on=entry.booked_on,
                text=entry.remittance,
                orders=orders,
                tolerance=tolerances[entry.bank_entry_id],
            )
    return found


def match(
    session: Session, bank_entry_id: UUID, payment_order_id: UUID, *, explanation: str, person_id: UUID, at: datetime
) -> None:
    """A person says that an entry is a payment's debit or return; what follows is the same as for a named one."""
    row = rows.get(session, "bank_entry", bank_entry_id, lock=True)
    if row.status != "UNMATCHED":
        raise bank_rules.EntryNotMatchable(
            f"bank entry {bank_entry_id} is {row.status} with payment order {row.payment_order_id}",
            metadata={"status": row.status, "payment_order_id": str(row.payment_order_id or "")},
        )
    payment = payment_facts.of_order(session, payment_order_id)
    if payment is None or payment.order.treasury_agency_id != row.agency_id:
        raise NotFound.resource("payment order of this treasury", payment_order_id)
    different_persons(
        person_id,
        {f"issued payment order {payment.order.order_number}": payment.order.issued_by_person_id},
        "match its bank entry",
    )
    entry = _booked(row)
    decision = payment_facts.decide_entry(session, payment, entry, by_hand=True)
    if decision.outcome not in (Outcome.DEBITED, Outcome.RETURNED, Outcome.CONFIRMED):
        raise bank_rules.EntryNotMatchable(
            f"payment order {payment.order.order_number}: {decision.explanation}",
            metadata={"outcome": decision.outcome.value, "payment_order_id": str(payment_order_id)},
        )
    account = rows.get(session, "bank_account", row.bank_account_id)
    cash = account_store.cash(session, account, entry.value_on)
    effect = payment_facts.carry_out(
        session,
        payment,
        entry,
        decision.outcome,
        cash=cash,
        person_id=person_id,
        at=at,
    )
    if effect.journal_entry_id is None:
        raise bank_rules.EntryNotMatchable(
            f"payment order {payment.order.order_number} moved through another cash account than {cash.code}",
            metadata={"account_code": cash.code},
        )
    rows.update(
        session,
        "bank_entry",
        bank_entry_id,
        status="MATCHED",
        outcome=decision.outcome.value,
        explanation=decision.explanation,
        payment_order_id=payment_order_id,
        payment_return_id=effect.payment_return_id,
        journal_entry_id=effect.journal_entry_id,
        matched_by_person_id=person_id,
        match_explanation=explanation,
    )
    outbox.emit(session, events.EntryMatched(bank_entry_id, row.agency_id, payment_order_id, row.version + 1))


def _booked(row: Row[Any]) -> Booked:
    return Booked(
        key=row.entry_key,
        debit=row.direction == "DEBIT",
        amount=row.amount_minor,
        currency=row.currency,
        booked_on=row.booked_on,
        value_on=row.value_on,
        bank_reference=row.bank_reference,
        end_to_end_id=row.end_to_end_id,
        instruction_reference="",
        remittance=row.remittance,
        reason="",
    )
