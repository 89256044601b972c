"""What is done with stock counts: load, decide, save; the ledger follows on approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session

from services.logistics.catalog import store as catalog
from services.logistics.counting import domain, store
from services.logistics.counting.domain import Count
from services.logistics.etag import require_etag
from services.logistics.pricing.domain import value_of
from services.logistics.stock import store as stock_store
from services.logistics.stock import usecases as stock
from services.logistics.stock.domain import Draft, Kind, Movement, lot_of


def create_count(session: Session, count: Count) -> Count:
    """Write a count down; the books do not change yet."""
    item = catalog.item_by_id(session, count.position.item_id)
    lot_of(stock.stock_policy(item).method, count.position.lot, "stock_count.lot")
    stock_store.warehouse_by_id(session, count.position.warehouse_id, agency_id=count.agency_id)
    store.insert_count(session, count)
    return count


def approve_count(
    session: Session, stock_count_id: UUID, *, by: UUID, at: datetime, etag: str
) -> tuple[Count, Movement | None]:
    """Adjust the books to the count: found goods at the current unit cost, lost ones as an issue."""
    count = store.count_by_id(session, stock_count_id, lock=True)
    require_etag(etag, count.version, f"count {stock_count_id}")
    approved = domain.approve_count(count, by=by)
    stock_store.lock_ledger(session, count.agency_id)
    item = catalog.item_by_id(session, count.position.item_id)
    positions = stock_store.positions_of(session, count.agency_id, count.fund_code, item.item_id)
    held = positions.get(count.position)
    difference = count.counted_quantity - (held.holding.quantity if held else Decimal(0))
    movement = None
    if difference:
        posted = stock.post(
            session,
            [_draft(count, difference, at, has_history=held is not None)],
            agency_id=count.agency_id,
            fund_code=count.fund_code,
            item=item,
            currency=count.currency,
            by=by,
            at=at,
        )
        movement = posted.movements[0]
        approved = replace(approved, stock_movement_id=movement.stock_movement_id)
    store.update_count(session, approved)
    return approved, movement


def _draft(count: Count, difference: Decimal, at: datetime, *, has_history: bool) -> Draft:
    value_minor = None
    if difference > 0 and not has_history and count.unit_price is not None:
        value_minor = value_of(difference, count.unit_price, count.currency).minor
    return Draft(
        Kind.COUNT_GAIN if difference > 0 else Kind.COUNT_LOSS,
        count.position,
        difference,
        at,
        value_minor=value_minor,
        stock_count_id=count.stock_count_id,
        purpose=count.cause,
    )
