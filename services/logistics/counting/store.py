"""The rows of stock counts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import Session

from chassis.errors import NotFound
from services.logistics.counting.domain import Count, CountStatus
from services.logistics.counting.tables import StockCountRow
from services.logistics.stock.domain import Position

_COPIED = [name for name in Count.__dataclass_fields__ if name not in ("position", "status")]


def _count(row: StockCountRow) -> Count:
    values: dict[str, Any] = {name: getattr(row, name) for name in _COPIED}
    position = Position(row.item_id, row.warehouse_id, row.lot)
    return Count(**values, position=position, status=CountStatus(row.status))


def count_by_id(session: Session, stock_count_id: UUID, *, lock: bool = False) -> Count:
    """The count; NOT_FOUND when there is none that may be seen. With `lock` its row is held."""
    row = session.get(StockCountRow, stock_count_id, with_for_update={"key_share": True} if lock else None)
    if row is None:
        raise NotFound.resource("stock count", stock_count_id)
    return _count(row)


def insert_count(session: Session, count: Count) -> None:
    """Add a count."""
    values = {name: getattr(count, name) for name in _COPIED}
    position = count.position
    session.add(
        StockCountRow(
            **values,
            item_id=position.item_id,
            warehouse_id=position.warehouse_id,
            lot=position.lot,
            status=count.status.value,
        )
    )
    session.flush()


def update_count(session: Session, count: Count) -> None:
    """Write what approval changes of the locked row."""
    row = session.get_one(StockCountRow, count.stock_count_id)
    row.status, row.version = count.status.value, count.version
    row.approved_by_person_id, row.stock_movement_id = count.approved_by_person_id, count.stock_movement_id
    session.flush()


def counts_after(session: Session, after: UUID | None, limit: int, *, agency_id: UUID | None) -> list[Count]:
    """Up to `limit` counts in the order of their ids, that is, of creation, after `after`."""
    query = select(StockCountRow).order_by(StockCountRow.stock_count_id).limit(limit)
    if after is not None:
        query = query.where(StockCountRow.stock_count_id > after)
    if agency_id is not None:
        query = query.where(StockCountRow.agency_id == agency_id)
    return [_count(row) for row in session.execute(query).scalars()]
