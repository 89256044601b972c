"""StockService's counts: what each RPC does, in order."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import optional_uuid, resource_id
from kelola.logistics.v1 import stock_pb2
from services.logistics.counting import store, usecases, wire
from services.logistics.stock.entrypoints import STOCK
from services.logistics.stock.store import movements_by_id
from services.logistics.stock.wire import STOCK_COUNTS


class CountingEntrypoints:
    """The RPCs of StockService about counts."""

    @rpc(STOCK)
    def create_stock_count(self, request, call):
        count = wire.new_count(request.stock_count, new_id(), call.principal.acting_person(), self.clock.now())
        with self.db.begin(call) as work:
            work.reply(wire.count_message(usecases.create_count(work.session, count), None))
        return work.answer

    @rpc(STOCK)
    def get_stock_count(self, request, call):
        with self.db.read(call) as session:
            count = store.count_by_id(session, resource_id(STOCK_COUNTS, request.name))
            (message,) = _messages(session, [count])
        return message

    @rpc(STOCK)
    def list_stock_counts(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            found = store.counts_after(session, after, page.size + 1, agency_id=agency_id)
            messages = _messages(session, found[: page.size])
        more = len(found) > page.size
        return stock_pb2.ListStockCountsResponse(
            stock_counts=messages,
            next_page_token=page.token([found[page.size - 1].stock_count_id]) if more else "",
        )

    @rpc(STOCK)
    def approve_stock_count(self, request, call):
        stock_count_id = resource_id(STOCK_COUNTS, request.name)
        by = call.principal.acting_person()
        with self.db.begin(call) as work:
            count, movement = usecases.approve_count(
                work.session, stock_count_id, by=by, at=self.clock.now(), etag=request.etag
            )
            message = stock_pb2.ApproveStockCountResponse(stock_count=wire.count_message(count, movement))
            work.reply(message, resource=request.name, agency_id=count.agency_id)
        return work.answer


def _messages(session, counts):
    made = movements_by_id(session, [count.stock_movement_id for count in counts if count.stock_movement_id])
    return [wire.count_message(count, made.get(count.stock_movement_id)) for count in counts]
