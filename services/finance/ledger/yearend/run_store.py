"""SQL of runs over an agency's year, of either kind: each has a table with the columns of a run and its own content."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlmodel import Session

from services.finance.ledger.yearend.domain import YearRun

_COLUMNS = ("agency_id", "year", "person_id", "recorded_at")


def lock(session: Session, agency_id: UUID) -> None:
    """One run of an agency at a time, of either kind: what one sums up is not posted by another meanwhile.

    Taken before anything that posting locks.
    """
    session.execute(text("select pg_advisory_xact_lock(5107105, hashtext(:id))"), {"id": str(agency_id)})


def insert(session: Session, row: type[Any], run: YearRun, **content: Any) -> None:
    """Keep a run with its content."""
    key = row.__table__.primary_key.columns[0].name
    session.add(
        row(
            **{key: run.run_id},
            **{name: getattr(run, name) for name in _COLUMNS},
            journal_entry_ids=[str(entry_id) for entry_id in run.journal_entry_ids],
            **content,
        )
    )
    session.flush()


def newest(
    session: Session, row: type[Any], agency_id: UUID, *, after: tuple[UUID] | None, limit: int
) -> list[tuple[Any, dict[str, Any]]]:
    """(row, what of it a run has) of an agency, the newest first."""
    table = row.__table__
    key = table.primary_key.columns[0]
    query = select(row).where(table.c.agency_id == agency_id).order_by(key.desc()).limit(limit)
    if after is not None:
        query = query.where(key < after[0])
    return [
        (
            found,
            {
                "run_id": getattr(found, key.name),
                **{name: getattr(found, name) for name in _COLUMNS},
                "journal_entry_ids": tuple(UUID(entry_id) for entry_id in found.journal_entry_ids),
            },
        )
        for found in session.scalars(query)
    ]
