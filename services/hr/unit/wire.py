"""Between the wire and units."""

from __future__ import annotations

from uuid import UUID

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.wire import optional_uuid, resource_name, to_uuid
from kelola.hr.v1 import organization_events_pb2 as events_pb2
from kelola.hr.v1 import unit_pb2
from services.hr.unit.domain import Unit, UnitChanged, UnitCreated
from services.hr.versions import etag_of

COLLECTION = "units"
_CHANGEABLE = ("title", "parent_unit_id")


def new_unit(message: unit_pb2.Unit, unit_id: UUID) -> Unit:
    """The unit to create."""
    return Unit(
        unit_id=unit_id,
        agency_id=to_uuid(message.agency_id, "unit.agency_id"),
        parent_unit_id=optional_uuid(message.parent_unit_id, "unit.parent_unit_id"),
        code=message.code,
        title=message.title,
    )


def unit_message(unit: Unit) -> unit_pb2.Unit:
    """The unit as callers see it."""
    return unit_pb2.Unit(
        name=resource_name(COLLECTION, unit.unit_id),
        unit_id=str(unit.unit_id),
        agency_id=str(unit.agency_id),
        parent_unit_id=str(unit.parent_unit_id or ""),
        code=unit.code,
        title=unit.title,
        etag=etag_of(unit.version),
    )


def changes(request: unit_pb2.UpdateUnitRequest) -> dict[str, object]:
    """The arguments of `usecases.update_unit` beside the id: what the mask names, or what is set."""
    paths = list(request.update_mask.paths) or [name for name in _CHANGEABLE if getattr(request.unit, name)]
    for path in paths:
        # Output-only and immutable fields in a mask are ignored (AIP-203); unknown ones are mistakes.
        if path not in unit_pb2.Unit.DESCRIPTOR.fields_by_name:
            raise InvalidArgument.field("update_mask", f"a unit has no field {path!r}")
    if "title" in paths and not request.unit.title:
        raise InvalidArgument.field("unit.title", "a unit needs a title")
    return {
        "title": request.unit.title if "title" in paths else None,
        "moved": "parent_unit_id" in paths,
        "parent_unit_id": optional_uuid(request.unit.parent_unit_id, "unit.parent_unit_id"),
        "etag": request.unit.etag,
    }


@outbox.translates(UnitCreated)
def _(event: UnitCreated) -> outbox.Envelope:
    unit = event.unit
    message = events_pb2.UnitCreated(
        unit_id=str(unit.unit_id),
        agency_id=str(unit.agency_id),
        parent_unit_id=str(unit.parent_unit_id or ""),
        code=unit.code,
        title=unit.title,
    )
    return outbox.Envelope(message, unit.unit_id, unit.agency_id, unit.version)


@outbox.translates(UnitChanged)
def _(event: UnitChanged) -> outbox.Envelope:
    unit = event.unit
    message = events_pb2.UnitChanged(
        unit_id=str(unit.unit_id),
        agency_id=str(unit.agency_id),
        parent_unit_id=str(unit.parent_unit_id or ""),
        title=unit.title,
    )
    return outbox.Envelope(message, unit.unit_id, unit.agency_id, unit.version)
