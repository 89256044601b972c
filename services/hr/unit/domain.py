"""Units: the parts of an agency. A unit's parent is of the same agency, and no unit is above itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition

# A chain of units longer than this is a mistake; it also bounds the search for a circle.
DEPTH_MAX = 20


class UnitCodeTaken(AlreadyExists):
    """The agency has a unit of that code."""

    reason = "UNIT_CODE_TAKEN"


class UnitAboveItself(FailedPrecondition):
    """The new parent is the unit itself or lies below it."""

    reason = "UNIT_ABOVE_ITSELF"


@dataclass(frozen=True)
class Unit:
    """One organisational unit."""

    unit_id: UUID
    agency_id: UUID
    parent_unit_id: UUID | None
    code: str
    title: str
    version: int = 1


@dataclass(frozen=True)
class UnitCreated:
    """A unit was created."""

    unit: Unit


@dataclass(frozen=True)
class UnitChanged:
    """A unit's title or place changed."""

    unit: Unit


def check_place(unit_id: UUID, ancestors: Sequence[UUID]) -> None:
    """Refuse a parent that is the unit or below it; `ancestors` are the parent and those above it."""
    if unit_id in ancestors:
        raise UnitAboveItself(f"unit {unit_id} would be above itself", metadata={"unit_id": str(unit_id)})
    if len(ancestors) >= DEPTH_MAX:
        raise UnitAboveItself(f"units are nested at most {DEPTH_MAX} deep", metadata={"depth_max": str(DEPTH_MAX)})


def change(unit: Unit, *, title: str | None, moved: bool, parent_unit_id: UUID | None) -> Unit:
    """The unit with a new title and, if it `moved`, a new parent; itself when nothing differs."""
    changed = replace(
        unit,
        title=unit.title if title is None else title,
        parent_unit_id=parent_unit_id if moved else unit.parent_unit_id,
    )
    return unit if changed == unit else replace(changed, version=unit.version + 1)
