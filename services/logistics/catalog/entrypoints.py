"""CatalogService: what each RPC does, in order."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import resource_id
from kelola.logistics.v1 import catalog_pb2
from services.logistics.catalog import store, usecases, wire

CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]


class CatalogEntrypoints:
    """The RPCs of CatalogService."""

    @rpc(CATALOG)
    def create_item(self, request, call):
        item = wire.new_item(request.item, new_id(), self.clock.now())
        with self.db.begin(call) as work:
            work.reply(wire.item_message(usecases.create_item(work.session, item)))
        return work.answer

    @rpc(CATALOG)
    def get_item(self, request, call):
        with self.db.read(call) as session:
            return wire.item_message(store.item_by_id(session, resource_id(wire.ITEMS, request.name)))

    @rpc(CATALOG)
    def list_items(self, request, call):
        page = Page.of(request, filters={"code": request.code})
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            items = store.items_after(session, after, page.size + 1, code=request.code)
        more = len(items) > page.size
        return catalog_pb2.ListItemsResponse(
            items=[wire.item_message(item) for item in items[: page.size]],
            next_page_token=page.token([items[page.size - 1].code]) if more else "",
        )

    @rpc(CATALOG)
    def update_item(self, request, call):
        item_id = resource_id(wire.ITEMS, request.item.name, "item.name")
        values = wire.item_changes(request)
        with self.db.begin(call) as work:
            item = usecases.update_item(work.session, item_id, values, etag=request.item.etag)
            work.reply(wire.item_message(item))
        return work.answer
