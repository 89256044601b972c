"""Positions: funded seats. A vacancy sets no funds aside; a seat has at most one holder (domain rules §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument

# (fiscal year, component) -> budget line
Funding = Mapping[tuple[int, str], UUID]


class PositionCodeTaken(AlreadyExists):
    """The agency has a position of that code."""

    reason = "POSITION_CODE_TAKEN"


class PositionFilled(FailedPrecondition):
    """The position has a holder, or one who waits for funds."""

    reason = "POSITION_FILLED"


class StaffKind(Enum):
    """The legal kind of an employee: PNS, CPNS, PPPK, contract."""

    CIVIL_SERVANT = "CIVIL_SERVANT"
    CANDIDATE = "CANDIDATE"
    WORK_AGREEMENT = "WORK_AGREEMENT"
    CONTRACT = "CONTRACT"


class PositionKind(Enum):
    """Which allowance a position carries."""

    GENERAL = "GENERAL"
    STRUCTURAL = "STRUCTURAL"
    FUNCTIONAL = "FUNCTIONAL"


class PositionState(Enum):
    """Whether somebody holds it."""

    VACANT = "VACANT"
    FILLED = "FILLED"


@dataclass(frozen=True)
class Position:
    """One seat. `functional_allowance_minor` is a month's, in the pack's currency; 0 unless FUNCTIONAL."""

    position_id: UUID
    agency_id: UUID
    unit_id: UUID
    code: str
    title: str
    staff_kind: StaffKind
    position_kind: PositionKind
    echelon: str
    functional_allowance_minor: int
    funding: Funding
    state: PositionState = PositionState.VACANT
    version: int = 1

    def funded_by(self, fiscal_year: int) -> dict[str, UUID]:
        """Component -> budget line of that year."""
        return {component: line for (year, component), line in self.funding.items() if year == fiscal_year}

    def takes(self, staff_kind: StaffKind) -> bool:
        """Whether someone of this kind may hold it; a candidate serves his probation in a civil servant's seat."""
        return staff_kind is self.staff_kind or (
            staff_kind is StaffKind.CANDIDATE and self.staff_kind is StaffKind.CIVIL_SERVANT
        )


@dataclass(frozen=True)
class PositionCreated:
    """A vacant position was created."""

    position: Position


@dataclass(frozen=True)
class PositionChanged:
    """A position's title, allowance or funding changed."""

    position: Position


def check(position: Position, *, components: frozenset[str], unit_minor: int) -> None:
    """Refuse an allowance that the kind does not have, part of a whole unit, or funding of an unknown component."""
    if (position.position_kind is PositionKind.STRUCTURAL) != bool(position.echelon):
        raise InvalidArgument.field("position.echelon", "a structural post has an echelon, and no other post has")
    if (position.position_kind is PositionKind.FUNCTIONAL) != bool(position.functional_allowance_minor):
        raise InvalidArgument.field(
            "position.functional_allowance", "a functional post has an allowance, and no other post has"
        )
    if position.functional_allowance_minor % unit_minor or position.functional_allowance_minor < 0:
        raise InvalidArgument.field("position.functional_allowance", "not a whole amount above zero")
    unknown = sorted({component for _, component in position.funding} - components)
    if unknown:
        raise InvalidArgument.field(
            "position.funding", f"{unknown[0]} is no component of pay; there are {', '.join(sorted(components))}"
        )


def change(position: Position, **changes: object) -> Position:
    """The position with `changes`; what pay rests on is changed only while nobody holds it."""
    changed = replace(position, **changes)  # type: ignore[arg-type]  # named fields, typed by the caller
    if changed == position:
        return position
    if position.state is PositionState.FILLED:
        kept = {key: line for key, line in changed.funding.items() if key in position.funding}
        touched = kept != dict(position.funding) or (changed.echelon, changed.functional_allowance_minor) != (
            position.echelon,
            position.functional_allowance_minor,
        )
        if touched:
            raise PositionFilled(
                f"position {position.code} has a holder: its allowance and funding stay; only its title changes, "
                "and lines of another fiscal year are added",
                metadata={"position_id": str(position.position_id)},
            )
    return replace(changed, version=position.version + 1)


def fill(position: Position, staff_kind: StaffKind) -> Position:
    """The position held; refused when it is, or is for another kind of staff."""
    if position.state is not PositionState.VACANT:
        raise PositionFilled(
            f"position {position.code} is held; separate its holder first",
            metadata={"position_id": str(position.position_id)},
        )
    if not position.takes(staff_kind):
        raise InvalidArgument.field(
            "employee.facts.staff_kind",
            f"position {position.code} is for {position.staff_kind.value}, not {staff_kind.value}",
        )
    return replace(position, state=PositionState.FILLED, version=position.version + 1)


def vacate(position: Position) -> Position:
    """The position free again."""
    return replace(position, state=PositionState.VACANT, version=position.version + 1)
