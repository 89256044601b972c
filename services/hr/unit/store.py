"""The rows of units."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.hr.unit.domain import DEPTH_MAX, Unit
from services.hr.unit.tables import UnitRow


def _unit(row: Any) -> Unit:
    return Unit(row.unit_id, row.agency_id, row.parent_unit_id, row.code, row.title, row.version)


def unit_by_id(session: Session, unit_id: UUID, *, lock: bool = False) -> Unit | None:
    """The unit, if the transaction may see it."""
    query = select(UnitRow).where(UnitRow.unit_id == unit_id)
    row = session.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return None if row is None else _unit(row)


def insert_unit(session: Session, unit: Unit) -> bool:
    """Add the unit; False when its agency has one of that code."""
    added = session.execute(
        insert(UnitRow)
        .values(
            unit_id=unit.unit_id,
            agency_id=unit.agency_id,
            parent_unit_id=unit.parent_unit_id,
            code=unit.code,
            title=unit.title,
            version=unit.version,
        )
        .on_conflict_do_nothing(index_elements=["agency_id", "code"])
        .returning(UnitRow.unit_id)
    )
    return added.first() is not None


def update_unit(session: Session, unit: Unit) -> None:
    """Save a changed unit."""
    session.execute(
        update(UnitRow)
        .where(UnitRow.unit_id == unit.unit_id)
        .values(title=unit.title, parent_unit_id=unit.parent_unit_id, version=unit.version)
        .execution_options(synchronize_session=False)
    )


def units_after(session: Session, agency_id: UUID, after: str | None, count: int) -> list[Unit]:
    """Units of the agency by code, those after `after`."""
    query = select(UnitRow).where(UnitRow.agency_id == agency_id).order_by(UnitRow.code).limit(count)
    if after is not None:
        query = query.where(UnitRow.code > after)
    return [_unit(row) for row in session.execute(query).scalars()]


def with_those_above(session: Session, unit_id: UUID) -> list[UUID]:
    """The unit and those above it, nearest first; at most DEPTH_MAX + 1."""
    above = (
        select(UnitRow.unit_id, UnitRow.parent_unit_id, literal(0).label("depth"))
        .where(UnitRow.unit_id == unit_id)
        .cte("above", recursive=True)
    )
    above = above.union_all(
        select(UnitRow.unit_id, UnitRow.parent_unit_id, above.c.depth + 1)
        .join(above, UnitRow.unit_id == above.c.parent_unit_id)
        .where(above.c.depth < DEPTH_MAX)
    )
    return list(session.execute(select(above.c.unit_id).order_by(above.c.depth)).scalars())


def lock_tree(session: Session, agency_id: UUID) -> None:
    """Hold the agency's units against other moves, so that two moves cannot make a circle together."""
    session.execute(
        select(UnitRow.unit_id)
        .where(UnitRow.agency_id == agency_id)
        .order_by(UnitRow.unit_id)
        .with_for_update(key_share=True)
    )
