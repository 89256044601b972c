"""Exchange differences beyond the budget: recorded under an automatic override, and what that stops."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from sqlmodel import Session

from chassis.ids import new_id
from services.finance.budget import store as funds
from services.finance.budget.domain import Line
from services.finance.budget.foreign import cover_store, domain
from services.finance.budget.overrides import settling
from services.finance.budget.overrides import store as overrides
from services.finance.classification.pack import fiscal_calendar

if TYPE_CHECKING:
    from services.finance.budget.movements import FundsAct


def cover(
    session: Session, act: FundsAct, agency_id: UUID, *, on: date, person_id: UUID | None, owner: UUID | None = None
) -> UUID | None:
    """Give the nodes what the exchange differences of `act` took beyond the budget; the override, if one was needed.

    Its owner is `owner`, else who bound the funds, else who put the line in force: whoever records what the bank did
    answers for no commitment.
    """
    short = domain.uncovered(act.lines, act.movements)
    given: UUID | None = None
    groups: dict[tuple[int, str], dict[UUID, int]] = {}
    for line_id, amount in short.items():
        line = act.lines[line_id]
        year = domain.bearing_year(line, on, fiscal_calendar())
        groups.setdefault((year, line.currency), {})[line_id] = amount
    for _, part in sorted(groups.items()):
        named = {movement.position_document_line_id for movement in act.movements} - {None}
        override = domain.automatic(
            part,
            act.lines,
            act.document,
            budget_override_id=new_id(),
            owner=owner or cover_store.responsible(session, named, min(part)),
            on=on,
            at=cover_store.now(session),
            calendar=fiscal_calendar(),
        )
        overrides.insert_override(session, override)
        settling.write_authority(session, agency_id, override, part, act.before, on=on, person_id=person_id)
        act.cover(part)
        given = override.budget_override_id
    return given


def refuse_uncovered(session: Session, lines: Iterable[Line]) -> None:
    """EXCHANGE_DIFFERENCE_UNCOVERED for locked lines (and the nodes above them) that bear an open difference."""
    by_id = {line.budget_line_id: line for line in lines}
    # An override is a figure of the line, so ordinary lines cost no statement.
    touched = [line_id for line_id, line in by_id.items() if line.override]
    if touched:
        domain.refuse_uncovered(cover_store.open_differences(session, touched), by_id)


def refuse_payment(session: Session, agency_id: UUID, budget_line_ids: Collection[UUID]) -> None:
    """The same for a paper whose lines are not locked: a request that is authorised, or ordered, later."""
    refuse_uncovered(session, funds.lock_lines(session, agency_id, budget_line_ids, lock=False))
