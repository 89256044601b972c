"""The rows of the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from chassis.errors import NotFound
from services.logistics.catalog.domain import Item, ItemCodeTaken, Treatment, ValuationMethod
from services.logistics.catalog.tables import ItemRow


def _item(row: ItemRow) -> Item:
    return Item(
        item_id=row.item_id,
        code=row.code,
        display_name=row.display_name,
        unit_of_measure=row.unit_of_measure,
        treatment=Treatment(row.treatment),
        valuation_method=ValuationMethod(row.valuation_method) if row.valuation_method else None,
        negative_allowed=row.negative_allowed,
        unspsc_code=row.unspsc_code,
        expenditure_account_code=row.expenditure_account_code,
        active=row.active,
        created_at=row.created_at,
        version=row.version,
    )


def item_by_id(session: Session, item_id: UUID, *, lock: bool = False) -> Item:
    """The item; NOT_FOUND when there is none. With `lock` its row is held until the transaction ends."""
    row = session.get(ItemRow, item_id, with_for_update={"key_share": True} if lock else None)
    if row is None:
        raise NotFound.resource("item", item_id)
    return _item(row)


def items_by_id(session: Session, item_ids: Iterable[UUID]) -> dict[UUID, Item]:
    """The items with these ids; NOT_FOUND names the first that is missing."""
    wanted = sorted(set(item_ids))
    rows = session.execute(select(ItemRow).where(ItemRow.item_id.in_(wanted))).scalars()
    found = {row.item_id: _item(row) for row in rows}
    for item_id in wanted:
        if item_id not in found:
            raise NotFound.resource("item", item_id)
    return found


def insert_item(session: Session, item: Item) -> None:
    """Add the item; ITEM_CODE_TAKEN when another has its code."""
    added = session.execute(
        insert(ItemRow).values(**vars(item)).on_conflict_do_nothing().returning(ItemRow.item_id)
    ).first()
    if added is None:
        other = session.execute(select(ItemRow.item_id).where(ItemRow.code == item.code)).scalar_one()
        raise ItemCodeTaken(
            f"code {item.code} is that of item {other}; use it, or choose another code",
            metadata={"code": item.code, "item_id": str(other)},
        )


def update_item(session: Session, item: Item) -> None:
    """Write the locked row."""
    row = session.get_one(ItemRow, item.item_id)
    for name, value in vars(item).items():
        setattr(row, name, value)
    session.flush()


def items_after(session: Session, after_code: str | None, limit: int, *, code: str) -> list[Item]:
    """Up to `limit` items in the order of their codes, after `after_code`."""
    query = select(ItemRow).order_by(ItemRow.code).limit(limit)
    if after_code is not None:
        query = query.where(ItemRow.code > after_code)
    if code:
        query = query.where(ItemRow.code == code)
    return [_item(row) for row in session.execute(query).scalars()]
