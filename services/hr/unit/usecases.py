"""What is done with units: load, decide, save, emit."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.hr.unit import domain, store
from services.hr.unit.domain import Unit
from services.hr.versions import require_etag


def create_unit(session: Session, unit: Unit) -> Unit:
    """Create a unit below another of its agency, or directly below the agency."""
    if unit.parent_unit_id is not None:
        _parent(session, unit.agency_id, unit.parent_unit_id)
        domain.check_place(unit.unit_id, store.with_those_above(session, unit.parent_unit_id))
    if not store.insert_unit(session, unit):
        raise domain.UnitCodeTaken(
            f"the agency has a unit {unit.code!r}; choose another code", metadata={"code": unit.code}
        )
    outbox.emit(session, domain.UnitCreated(unit))
    return unit


def update_unit(
    session: Session, unit_id: UUID, *, title: str | None, moved: bool, parent_unit_id: UUID | None, etag: str
) -> Unit:
    """Change a unit's title or place."""
    unit = get_unit(session, unit_id, lock=True)
    require_etag(etag, "unit", unit_id, unit.version)
    if moved and parent_unit_id is not None:
        store.lock_tree(session, unit.agency_id)
        _parent(session, unit.agency_id, parent_unit_id)
        domain.check_place(unit_id, store.with_those_above(session, parent_unit_id))
    changed = domain.change(unit, title=title, moved=moved, parent_unit_id=parent_unit_id)
    if changed is not unit:
        store.update_unit(session, changed)
        outbox.emit(session, domain.UnitChanged(changed))
    return changed


def get_unit(session: Session, unit_id: UUID, *, lock: bool = False) -> Unit:
    """The unit; NOT_FOUND when there is none that the transaction may see."""
    unit = store.unit_by_id(session, unit_id, lock=lock)
    if unit is None:
        raise NotFound.resource("unit", unit_id)
    return unit


def _parent(session: Session, agency_id: UUID, parent_unit_id: UUID) -> None:
    # The transaction may see several agencies; a parent is of the unit's own.
    parent = store.unit_by_id(session, parent_unit_id)
    if parent is None or parent.agency_id != agency_id:
        raise NotFound.resource("unit", parent_unit_id)
