"""Between StockService's messages and the domain."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chassis import outbox
from chassis.money import Money
from chassis.wire import (
    from_decimal,
    from_timestamp,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.logistics.v1 import stock_events_pb2, stock_pb2
from services.logistics.pricing.domain import positive_quantity
from services.logistics.stock.domain import Balance, Movement, StockMovementPosted, unit_cost
from services.logistics.stock.store import Valued, Warehouse
from services.logistics.stock.usecases import Issue, Transfer
from services.logistics.wire import text_of, to_enum

WAREHOUSES, STOCK_MOVEMENTS, STOCK_COUNTS = "warehouses", "stockMovements", "stockCounts"
_KIND = "STOCK_MOVEMENT_KIND"


def new_warehouse(message: stock_pb2.Warehouse, warehouse_id: UUID, at: datetime) -> Warehouse:
    """The warehouse that a request asks to open."""
    agency_id = to_uuid(message.agency_id, "warehouse.agency_id")
    return Warehouse(warehouse_id, agency_id, message.code, message.display_name, at)


def warehouse_message(warehouse: Warehouse) -> stock_pb2.Warehouse:
    """The warehouse as the wire shows it."""
    return stock_pb2.Warehouse(
        name=resource_name(WAREHOUSES, warehouse.warehouse_id),
        warehouse_id=str(warehouse.warehouse_id),
        agency_id=str(warehouse.agency_id),
        code=warehouse.code,
        display_name=warehouse.display_name,
        create_time=to_timestamp(warehouse.created_at),
    )


def issue(request: stock_pb2.IssueStockRequest) -> Issue:
    """The issue that a request asks for."""
    return Issue(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        warehouse_id=to_uuid(request.warehouse_id, "warehouse_id"),
        item_id=to_uuid(request.item_id, "item_id"),
        fund_code=request.fund_code,
        lot=request.lot,
        quantity=positive_quantity(from_decimal(request.quantity, "quantity")),
        purpose=request.purpose,
        effective_at=(
            from_timestamp(request.effective_at, "effective_at") if request.HasField("effective_at") else None
        ),
    )


def transfer(request: stock_pb2.TransferStockRequest) -> Transfer:
    """The transfer that a request asks for."""
    return Transfer(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        from_warehouse_id=to_uuid(request.from_warehouse_id, "from_warehouse_id"),
        to_warehouse_id=to_uuid(request.to_warehouse_id, "to_warehouse_id"),
        item_id=to_uuid(request.item_id, "item_id"),
        fund_code=request.fund_code,
        lot=request.lot,
        quantity=positive_quantity(from_decimal(request.quantity, "quantity")),
        purpose=request.purpose,
    )


def _source_document(movement: Movement) -> str:
    if movement.receipt_id is not None:
        return resource_name("receipts", movement.receipt_id)
    if movement.stock_count_id is not None:
        return resource_name(STOCK_COUNTS, movement.stock_count_id)
    return ""


def movement_message(movement: Movement) -> stock_pb2.StockMovement:
    """The movement as the wire shows it."""
    before, after = movement.value_before_minor, movement.value_after_minor
    return stock_pb2.StockMovement(
        name=resource_name(STOCK_MOVEMENTS, movement.stock_movement_id),
        stock_movement_id=str(movement.stock_movement_id),
        agency_id=str(movement.agency_id),
        stock_movement_number=movement.stock_movement_number,
        kind=to_enum(stock_pb2.StockMovementKind, _KIND, movement.kind),
        item_id=str(movement.position.item_id),
        warehouse_id=str(movement.position.warehouse_id),
        fund_code=movement.fund_code,
        lot=movement.position.lot,
        quantity=to_decimal(movement.quantity),
        value=to_money(Money(movement.value_minor, movement.currency)),
        effective_at=to_timestamp(movement.effective_at),
        effective_on=to_date(movement.effective_on),
        accounting_on=to_date(movement.accounting_on),
        record_time=to_timestamp(movement.recorded_at),
        corrected_movement_id=text_of(movement.corrected_movement_id),
        cause_movement_id=text_of(movement.cause_movement_id),
        value_before=None if before is None else to_money(Money(before, movement.currency)),
        value_after=None if after is None else to_money(Money(after, movement.currency)),
        source_document=_source_document(movement),
        purpose=movement.purpose,
    )


def balance_message(balance: Balance) -> stock_pb2.GetStockBalanceResponse:
    """A balance as the wire shows it."""
    return stock_pb2.GetStockBalanceResponse(
        quantity=to_decimal(balance.quantity),
        value=to_money(Money(balance.value_minor, balance.currency)) if balance.currency else None,
        unit_cost=(
            to_decimal(unit_cost(balance.value_minor, balance.quantity, balance.currency))
            if balance.quantity > 0
            else None
        ),
        inspected_quantity=to_decimal(balance.inspected_quantity),
    )


def valued_message(valued: Valued) -> stock_pb2.StockValue:
    """A position's value as the wire shows it."""
    return stock_pb2.StockValue(
        item_id=str(valued.item_id),
        warehouse_id=str(valued.warehouse_id),
        fund_code=valued.fund_code,
        lot=valued.lot,
        quantity=to_decimal(valued.quantity),
        value=to_money(Money(valued.value_minor, valued.currency)),
    )


@outbox.translates(StockMovementPosted)
def _posted(event: StockMovementPosted) -> outbox.Envelope:
    movement = event.movement
    message = stock_events_pb2.StockMovementPosted(
        stock_movement_id=str(movement.stock_movement_id),
        agency_id=str(movement.agency_id),
        stock_movement_number=movement.stock_movement_number,
        kind=to_enum(stock_pb2.StockMovementKind, _KIND, movement.kind),
        item_id=str(movement.position.item_id),
        item_code=event.item_code,
        expenditure_account_code=event.expenditure_account_code,
        warehouse_id=str(movement.position.warehouse_id),
        fund_code=movement.fund_code,
        quantity=to_decimal(movement.quantity),
        value=to_money(Money(movement.value_minor, movement.currency)),
        effective_on=to_date(movement.effective_on),
        accounting_on=to_date(movement.accounting_on),
        corrected_movement_id=text_of(movement.corrected_movement_id),
        corrected_kind=to_enum(stock_pb2.StockMovementKind, _KIND, event.corrected_kind),
        cause_movement_id=text_of(movement.cause_movement_id),
        receipt_id=text_of(movement.receipt_id),
        purchase_order_line_id=text_of(movement.purchase_order_line_id),
        invoice_id=text_of(movement.invoice_id),
        budget_line_id=text_of(movement.budget_line_id),
    )
    # The key is the agency, so that its movements arrive in the order of their numbers.
    return outbox.Envelope(message, movement.agency_id, movement.agency_id, movement.stock_movement_number)
