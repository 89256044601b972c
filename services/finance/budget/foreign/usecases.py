"""Revaluation of what is reserved and obligated in foreign currencies: monthly by itself, and when asked."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis.dates import Month
from chassis.errors import NotFound
from chassis.ids import new_id
from chassis.money import Money
from services.finance.budget import usecases as budget
from services.finance.budget.domain import Document, DocumentKind, LineStatus
from services.finance.budget.foreign import domain, store
from services.finance.budget.foreign.covering import cover
from services.finance.budget.foreign.domain import FundsRevaluation, RevaluedFunds

__all__ = ["cover", "get", "revalue", "run"]


def revalue(
    session: Session,
    *,
    agency_id: UUID,
    on: date,
    budget_line_id: UUID | None,
    owner: UUID | None,
    person_id: UUID | None,
    at: datetime,
) -> FundsRevaluation:
    """Bring R and O in foreign currencies to the rates of `on`; what stands at a later day's rate is left alone.

    A second run at the same rates changes nothing, so a line is revalued once a month however often it is asked for.
    What the line lacks is recorded under an override of kind EXCHANGE, whose `owner` (see `cover`) sees to the cover.
    """
    domain.check_day(on, at.date())
    store.lock_agency(session, agency_id)
    found = store.open_commitments(session, agency_id, on=on, budget_line_id=budget_line_id, limit=domain.ITEMS_MAX + 1)
    if len(found) > domain.ITEMS_MAX:
        raise domain.FundsRevaluationTooWide(
            f"more than {domain.ITEMS_MAX} document lines are held in foreign currencies: revalue line by line "
            "(budget_line_id)",
            metadata={"limit": str(domain.ITEMS_MAX)},
        )
    revaluation_id = new_id()
    number = f"REVALUATION/{on}"
    if budget_line_id is not None:
        number += f"/{str(budget_line_id)[-12:]}"
    lines = {key.budget_line_id for key, _ in found}
    act = budget.begin(
        session,
        agency_id,
        Document(DocumentKind.EXCHANGE_REVALUATION, revaluation_id, number),
        effective_on=on,
        budget_line_ids=lines if budget_line_id is None else {*lines, budget_line_id},
        document_line_ids={key.document_line_id for key, _ in found},
        currencies={currency for _, currency in found},
    )
    items = []
    for key, currency in found:
        before = act.positions[key]
        if act.lines[key.budget_line_id].status is not LineStatus.ACTIVE:
            continue
        rate = act.rates[currency, act.lines[key.budget_line_id].currency]
        movement = act.revalue_open(key, rate)
        if movement is None or before.foreign is None:
            continue
        own = act.lines[key.budget_line_id].currency
        items.append(
            RevaluedFunds(
                key,
                movement.funds_movement_id,
                Money(before.foreign.open, currency),
                Money(before.open, own),
                Money(act.positions[key].open, own),
                rate,
            )
        )
    override_id = cover(session, act, agency_id, on=on, person_id=person_id, owner=owner)
    budget.check(session, act)
    budget.settle(session, act, agency_id, effective_on=on, person_id=person_id)
    budget.tell_revalued(session, act, agency_id)
    done = FundsRevaluation(
        revaluation_id, agency_id, number, on, budget_line_id, override_id, person_id, at, tuple(items)
    )
    store.add(session, done)
    return done


def get(session: Session, funds_revaluation_id: UUID) -> FundsRevaluation:
    """One revaluation without its items; NOT_FOUND when the caller does not see it."""
    row = store.get(session, funds_revaluation_id)
    if row is None:
        raise NotFound.resource("funds revaluation", funds_revaluation_id)
    return FundsRevaluation(**row._mapping, items=())


def run(session: Session, agency_id: UUID, due_on: date, *, at: datetime) -> FundsRevaluation | None:
    """The service's own round: revalue at the month end that is due, and be due at the end of the next month.

    An agency that holds nothing in foreign currencies any more is due again with its next commitment.
    """
    if not store.open_commitments(session, agency_id, on=date.max, budget_line_id=None, limit=1):
        store.set_due(session, agency_id, date.max)
        return None
    store.set_due(session, agency_id, Month.of(due_on).next().last)
    return revalue(session, agency_id=agency_id, on=due_on, budget_line_id=None, owner=None, person_id=None, at=at)
