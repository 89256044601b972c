"""What is done with the catalog: load, decide, save, emit."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from services.logistics.catalog import domain, store
from services.logistics.catalog.domain import Item
from services.logistics.etag import require_etag


def create_item(session: Session, item: Item) -> Item:
    """Add an item."""
    store.insert_item(session, item)
    outbox.emit(session, domain.ItemCreated(item))
    return item


def update_item(session: Session, item_id: UUID, values: dict[str, object], *, etag: str) -> Item:
    """Change what may change of an item; a mask that changes nothing leaves it as it is."""
    item = store.item_by_id(session, item_id, lock=True)
    require_etag(etag, item.version, f"item {item.code}")
    changed = domain.change(item, values)
    if all(getattr(item, name) == value for name, value in values.items()):
        return item
    store.update_item(session, changed)
    outbox.emit(session, domain.ItemChanged(changed))
    return changed
