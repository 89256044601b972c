"""F3 at its step PAYMENT_REQUEST: what payment requests ask of a line to date stays within its releases (SPD)."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlmodel import Session

from chassis.money import Money
from services.finance.budget import request_store, store
from services.finance.budget.domain import AllotmentExceeded, Line
from services.finance.budget.foreign.covering import refuse_uncovered
from services.finance.budget.span import current_period
from services.finance.budget.todate import to_date_shortage
from services.finance.classification.fiscal_calendar import Period


def request(session: Session, agency_id: UUID, amounts: Mapping[UUID, int], *, on: Period) -> None:
    """Count `amounts` by line into the period `on`; refused with every figure beyond what is released to date."""
    lines = {line.budget_line_id: line for line in store.lock_lines(session, agency_id, list(amounts))}
    refuse_uncovered(session, lines.values())
    releases = request_store.releases(session, list(amounts))
    requested = request_store.requested(session, list(amounts))
    for line_id, amount in sorted(amounts.items()):
        line = lines[line_id]
        month = _month(line, on)
        shortage = to_date_shortage(
            releases.get(line_id, []), requested.get(line_id, {}), {month: amount}, current_month=month
        )
        if shortage is None:
            continue

        def money(minor: int, currency: str = line.currency) -> str:
            return str(Money(minor, currency))

        users = ", ".join(
            f"{user.document.kind.value} {user.document.document_number} {money(user.amount)}"
            for user in store.biggest_users(session, line_id)
        )

        raise AllotmentExceeded(
            f"budget line {line.organisation_code} {line.account_code} ({line_id}): "
            f"{money(shortage.allotted)} released to month {shortage.month}, {money(shortage.reached)} requested "
            f"before, {money(shortage.asked)} asked: short by {money(shortage.short_by)}; release more (SPD) first"
            + (f"; biggest users: {users}" if users else ""),
            metadata={
                "budget_line_id": str(line_id),
                "month": str(shortage.month),
                "released": money(shortage.allotted),
                "requested": money(shortage.reached),
                "asked": money(shortage.asked),
                "short_by": money(shortage.short_by),
                "biggest_users": users,
            },
        )
    _add(session, agency_id, lines, amounts, on)


def withdraw(session: Session, agency_id: UUID, amounts: Mapping[UUID, int], *, on: Period) -> None:
    """Take a request's amounts out again: it was withdrawn, or the bank rejected its order."""
    lines = {line.budget_line_id: line for line in store.lock_lines(session, agency_id, list(amounts))}
    _add(session, agency_id, lines, {line_id: -amount for line_id, amount in amounts.items()}, on)


def _month(line: Line, on: Period) -> int:
    """The period of the line's years; a line of one year that is paid after it counts in the period of that name."""
    return on.number if line.span is None else current_period(line.fiscal_year, line.last_year, on)


def _add(
    session: Session, agency_id: UUID, lines: Mapping[UUID, Line], amounts: Mapping[UUID, int], on: Period
) -> None:
    for line_id, amount in sorted(amounts.items()):
        request_store.add(session, agency_id, {line_id: amount}, _month(lines[line_id], on))
