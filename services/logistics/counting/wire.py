"""Between StockService's counts and the domain."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chassis.wire import from_decimal, resource_name, to_decimal, to_timestamp, to_uuid
from kelola.logistics.v1 import stock_pb2
from services.logistics.counting.domain import Count
from services.logistics.etag import etag_of
from services.logistics.pricing import domain as pricing
from services.logistics.stock.domain import Movement, Position
from services.logistics.stock.wire import STOCK_COUNTS, movement_message
from services.logistics.wire import optional_decimal, text_of, to_enum


def new_count(message: stock_pb2.StockCount, stock_count_id: UUID, by: UUID, at: datetime) -> Count:
    """The count that a request asks to write down."""
    counted = from_decimal(message.counted_quantity, "stock_count.counted_quantity")
    price = optional_decimal(message, "unit_price", "stock_count.unit_price")
    return Count(
        stock_count_id=stock_count_id,
        agency_id=to_uuid(message.agency_id, "stock_count.agency_id"),
        position=Position(
            to_uuid(message.item_id, "stock_count.item_id"),
            to_uuid(message.warehouse_id, "stock_count.warehouse_id"),
            message.lot,
        ),
        fund_code=message.fund_code,
        counted_quantity=pricing.quantity_from_zero(counted, "stock_count.counted_quantity"),
        unit_price=None if price is None else pricing.unit_price(price, "stock_count.unit_price"),
        currency=message.currency_code,
        cause=message.cause,
        counted_by_person_id=by,
        created_at=at,
    )


def count_message(count: Count, movement: Movement | None) -> stock_pb2.StockCount:
    """The count as the wire shows it, with the movement that its approval made."""
    return stock_pb2.StockCount(
        name=resource_name(STOCK_COUNTS, count.stock_count_id),
        stock_count_id=str(count.stock_count_id),
        agency_id=str(count.agency_id),
        warehouse_id=str(count.position.warehouse_id),
        item_id=str(count.position.item_id),
        fund_code=count.fund_code,
        lot=count.position.lot,
        counted_quantity=to_decimal(count.counted_quantity),
        unit_price=None if count.unit_price is None else to_decimal(count.unit_price),
        currency_code=count.currency,
        cause=count.cause,
        status=to_enum(stock_pb2.StockCountStatus, "STOCK_COUNT_STATUS", count.status),
        counted_by_person_id=str(count.counted_by_person_id),
        approved_by_person_id=text_of(count.approved_by_person_id),
        movement=None if movement is None else movement_message(movement),
        create_time=to_timestamp(count.created_at),
        etag=etag_of(count.version),
    )
