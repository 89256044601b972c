"""Between the wire and positions."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from google.type import money_pb2

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.money import Money
from chassis.wire import from_money, resource_name, to_money, to_uuid
from kelola.hr.v1 import organization_events_pb2 as events_pb2
from kelola.hr.v1 import position_pb2
from services.hr.position.domain import (
    Position,
    PositionChanged,
    PositionCreated,
    PositionKind,
    PositionState,
    StaffKind,
)
from services.hr.versions import etag_of

COLLECTION = "positions"
_CHANGEABLE = ("title", "echelon", "functional_allowance", "funding")
_KIND, _POSITION_KIND, _STATE = "STAFF_KIND_", "POSITION_KIND_", "POSITION_STATE_"


def staff_kind(number: int) -> StaffKind:
    """The staff kind of its enum number; never the unspecified one."""
    return StaffKind(position_pb2.StaffKind.Name(number).removeprefix(_KIND))


def staff_kind_number(kind: StaffKind) -> int:
    """The enum number of a staff kind."""
    return int(position_pb2.StaffKind.Value(_KIND + kind.value))


def position_state(number: int) -> PositionState | None:
    """The state of its enum number; None for the unspecified one."""
    return PositionState(position_pb2.PositionState.Name(number).removeprefix(_STATE)) if number else None


def whole_minor(message: money_pb2.Money, field: str, currency: str) -> int:
    """The amount in minor units of the pack's currency."""
    money = from_money(message, field)
    if money.currency != currency:
        raise InvalidArgument.field(field, f"{money.currency} is not the pay currency {currency}")
    return money.minor


def _funding(lines: Iterable[position_pb2.ComponentFunding]) -> dict[tuple[int, str], UUID]:
    funding: dict[tuple[int, str], UUID] = {}
    for index, line in enumerate(lines):
        key = line.fiscal_year, line.component
        if key in funding:
            raise InvalidArgument.field(f"position.funding[{index}]", f"{line.component} of {key[0]} is given twice")
        funding[key] = to_uuid(line.budget_line_id, f"position.funding[{index}].budget_line_id")
    return funding


def new_position(message: position_pb2.Position, position_id: UUID, currency: str) -> Position:
    """The position to create."""
    allowance = 0
    if message.HasField("functional_allowance"):
        allowance = whole_minor(message.functional_allowance, "position.functional_allowance", currency)
    return Position(
        position_id=position_id,
        agency_id=to_uuid(message.agency_id, "position.agency_id"),
        unit_id=to_uuid(message.unit_id, "position.unit_id"),
        code=message.code,
        title=message.title,
        staff_kind=staff_kind(message.staff_kind),
        position_kind=PositionKind(position_pb2.PositionKind.Name(message.position_kind).removeprefix(_POSITION_KIND)),
        echelon=message.echelon,
        functional_allowance_minor=allowance,
        funding=_funding(message.funding),
    )


def changes(request: position_pb2.UpdatePositionRequest, currency: str) -> dict[str, object]:
    """The fields to change: what the mask names, or what is set."""
    message = request.position
    set_fields = {field.name for field, _ in message.ListFields()}
    paths = list(request.update_mask.paths) or [name for name in _CHANGEABLE if name in set_fields]
    changed: dict[str, object] = {}
    for path in paths:
        if path not in position_pb2.Position.DESCRIPTOR.fields_by_name:
            raise InvalidArgument.field("update_mask", f"a position has no field {path!r}")
        if path == "title" and not message.title:
            raise InvalidArgument.field("position.title", "a position needs a title")
        if path in ("title", "echelon"):
            changed[path] = getattr(message, path)
        elif path == "functional_allowance":
            given = message.HasField(path)
            changed["functional_allowance_minor"] = (
                whole_minor(message.functional_allowance, f"position.{path}", currency) if given else 0
            )
        elif path == "funding":
            changed[path] = _funding(message.funding)
    return changed


def position_message(position: Position, currency: str) -> position_pb2.Position:
    """The position as callers see it."""
    message = position_pb2.Position(
        name=resource_name(COLLECTION, position.position_id),
        position_id=str(position.position_id),
        agency_id=str(position.agency_id),
        unit_id=str(position.unit_id),
        code=position.code,
        title=position.title,
        staff_kind=staff_kind_number(position.staff_kind),
        position_kind=position_pb2.PositionKind.Value(_POSITION_KIND + position.position_kind.value),
        echelon=position.echelon,
        funding=[
            position_pb2.ComponentFunding(fiscal_year=year, component=component, budget_line_id=str(line))
            for (year, component), line in sorted(position.funding.items())
        ],
        state=position_pb2.PositionState.Value(_STATE + position.state.value),
        etag=etag_of(position.version),
    )
    if position.functional_allowance_minor:
        message.functional_allowance.CopyFrom(to_money(Money(position.functional_allowance_minor, currency)))
    return message


@outbox.translates(PositionCreated)
def _(event: PositionCreated) -> outbox.Envelope:
    position = event.position
    message = events_pb2.PositionCreated(
        position_id=str(position.position_id),
        agency_id=str(position.agency_id),
        unit_id=str(position.unit_id),
        code=position.code,
        staff_kind=staff_kind_number(position.staff_kind),
    )
    return outbox.Envelope(message, position.position_id, position.agency_id, position.version)


@outbox.translates(PositionChanged)
def _(event: PositionChanged) -> outbox.Envelope:
    position = event.position
    message = events_pb2.PositionChanged(position_id=str(position.position_id), agency_id=str(position.agency_id))
    return outbox.Envelope(message, position.position_id, position.agency_id, position.version)
