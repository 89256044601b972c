"""A contract in another currency than its budget lines': what its advances and bills are in that of the books.

Domain rules §2, Foreign currency: what a step takes of O is brought to its day's rate first, and the line bears the
difference. What is owed is monetary and revalued; an advance is not, and stands at what was paid (domain.InBooks).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session

from chassis.money import Money
from services.finance.billing.domain import Advanced, BilledLine, InBooks, recovered_worth
from services.finance.budget.domain import Key, Movement
from services.finance.budget.movements import FundsAct
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount


def books_currency(terms: Row[Any]) -> str:
    """The currency of the contract's budget lines."""
    return str(terms.functional_currency or terms.currency)


def is_foreign(terms: Row[Any]) -> bool:
    """Whether the contract is in another one."""
    return terms.functional_currency is not None


def advance_worth(session: Session, terms: Row[Any], amounts: list[int], *, on: date) -> list[int]:
    """What parts of an advance are in the currency of the books on the day of the claim. EXCHANGE_RATE_MISSING.

    Payment requests count them so; the debit decides what the advance stands at.
    """
    if not is_foreign(terms):
        return amounts
    own = books_currency(terms)
    rate, _ = rates.rate_on(session, currency=terms.currency, functional_currency=own, on=on)
    return [functional_amount(Money(amount, terms.currency), rate.rate, own).minor for amount in amounts]


def certified(act: FundsAct, one: BilledLine, terms: Row[Any]) -> tuple[Movement, InBooks]:
    """Move the funds of a bill's line: its movement, and the line in the currency of the books."""
    key, owed = Key(one.line.document_line_id, one.line.budget_line_id), one.gross - one.recovered
    if not is_foreign(terms):
        return act.bill(key, owed, one.recovered), InBooks(one.recovered, one.retained, one.claimed)
    own = books_currency(terms)
    rate = act.rates[terms.currency, own].rate

    def books(minor: int) -> int:
        return functional_amount(Money(minor, terms.currency), rate, own).minor

    retained, claimed = books(one.retained), books(one.claimed)
    act.bring_obligated_to(key, owed, retained + claimed, rate=rate)
    held = act.positions[key]
    this_year = Advanced(0 if held.foreign is None else held.foreign.buckets.advanced, held.buckets.advanced)
    movement = act.bill(key, retained + claimed, one.recovered, foreign_claimed=owed, rate=rate)
    recovered = recovered_worth(one, this_year, -movement.changes.advanced)
    return movement, InBooks(recovered, retained, claimed)
