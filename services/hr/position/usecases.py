"""What is done with positions: load, decide, save, emit."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.hr.payroll.pack import Pack
from services.hr.position import domain, store
from services.hr.position.domain import Position
from services.hr.unit import store as units
from services.hr.versions import require_etag


def create_position(session: Session, position: Position, *, pack: Pack) -> Position:
    """Create a vacant position in a unit of its agency."""
    domain.check(position, components=pack.cost_components, unit_minor=pack.unit_minor)
    unit = units.unit_by_id(session, position.unit_id)
    if unit is None or unit.agency_id != position.agency_id:
        raise NotFound.resource("unit", position.unit_id)
    if not store.insert_position(session, position):
        raise domain.PositionCodeTaken(
            f"the agency has a position {position.code!r}; choose another code", metadata={"code": position.code}
        )
    outbox.emit(session, domain.PositionCreated(position))
    return position


def update_position(
    session: Session, position_id: UUID, changes: Mapping[str, object], *, etag: str, pack: Pack
) -> Position:
    """Change a position as far as its state allows."""
    position = get_position(session, position_id, lock=True)
    require_etag(etag, "position", position_id, position.version)
    changed = domain.change(position, **changes)
    if changed is not position:
        domain.check(changed, components=pack.cost_components, unit_minor=pack.unit_minor)
        store.update_position(session, changed, funding_too=True)
        outbox.emit(session, domain.PositionChanged(changed))
    return changed


def get_position(session: Session, position_id: UUID, *, lock: bool = False) -> Position:
    """The position; NOT_FOUND when there is none that the transaction may see."""
    position = store.position_by_id(session, position_id, lock=lock)
    if position is None:
        raise NotFound.resource("position", position_id)
    return position
