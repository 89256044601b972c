"""When the next year has another chart: what of the budget cannot go over to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlmodel import Session

from services.finance.budget.domain import Position
from services.finance.classification.carryover import store
from services.finance.classification.pack import fiscal_calendar


def blockers(
    session: Session, agency_id: UUID, year: int, pairs: Mapping[UUID, UUID | None], positions: Sequence[Position]
) -> list[str]:
    """What the chart of the year after `year` puts in the way of that year's end; `pairs` are its lines and the next's.

    Codes of its lines that end without a successor; debts on accounts that have ended and were not carried over, since
    a debt goes to its new line on an account that holds; document lines whose funds would become one.
    """
    calendar = fiscal_calendar()
    before, first_day = calendar.first_day(year), calendar.first_day(year + 1)
    found = [
        f"{segment.value} {code} ends before {year + 1} and has no successor: name it (BatchCreateCodeSuccessions)"
        for segment, code in store.uncarried_budget(session, agency_id, year + 1, before=before, first_day=first_day)
    ]
    found += [
        f"budget line {one.budget_line_id}: {abs(one.minor)} minor units stand on account {one.account_code}, which "
        "has ended: carry the ledger's balances over first (CarryOverBalances)"
        for one, _ in store.holdings(session, agency_id, first_day=first_day)
        if one.budget_line_id in pairs
    ]
    meeting = Counter(
        (position.key.document_line_id, next_id)
        for position in positions
        if (next_id := pairs.get(position.key.budget_line_id)) is not None and position.buckets.total
    )
    found += [
        f"document line {document_line_id} holds funds of {count} budget lines that become {next_id} in {year + 1}: "
        "settle or release all but one of them"
        for (document_line_id, next_id), count in meeting.items()
        if count > 1
    ]
    return found
