"""StockService's warehouses, movements and questions: what each RPC does, in order."""

from __future__ import annotations

from dataclasses import replace

from chassis.errors import InvalidArgument
from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.money import Money
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, resource_id, to_money, to_uuid
from kelola.logistics.v1 import stock_pb2
from services.logistics.receiving.store import quantity_under_inspection
from services.logistics.stock import store, usecases, wire

STOCK = stock_pb2.DESCRIPTOR.services_by_name["StockService"]


class StockEntrypoints:
    """The RPCs of StockService; those about counts are in services.logistics.counting."""

    @rpc(STOCK)
    def create_warehouse(self, request, call):
        warehouse = wire.new_warehouse(request.warehouse, new_id(), self.clock.now())
        with self.db.begin(call) as work:
            work.reply(wire.warehouse_message(usecases.create_warehouse(work.session, warehouse)))
        return work.answer

    @rpc(STOCK)
    def get_warehouse(self, request, call):
        with self.db.read(call) as session:
            return wire.warehouse_message(store.warehouse_by_id(session, resource_id(wire.WAREHOUSES, request.name)))

    @rpc(STOCK)
    def list_warehouses(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        after = page.after[0] if page.after else None
        with self.db.read(call) as session:
            found = store.warehouses_after(session, after, page.size + 1, agency_id=agency_id)
        more = len(found) > page.size
        return stock_pb2.ListWarehousesResponse(
            warehouses=[wire.warehouse_message(warehouse) for warehouse in found[: page.size]],
            next_page_token=page.token([found[page.size - 1].warehouse_id]) if more else "",
        )

    @rpc(STOCK)
    def issue_stock(self, request, call):
        order, by = wire.issue(request), call.principal.acting_person()
        with self.db.begin(call) as work:
            posted = usecases.issue_stock(work.session, order, by=by, at=self.clock.now())
            (movement,) = map(wire.movement_message, posted.movements)
            corrections = map(wire.movement_message, posted.corrections)
            message = stock_pb2.IssueStockResponse(movement=movement, corrections=corrections)
            work.reply(message, resource=movement.name, agency_id=order.agency_id)
        return work.answer

    @rpc(STOCK)
    def transfer_stock(self, request, call):
        order, by = wire.transfer(request), call.principal.acting_person()
        with self.db.begin(call) as work:
            posted = usecases.transfer_stock(work.session, order, by=by, at=self.clock.now())
            outgoing, incoming = map(wire.movement_message, posted.movements)
            message = stock_pb2.TransferStockResponse(outgoing=outgoing, incoming=incoming)
            work.reply(message, resource=outgoing.name, agency_id=order.agency_id)
        return work.answer

    @rpc(STOCK)
    def get_stock_balance(self, request, call):
        agency_id, item_id = to_uuid(request.agency_id, "agency_id"), to_uuid(request.item_id, "item_id")
        warehouse_id = optional_uuid(request.warehouse_id, "warehouse_id")
        as_of = from_date(request.as_of, "as_of") if request.HasField("as_of") else None
        with self.db.read(call, snapshot=True) as session:
            balance = store.balance(session, agency_id, item_id, warehouse_id=warehouse_id, as_of=as_of)
            inspected = quantity_under_inspection(session, agency_id, item_id, warehouse_id=warehouse_id)
        return wire.balance_message(replace(balance, inspected_quantity=inspected))

    @rpc(STOCK)
    def get_stock_valuation(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.read(call, snapshot=True) as session:
            last = store.cut_of(session, agency_id)
            # A later page must ask for the cut of the first one, or it would be a page of another list.
            cut = request.stock_movement_number or last
            if cut > last:
                raise InvalidArgument.field(
                    "stock_movement_number", f"{cut} is not reached yet; the last one is {last}"
                )
            page = Page.of(request, filters={"agency_id": agency_id, "cut": request.stock_movement_number})
            totals = store.totals_up_to(session, agency_id, cut)
            found = store.values_up_to(session, agency_id, cut, page.after, page.size + 1)
        more = len(found) > page.size
        last_key = found[page.size - 1] if more else None
        return stock_pb2.GetStockValuationResponse(
            stock_movement_number=cut,
            totals=[to_money(Money(value_minor, currency)) for currency, value_minor in totals],
            values=[wire.valued_message(valued) for valued in found[: page.size]],
            next_page_token=(
                page.token(
                    [last_key.item_id, last_key.warehouse_id, last_key.fund_code, last_key.lot, last_key.currency]
                )
                if last_key
                else ""
            ),
        )

    @rpc(STOCK)
    def list_stock_movements(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        filters = {
            "item_id": optional_uuid(request.item_id, "item_id"),
            "warehouse_id": optional_uuid(request.warehouse_id, "warehouse_id"),
        }
        page = Page.of(request, filters={"agency_id": agency_id, **filters})
        after = page.after[0] if page.after else 0
        with self.db.read(call) as session:
            found = store.movements_after(session, agency_id, after, page.size + 1, **filters)
        more = len(found) > page.size
        return stock_pb2.ListStockMovementsResponse(
            stock_movements=[wire.movement_message(movement) for movement in found[: page.size]],
            next_page_token=page.token([found[page.size - 1].stock_movement_number]) if more else "",
        )
