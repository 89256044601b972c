"""SQL of who used a budget line up."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from services.finance.budget.buckets import BUCKET_NAMES
from services.finance.budget.domain import Document, DocumentKind, User

USERS_SHOWN = 3
_HELD = " + ".join(f"{name}_minor" for name in BUCKET_NAMES)


def biggest_users(session: Session, budget_line_id: UUID) -> list[User]:
    """The documents that hold most of a line (or of the lines under a node), for whoever finds too little.

    What entries by hand spent, which is what the lines hold beside their documents, is one of them.
    """
    rows = session.execute(
        text(
            f"""
            with recursive node as (
                select cast(:id as uuid) as budget_line_id
                union
                select b.budget_line_id from budget_line b join node n on b.parent_id = n.budget_line_id
            ), document as materialized (
                select document_kind, document_id, document_number, sum({_HELD})::bigint as held
                from funds_position where budget_line_id in (select budget_line_id from node) group by 1, 2, 3
            )
            select * from document where held > 0
            union all
            select 'JOURNAL_ENTRY', :nobody, 'by hand', l.held - coalesce(d.held, 0)
            from (select sum({_HELD})::bigint as held from budget_line
                  where postable and budget_line_id in (select budget_line_id from node)) l,
                 (select sum(held)::bigint as held from document) d
            where l.held > coalesce(d.held, 0)
            order by held desc, document_number limit :shown
            """  # noqa: S608  # the names of columns; values are bound
        ),
        {"id": budget_line_id, "nobody": UUID(int=0), "shown": USERS_SHOWN},
    )
    return [
        User(Document(DocumentKind(row.document_kind), row.document_id, row.document_number), row.held) for row in rows
    ]
