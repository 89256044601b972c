"""SQL of F3: releases by line, and what payment requests asked of a line by month."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from services.finance.budget.todate import Release


def add(session: Session, agency_id: UUID, amounts: Mapping[UUID, int], month: int) -> None:
    """Count amounts by budget line into a month; negative ones take out."""
    for line_id, amount in sorted(amounts.items()):
        # Two statements: the row that an insert proposes must hold the table's own check, and this may be negative.
        session.execute(
            text(
                "insert into funds_requested (budget_line_id, month, agency_id, amount_minor)"
                " values (:line_id, :month, :agency_id, 0) on conflict do nothing"
            ),
            {"line_id": line_id, "month": month, "agency_id": agency_id},
        )
        session.execute(
            text(
                "update funds_requested set amount_minor = amount_minor + :amount"
                " where budget_line_id = :line_id and month = :month"
            ),
            {"line_id": line_id, "month": month, "amount": amount},
        )


def releases(session: Session, line_ids: list[UUID]) -> dict[UUID, list[Release]]:
    """Every release of these lines."""
    found: dict[UUID, list[Release]] = {}
    for row in session.execute(
        text(
            "select budget_line_id, month_from, month_to, amount_minor from allotment"
            " where budget_line_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": line_ids},
    ):
        found.setdefault(row.budget_line_id, []).append(Release(row.month_from, row.month_to, row.amount_minor))
    return found


def requested(session: Session, line_ids: list[UUID]) -> dict[UUID, dict[int, int]]:
    """What payment requests asked of these lines so far, by month."""
    found: dict[UUID, dict[int, int]] = {}
    for row in session.execute(
        text(
            "select budget_line_id, month, amount_minor from funds_requested"
            " where budget_line_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": line_ids},
    ):
        found.setdefault(row.budget_line_id, {})[row.month] = row.amount_minor
    return found
