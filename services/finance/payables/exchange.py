"""Debts in foreign currencies at a month's end: the ledger's revaluation, the funds that follow it, and the payables.

Domain rules §2: the liability is monetary, revalued at month end with Dr/Cr FXD, and E follows; the line bears the
difference. The order is at the carrying amount, so what a payment order has taken up is not revalued any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.ids import new_id
from chassis.money import Money, allocate, round_half_away
from services.finance.budget import usecases as budget
from services.finance.budget.buckets import Buckets
from services.finance.budget.domain import Document, DocumentKind, Key
from services.finance.budget.foreign.covering import cover
from services.finance.budget.movements import FundsAct
from services.finance.classification import mapping
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import Revaluation, Revalued, functional_amount
from services.finance.ledger.rates.usecases import MonthEnd
from services.finance.payables import exchange_store as store
from services.finance.payables.credit_notes import store as credit_store
from services.finance.payables.domain import Source
from services.finance.payables.payment_store import PayablePart


@dataclass(frozen=True)
class InBooks:
    """A claim in the currency of the books: what it clears of received-not-invoiced, what is new, tax and rounding."""

    cleared: int
    variance: int
    tax: int
    rounding: int
    # Whether the claim itself is in another currency.
    foreign: bool
    # What the goods that it clears were recorded at, which no month's end changes.
    cleared_cost: int

    @property
    def claim(self) -> int:
        """The whole claim."""
        return self.cleared + self.variance


def in_books(
    act: FundsAct, order_row: Row[Any], *, taken: int, claim: int, tax: int, rounding: int, currency: str
) -> InBooks:
    """What a claim of an order line in the order's currency is in the books.

    What it clears stands at what received-not-invoiced stands at, so an invoice at the order's price makes no
    difference; a difference in price is new and at the rate of the act's day.
    """
    if order_row.foreign_currency is None:
        return InBooks(taken, claim - taken, tax, rounding, foreign=False, cleared_cost=taken)
    left = order_row.accepted_minor - order_row.returned_minor - order_row.cleared_minor
    share = Fraction(taken, left) if left else Fraction(0)
    cleared, variance = round_half_away(order_row.uninvoiced_minor * share), 0
    cost = round_half_away(order_row.uninvoiced_cost_minor * share)
    if claim != taken:
        own = act.lines[order_row.budget_line_id].currency
        variance = functional_amount(Money(claim - taken, currency), act.rates[currency, own].rate, own).minor
    own_tax, own_rounding = (
        round_half_away(Fraction(part * (cleared + variance), claim)) if claim else 0 for part in (tax, rounding)
    )
    return InBooks(cleared, variance, own_tax, own_rounding, foreign=True, cleared_cost=cost)


def revalue_ordered(
    act: FundsAct, parts: Sequence[PayablePart], difference: int, net_by_fund: Mapping[str, int]
) -> list[int]:
    """available <-> S by what left beyond the order's net, shared over its parts by their amounts; the shares.

    A fund of which nothing was left to pay, for penalties took it all, has no cash that could differ.
    """
    if not difference:
        return [0] * len(parts)
    shares = allocate(difference, [part.amount_minor if net_by_fund.get(part.fund_code) else 0 for part in parts])
    for part, share in zip(parts, shares, strict=True):
        act.revalue(Key(part.document_line_id, part.budget_line_id), Buckets(ordered=share))
    return shares


def revalue_balances(
    session: Session, *, agency_id: UUID, year: int, number: int, person_id: UUID, at: datetime
) -> Revaluation:
    """Bring an agency's monetary foreign balances to the rate of a period's last day; E of budget lines follows.

    Too little available: an override of kind EXCHANGE. A second run posts what changed since.
    """
    found = rates.month_end(session, agency_id=agency_id, year=year, number=number)
    revaluation_id = new_id()
    owed_back = mapping.account_for(session, "REFUND", on=found.on)
    named = {_named(one) for one in found.changed} - {None}
    debts = {_debt(one, owed_back) for one in found.changed} - {None}
    if not named:
        return rates.post_revaluation(
            session, found, revaluation_id=revaluation_id, movements={}, person_id=person_id, at=at
        )
    document_line_ids = {key.document_line_id for key in debts if key is not None}
    store.lock_debts(session, {key.document_line_id for key in named if key is not None})
    act = budget.begin(
        session,
        agency_id,
        Document(DocumentKind.EXCHANGE_REVALUATION, revaluation_id, f"REVALUATION/{found.on}"),
        effective_on=found.on,
        budget_line_ids={key.budget_line_id for key in debts if key is not None},
        document_line_ids=document_line_ids,
    )
    # What was posted before the locks were held is known now; what is new since then waits for the next run.
    found = rates.month_end(session, agency_id=agency_id, year=year, number=number)
    changed = [one for one in found.changed if (key := _named(one)) is None or key in named]
    changed = [one for one in changed if (key := _debt(one, owed_back)) is None or key in debts]
    found = MonthEnd(agency_id, year, number, found.on, found.functional_currency, changed)
    movements = _follow(act, changed, owed_back)
    cover(session, act, agency_id, on=found.on, person_id=person_id)
    budget.check(session, act)
    done = rates.post_revaluation(
        session, found, revaluation_id=revaluation_id, movements=movements, person_id=person_id, at=at
    )
    budget.settle(
        session,
        act,
        agency_id,
        effective_on=found.on,
        accounting_on=found.on,
        person_id=person_id,
        journal_entry_id=done.journal_entry_id,
    )
    budget.tell_revalued(session, act, agency_id)
    _revalue_papers(session, found, owed_back)
    return done


def _named(one: Revalued) -> Key | None:
    """The document line and budget line that a balance names, when it does."""
    balance = one.balance
    if balance.budget_line_id is None or balance.document_line_id is None:
        return None
    return Key(balance.document_line_id, balance.budget_line_id)


def _debt(one: Revalued, owed_back: str) -> Key | None:
    """The funds that follow a balance: none what a creditor owes back, which moves them when it is refunded."""
    return None if one.balance.account_code == owed_back else _named(one)


def _follow(act: FundsAct, changed: Sequence[Revalued], owed_back: str) -> dict[int, UUID]:
    """available <-> E by what each debt grew or shrank; the movements by the place of the debt."""
    movements = {}
    for nth, one in enumerate(changed):
        key = _debt(one, owed_back)
        if key is not None:
            movement = act.revalue(key, Buckets(expended=-one.difference_minor), rate=one.rate.rate)
            assert movement is not None, "only balances that changed are revalued"
            movements[nth] = movement.funds_movement_id
    return movements


def _revalue_papers(session: Session, found: MonthEnd, owed_back: str) -> None:
    """What is not invoiced, the payables, and credits that are owed back, stand at what the ledger says they do."""
    _revalue_receivables(session, [one for one in found.changed if one.balance.account_code == owed_back])
    received = mapping.account_for(session, "GRNI", on=found.on)
    uninvoiced = {one.balance.document_line_id: one for one in found.changed if one.balance.account_code == received}
    lines = [line_id for line_id in uninvoiced if line_id is not None]
    kept = store.uninvoiced(session, lines)
    amounts = {line_id: amount - uninvoiced[line_id].difference_minor for line_id, amount in kept.items()}
    if amounts:
        store.save_uninvoiced(session, amounts)
    others = (received, owed_back)
    claims = [one for one in found.changed if one.balance.document_line_id and one.balance.account_code not in others]
    wanted = {one.balance.document_line_id for one in claims} - {None}
    parts = store.unpaid_parts(session, [line_id for line_id in wanted if line_id is not None])
    roles = mapping.accounts_for(session, _roles(parts), on=found.on) if parts else {}
    changed = []
    for one in claims:
        changed += _shares(one, [part for part in parts if _is_of(part, one, roles)])
    if changed:
        store.save_parts(session, changed)


def _revalue_receivables(session: Session, changed: Sequence[Revalued]) -> None:
    by_line = {one.balance.document_line_id: one for one in changed if one.balance.document_line_id is not None}
    owed: dict[UUID, list[Row[Any]]] = {}
    for row in credit_store.lock_receivables(session, [line_id for line_id in by_line if line_id is not None]):
        owed.setdefault(row.purchase_order_line_id, []).append(row)
    carried = []
    for line_id, rows in owed.items():
        shares = allocate(by_line[line_id].revalued_minor, [row.amount_minor for row in rows])
        carried += [(row.credit_note_id, line_id, share) for row, share in zip(rows, shares, strict=True)]
    if carried:
        credit_store.save_carried(session, carried)


def _roles(parts: Sequence[Row[Any]]) -> list[tuple[str, str]]:
    return sorted({(Source(part.source).role, part.account_code) for part in parts})


def _is_of(part: Row[Any], one: Revalued, roles: Mapping[tuple[str, str], str]) -> bool:
    """Whether a part of a payable belongs to a debt of the ledger: its lines, and the account of its source."""
    return (part.document_line_id, part.budget_line_id, roles[Source(part.source).role, part.account_code]) == (
        one.balance.document_line_id,
        one.balance.budget_line_id,
        one.balance.account_code,
    )


def _shares(one: Revalued, parts: Sequence[Row[Any]]) -> list[tuple[UUID, UUID, UUID, int, int, int]]:
    """(payable, document line, budget line, amount, net, tax) of the parts of a debt: together what the ledger says
    (§8). Price and tax are the whole's, of which offsets may have paid some already."""
    if not parts:
        return []
    shares = allocate(-one.revalued_minor, [part.foreign_minor for part in parts])
    found = []
    for part, share in zip(parts, shares, strict=True):
        grown = Fraction(share, part.amount_minor)
        tax = round_half_away(part.tax_minor * grown)
        net = round_half_away((part.net_minor + part.tax_minor) * grown) - tax
        found.append((part.payable_id, part.document_line_id, part.budget_line_id, share, net, tax))
    return found
