"""The rows of positions and their funding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.hr.position.domain import Position, PositionKind, PositionState, StaffKind
from services.hr.position.tables import PositionFundingRow, PositionRow


def _positions(session: Session, rows: Sequence[Any]) -> list[Position]:
    funding: dict[UUID, dict[tuple[int, str], UUID]] = {row.position_id: {} for row in rows}
    found = session.execute(
        select(PositionFundingRow)
        .where(PositionFundingRow.position_id.in_(funding))
        .order_by(PositionFundingRow.fiscal_year, PositionFundingRow.component)
    ).scalars()
    for line in found:
        funding[line.position_id][line.fiscal_year, line.component] = line.budget_line_id
    return [
        Position(
            position_id=row.position_id,
            agency_id=row.agency_id,
            unit_id=row.unit_id,
            code=row.code,
            title=row.title,
            staff_kind=StaffKind(row.staff_kind),
            position_kind=PositionKind(row.position_kind),
            echelon=row.echelon,
            functional_allowance_minor=row.functional_allowance_minor,
            funding=funding[row.position_id],
            state=PositionState(row.state),
            version=row.version,
        )
        for row in rows
    ]


def position_by_id(session: Session, position_id: UUID, *, lock: bool = False) -> Position | None:
    """The position, if the transaction may see it."""
    query = select(PositionRow).where(PositionRow.position_id == position_id)
    rows = session.execute(query.with_for_update() if lock else query).scalars().all()
    return next(iter(_positions(session, rows)), None)


def positions_by_id(session: Session, position_ids: Iterable[UUID]) -> dict[UUID, Position]:
    """These positions."""
    rows = session.execute(select(PositionRow).where(PositionRow.position_id.in_(set(position_ids)))).scalars().all()
    return {position.position_id: position for position in _positions(session, rows)}


def insert_position(session: Session, position: Position) -> bool:
    """Add the position; False when its agency has one of that code."""
    added = session.execute(
        insert(PositionRow)
        .values(
            position_id=position.position_id,
            agency_id=position.agency_id,
            unit_id=position.unit_id,
            code=position.code,
            title=position.title,
            staff_kind=position.staff_kind.value,
            position_kind=position.position_kind.value,
            echelon=position.echelon,
            functional_allowance_minor=position.functional_allowance_minor,
            state=position.state.value,
            version=position.version,
        )
        .on_conflict_do_nothing(index_elements=["agency_id", "code"])
        .returning(PositionRow.position_id)
    )
    if added.first() is None:
        return False
    _insert_funding(session, position)
    return True


def update_position(session: Session, position: Position, *, funding_too: bool = False) -> None:
    """Save a changed position."""
    session.execute(
        update(PositionRow)
        .where(PositionRow.position_id == position.position_id)
        .values(
            title=position.title,
            echelon=position.echelon,
            functional_allowance_minor=position.functional_allowance_minor,
            state=position.state.value,
            version=position.version,
        )
        .execution_options(synchronize_session=False)
    )
    if funding_too:
        session.execute(
            delete(PositionFundingRow)
            .where(PositionFundingRow.position_id == position.position_id)
            .execution_options(synchronize_session=False)
        )
        _insert_funding(session, position)


def _insert_funding(session: Session, position: Position) -> None:
    rows = [
        {
            "position_id": position.position_id,
            "fiscal_year": fiscal_year,
            "component": component,
            "agency_id": position.agency_id,
            "budget_line_id": budget_line_id,
        }
        for (fiscal_year, component), budget_line_id in position.funding.items()
    ]
    if rows:
        session.execute(insert(PositionFundingRow), rows)


def positions_after(
    session: Session,
    agency_id: UUID,
    after: str | None,
    count: int,
    *,
    unit_id: UUID | None,
    state: PositionState | None,
) -> list[Position]:
    """Positions of the agency by code, those after `after`."""
    query = select(PositionRow).where(PositionRow.agency_id == agency_id).order_by(PositionRow.code).limit(count)
    if after is not None:
        query = query.where(PositionRow.code > after)
    if unit_id is not None:
        query = query.where(PositionRow.unit_id == unit_id)
    if state is not None:
        query = query.where(PositionRow.state == state.value)
    return _positions(session, session.execute(query).scalars().all())
