"""SQL of withdrawn appropriations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session


def set_lines_aside(session: Session, appropriation_id: UUID) -> None:
    """Take the lines of a locked draft out of the budget, and keep what they said; no other line can be deleted."""
    session.execute(
        text(
            """
            with gone as (
                delete from budget_line where appropriation_id = :id and status = 'DRAFT' returning *
            )
            insert into withdrawn_budget_line (budget_line_id, agency_id, appropriation_id, line)
            select budget_line_id, agency_id, appropriation_id, to_jsonb(gone) from gone
            """
        ),
        {"id": appropriation_id},
    )


def withdraw(session: Session, appropriation_id: UUID, *, reason: str, person_id: UUID, at: datetime) -> None:
    """Write who withdrew it, when and why; its totals stay, as what was withdrawn."""
    session.execute(
        text(
            "update appropriation set status = 'WITHDRAWN', withdrawal_reason = :reason,"
            " withdrawn_by_person_id = :person_id, withdrawn_at = :at, version = version + 1"
            " where appropriation_id = :id"
        ),
        {"id": appropriation_id, "reason": reason, "person_id": person_id, "at": at},
    )
