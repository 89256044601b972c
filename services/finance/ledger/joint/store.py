"""SQL of acts in several books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlmodel import Session

from services.finance.ledger import store as ledger
from services.finance.ledger.domain import Posted
from services.finance.ledger.joint.tables import JointEntryLegRow, JointEntryRow
from services.finance.ledger.store import StoredEntry


@dataclass(frozen=True)
class StoredAct:
    """An act as it stands in the books: the entries that the caller may see, in the order of its legs."""

    joint_entry_id: UUID
    treasury_agency_id: UUID
    reverses_id: UUID | None
    reversed_by_id: UUID | None
    entries: tuple[StoredEntry, ...]


@dataclass(frozen=True)
class Head:
    """What is kept of an act beside its legs."""

    joint_entry_id: UUID
    treasury_agency_id: UUID
    agency_ids: tuple[UUID, ...]


def lock(session: Session, joint_entry_id: UUID) -> None:
    """One reversal of an act at a time. (Acts are never updated, so the app has no right to lock their rows.)"""
    session.execute(text("select pg_advisory_xact_lock(5107113, hashtext(:id))"), {"id": str(joint_entry_id)})


def add(
    session: Session,
    posted: Sequence[Posted],
    *,
    joint_entry_id: UUID,
    treasury_agency_id: UUID,
    reverses_id: UUID | None,
    person_id: UUID,
    recorded_at: datetime,
) -> None:
    """Write an act whose entries were posted."""
    session.add(
        JointEntryRow(
            joint_entry_id=joint_entry_id,
            agency_id=treasury_agency_id,
            agency_ids=sorted(str(one.entry.agency_id) for one in posted),
            reverses_joint_entry_id=reverses_id,
            person_id=person_id,
            recorded_at=recorded_at,
        )
    )
    session.add_all(
        [
            JointEntryLegRow(
                joint_entry_id=joint_entry_id,
                agency_id=one.entry.agency_id,
                position=position,
                journal_entry_id=one.entry.journal_entry_id,
                treasury_agency_id=treasury_agency_id,
                reverses_joint_entry_id=reverses_id,
            )
            for position, one in enumerate(posted, start=1)
        ]
    )
    session.flush()


def head(session: Session, joint_entry_id: UUID) -> Head | None:
    """An act, for whoever sees its treasury."""
    row = session.get(JointEntryRow, joint_entry_id)
    if row is None:
        return None
    return Head(row.joint_entry_id, row.agency_id, tuple(UUID(one) for one in row.agency_ids))


def acts(session: Session, ids: Sequence[UUID]) -> list[StoredAct]:
    """Acts with their entries, in the order of `ids`; legs that the caller does not see are left out."""
    if not ids:
        return []
    row = JointEntryLegRow
    found: dict[UUID, list[Row[Any]]] = {}
    query = (
        select(row.joint_entry_id, row.journal_entry_id, row.treasury_agency_id, row.reverses_joint_entry_id)
        .where(row.joint_entry_id.in_(ids))  # type: ignore[attr-defined]  # a column
        .order_by(row.joint_entry_id, row.position)
    )
    for leg in session.execute(query):
        found.setdefault(leg.joint_entry_id, []).append(leg)
    reversal = row.reverses_joint_entry_id
    mirrors = session.execute(select(reversal, row.joint_entry_id).where(reversal.in_(ids)))  # type: ignore[union-attr]  # a column
    reversed_by = {original: mirror for original, mirror in mirrors}  # noqa: C416  # dict() takes rows for pairs
    stored = {
        one.entry.journal_entry_id: one
        for one in ledger.entries(session, [leg.journal_entry_id for legs in found.values() for leg in legs])
    }
    return [
        StoredAct(
            key,
            found[key][0].treasury_agency_id,
            found[key][0].reverses_joint_entry_id,
            reversed_by.get(key),
            tuple(stored[leg.journal_entry_id] for leg in found[key]),
        )
        for key in ids
        if key in found
    ]


def act_ids(session: Session, agency_id: UUID, *, after: tuple[UUID] | None, limit: int) -> list[UUID]:
    """The acts that an agency took part in, the newest first."""
    row = JointEntryLegRow
    query = (
        select(row.joint_entry_id)
        .where(row.agency_id == agency_id)
        .order_by(row.joint_entry_id.desc())  # type: ignore[attr-defined]  # a column
        .limit(limit)
    )
    if after is not None:
        query = query.where(row.joint_entry_id < after[0])
    return list(session.scalars(query))
