"""Between CatalogService's messages and the domain."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.wire import resource_name, to_timestamp
from kelola.logistics.v1 import catalog_events_pb2, catalog_pb2
from services.logistics.catalog.domain import CHANGEABLE, Item, ItemChanged, ItemCreated, Treatment, ValuationMethod
from services.logistics.etag import etag_of
from services.logistics.wire import from_enum, from_treatment, to_enum, to_treatment

ITEMS = "items"
_METHOD = "VALUATION_METHOD"
# What a read returns and no client sets: ignored in an update mask (AIP-203).
_OUTPUT_ONLY = frozenset({"name", "item_id", "create_time", "etag"})


def new_item(message: catalog_pb2.Item, item_id: UUID, at: datetime) -> Item:
    """The item that a request asks to add."""
    treatment = from_treatment(message.treatment)
    assert treatment is not None, "validation refuses UNSPECIFIED"
    return Item(
        item_id=item_id,
        code=message.code,
        display_name=message.display_name,
        unit_of_measure=message.unit_of_measure,
        treatment=Treatment(treatment),
        valuation_method=from_enum(catalog_pb2.ValuationMethod, _METHOD, message.valuation_method, ValuationMethod),
        negative_allowed=message.negative_allowed,
        unspsc_code=message.unspsc_code,
        expenditure_account_code=message.expenditure_account_code,
        active=True,
        created_at=at,
    )


def item_changes(request: catalog_pb2.UpdateItemRequest) -> dict[str, object]:
    """The new values of the fields in the mask; INVALID_ARGUMENT for a path that is no field."""
    values: dict[str, object] = {}
    for path in request.update_mask.paths:
        if path in _OUTPUT_ONLY:
            continue
        if path not in request.item.DESCRIPTOR.fields_by_name:
            raise InvalidArgument.field("update_mask", f"{path!r} is no field of an item")
        values[path] = getattr(request.item, path)
    if not values:
        raise InvalidArgument.field("update_mask", f"name some of {', '.join(sorted(CHANGEABLE))}")
    return values


def item_message(item: Item) -> catalog_pb2.Item:
    """The item as the wire shows it."""
    return catalog_pb2.Item(
        name=resource_name(ITEMS, item.item_id),
        item_id=str(item.item_id),
        code=item.code,
        display_name=item.display_name,
        unit_of_measure=item.unit_of_measure,
        treatment=to_treatment(item.treatment),
        valuation_method=to_enum(catalog_pb2.ValuationMethod, _METHOD, item.valuation_method),
        negative_allowed=item.negative_allowed,
        unspsc_code=item.unspsc_code,
        expenditure_account_code=item.expenditure_account_code,
        active=item.active,
        create_time=to_timestamp(item.created_at),
        etag=etag_of(item.version),
    )


@outbox.translates(ItemCreated)
def _created(event: ItemCreated) -> outbox.Envelope:
    item = event.item
    message = catalog_events_pb2.ItemCreated(
        item_id=str(item.item_id),
        code=item.code,
        display_name=item.display_name,
        unit_of_measure=item.unit_of_measure,
        treatment=to_treatment(item.treatment),
        valuation_method=to_enum(catalog_pb2.ValuationMethod, _METHOD, item.valuation_method),
        expenditure_account_code=item.expenditure_account_code,
    )
    return outbox.Envelope(message, item.item_id, None, item.version)


@outbox.translates(ItemChanged)
def _changed(event: ItemChanged) -> outbox.Envelope:
    item = event.item
    message = catalog_events_pb2.ItemChanged(
        item_id=str(item.item_id),
        code=item.code,
        display_name=item.display_name,
        expenditure_account_code=item.expenditure_account_code,
        active=item.active,
    )
    return outbox.Envelope(message, item.item_id, None, item.version)
