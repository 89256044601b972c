"""SQL of acts in several books."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, text, update
from sqlmodel import Session

from services.finance.ledger import store as ledger
from services.finance.ledger.domain import Posted
from services.finance.ledger.joint.tables import JointEntryLegRow, JointEntryRow, JointReversalRow
from services.finance.ledger.store import StoredEntry


@dataclass(frozen=True)
class Record:
    """What is kept of an act beside its entries."""

    joint_entry_id: UUID
    treasury_agency_id: UUID
    reverses_id: UUID | None = None
    corrects_id: UUID | None = None
    reverse_on: date | None = None


@dataclass(frozen=True)
class StoredAct:
    """An act as it stands in the books: the entries that the caller may see, in the order of its legs."""

    joint_entry_id: UUID
    treasury_agency_id: UUID
    reverses_id: UUID | None
    reversed_by_id: UUID | None
    corrects_id: UUID | None
    reverse_on: date | None
    entries: tuple[StoredEntry, ...]


@dataclass(frozen=True)
class Head:
    """Who takes part in an act."""

    joint_entry_id: UUID
    treasury_agency_id: UUID
    agency_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class Due:
    """An act that is to reverse by itself on a day, in the books of these agencies."""

    joint_entry_id: UUID
    agency_ids: tuple[UUID, ...]
    due_on: date
    # When it was last tried and refused; None when it never was.
    tried_at: datetime | None


def lock(session: Session, joint_entry_id: UUID) -> None:
    """One reversal of an act at a time. (Acts are never updated, so the app has no right to lock their rows.)"""
    session.execute(text("select pg_advisory_xact_lock(5107113, hashtext(:id))"), {"id": str(joint_entry_id)})


def add(session: Session, posted: Sequence[Posted], record: Record, *, person_id: UUID, recorded_at: datetime) -> None:
    """Write an act whose entries were posted; with a day of reversal it goes on the work list."""
    agency_ids = sorted(str(one.entry.agency_id) for one in posted)
    session.add(
        JointEntryRow(
            joint_entry_id=record.joint_entry_id,
            agency_id=record.treasury_agency_id,
            agency_ids=agency_ids,
            reverses_joint_entry_id=record.reverses_id,
            person_id=person_id,
            recorded_at=recorded_at,
        )
    )
    session.add_all(
        [
            JointEntryLegRow(
                joint_entry_id=record.joint_entry_id,
                agency_id=one.entry.agency_id,
                position=position,
                journal_entry_id=one.entry.journal_entry_id,
                treasury_agency_id=record.treasury_agency_id,
                reverses_joint_entry_id=record.reverses_id,
                corrects_joint_entry_id=record.corrects_id,
                reverse_on=record.reverse_on,
            )
            for position, one in enumerate(posted, start=1)
        ]
    )
    if record.reverse_on is not None:
        session.add(
            JointReversalRow(
                joint_entry_id=record.joint_entry_id, entity_ids=agency_ids, due_on=record.reverse_on, tried_at=None
            )
        )
    session.flush()


def head(session: Session, joint_entry_id: UUID) -> Head | None:
    """An act, for whoever sees its treasury."""
    row = session.get(JointEntryRow, joint_entry_id)
    if row is None:
        return None
    return Head(row.joint_entry_id, row.agency_id, tuple(UUID(one) for one in row.agency_ids))


def entry_ids(session: Session, joint_entry_id: UUID) -> dict[UUID, UUID]:
    """The entry of an act in each agency that the caller sees."""
    row = JointEntryLegRow
    query = select(row.agency_id, row.journal_entry_id).where(row.joint_entry_id == joint_entry_id)
    return {agency_id: entry_id for agency_id, entry_id in session.execute(query)}  # noqa: C416  # dict() takes rows for pairs


def acts(session: Session, ids: Sequence[UUID]) -> list[StoredAct]:
    """Acts with their entries, in the order of `ids`; legs that the caller does not see are left out."""
    if not ids:
        return []
    row = JointEntryLegRow
    found: dict[UUID, list[Row[Any]]] = {}
    query = (
        select(
            row.joint_entry_id,
            row.journal_entry_id,
            row.treasury_agency_id,
            row.reverses_joint_entry_id,
            row.corrects_joint_entry_id,
            row.reverse_on,
        )
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
            found[key][0].corrects_joint_entry_id,
            found[key][0].reverse_on,
            tuple(stored[leg.journal_entry_id] for leg in found[key]),
        )
        for key in ids
        if key in found
    ]


def act_ids(
    session: Session, agency_id: UUID, *, corrects_id: UUID | None, after: tuple[UUID] | None, limit: int
) -> list[UUID]:
    """The acts that an agency took part in (only those that correct an act, when one is named), the newest first."""
    row = JointEntryLegRow
    query = (
        select(row.joint_entry_id)
        .where(row.agency_id == agency_id)
        .order_by(row.joint_entry_id.desc())  # type: ignore[attr-defined]  # a column
        .limit(limit)
    )
    if corrects_id is not None:
        query = query.where(row.corrects_joint_entry_id == corrects_id)
    if after is not None:
        query = query.where(row.joint_entry_id < after[0])
    return list(session.scalars(query))


# --- acts that reverse by themselves ---------------------------------------------------------------------------------


def lock_round(session: Session) -> None:
    """One round of reversals at a time: two rounds that reverse acts of the same agencies would wait for each other."""
    session.execute(text("select pg_advisory_xact_lock(5107114)"))


def due(
    session: Session, to: date, *, of: UUID | None = None, within: Collection[UUID] | None = None, limit: int
) -> list[Due]:
    """The acts to be reversed by `to`: those never tried, by their day, then those refused longest ago.

    Of one agency, and with no other agency than those of `within`, when these are given.
    """
    row = JointReversalRow
    query = (
        select(row)
        .where(row.due_on <= to)
        .order_by(row.tried_at.asc().nulls_first(), row.due_on, row.joint_entry_id)  # type: ignore[union-attr]  # a column
        .limit(limit)
    )
    if of is not None:
        query = query.where(row.entity_ids.contains([str(of)]))  # type: ignore[attr-defined]  # a column
    if within is not None:
        query = query.where(row.entity_ids.contained_by([str(one) for one in within]))  # type: ignore[attr-defined]  # a column
    return [
        Due(one.joint_entry_id, tuple(UUID(entity_id) for entity_id in one.entity_ids), one.due_on, one.tried_at)
        for one in session.scalars(query)
    ]


def note_tried(session: Session, joint_entry_id: UUID, at: datetime) -> None:
    """Keep that a reversal was refused, so that others come before it at the next round."""
    row = JointReversalRow
    session.execute(update(row).where(row.joint_entry_id == joint_entry_id).values(tried_at=at))  # type: ignore[arg-type]  # a column


def take_off(session: Session, joint_entry_ids: Iterable[UUID]) -> None:
    """Acts that were reversed are no longer to be reversed."""
    session.execute(delete(JointReversalRow).where(JointReversalRow.joint_entry_id.in_(list(joint_entry_ids))))  # type: ignore[attr-defined]  # a column
