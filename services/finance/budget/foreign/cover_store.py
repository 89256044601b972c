"""SQL of exchange differences beyond the budget: who is responsible, and what is open."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from services.finance.budget.foreign.domain import OpenDifference


def now(session: Session) -> datetime:
    """The transaction's start by the database clock."""
    return session.execute(text("select transaction_timestamp()")).scalar_one()


def responsible(session: Session, document_line_ids: Collection[UUID | None], budget_line_id: UUID) -> UUID:
    """Who bound the funds of these document lines; else who put the budget line, or one under it, in force."""
    return session.execute(
        text(
            """
            with recursive node as (
                select cast(:line_id as uuid) as budget_line_id
                union
                select b.budget_line_id from budget_line b join node n on b.parent_id = n.budget_line_id
            )
            select person_id from (
                select 1 as turn, m.person_id
                from funds_position p join funds_movement m on m.funds_movement_id = p.opening_movement_id
                where p.document_line_id = any (cast(:ids as uuid[]))
                union all
                select 2, a.activated_by_person_id
                from budget_line b join appropriation a using (appropriation_id)
                where b.budget_line_id in (select budget_line_id from node)
                union all
                select 3, c.decided_by_person_id
                from budget_line b join budget_change c on c.budget_change_id = b.appropriation_id
                where b.budget_line_id in (select budget_line_id from node)
            ) found
            where person_id is not null order by turn, person_id limit 1
            """
        ),
        {"ids": list(document_line_ids), "line_id": budget_line_id},
    ).scalar_one()


def open_differences(session: Session, budget_line_ids: Collection[UUID]) -> list[OpenDifference]:
    """What of exchange overrides is open at these nodes, the oldest first."""
    rows = session.execute(
        text(
            """
            select i.budget_line_id, o.document_number, o.owner_person_id, i.open_minor
            from budget_override_item i join budget_override o using (budget_override_id)
            where i.budget_line_id = any (cast(:ids as uuid[])) and i.open_minor > 0
              and o.kind = 'EXCHANGE' and o.status = 'OPEN'
            order by o.decided_at, i.budget_line_id
            """
        ),
        {"ids": list(budget_line_ids)},
    )
    return [OpenDifference(*row) for row in rows]
