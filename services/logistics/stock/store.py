"""The rows of warehouses and of the stock ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from chassis.errors import AlreadyExists, NotFound
from services.logistics.stock.domain import (
    Balance,
    Entry,
    Holding,
    Kind,
    Layer,
    Movement,
    Position,
    ReceivedPart,
    Shortage,
)
from services.logistics.stock.tables import StockMovementRow, StockPositionRow, WarehouseRow


@dataclass(frozen=True)
class Warehouse:
    """A place of an agency where stock is kept."""

    warehouse_id: UUID
    agency_id: UUID
    code: str
    display_name: str
    created_at: datetime


class WarehouseCodeTaken(AlreadyExists):
    """The agency has a warehouse of this code."""

    reason = "WAREHOUSE_CODE_TAKEN"


def insert_warehouse(session: Session, warehouse: Warehouse) -> None:
    """Add the warehouse; WAREHOUSE_CODE_TAKEN when the agency has one of its code."""
    added = session.execute(
        insert(WarehouseRow).values(**vars(warehouse)).on_conflict_do_nothing().returning(WarehouseRow.warehouse_id)
    ).first()
    if added is None:
        raise WarehouseCodeTaken(
            f"the agency has a warehouse {warehouse.code} already; choose another code",
            metadata={"code": warehouse.code, "agency_id": str(warehouse.agency_id)},
        )


def _warehouse(row: WarehouseRow) -> Warehouse:
    return Warehouse(row.warehouse_id, row.agency_id, row.code, row.display_name, row.created_at)


def warehouse_by_id(session: Session, warehouse_id: UUID, *, agency_id: UUID | None = None) -> Warehouse:
    """The warehouse (of that agency, if one is named); NOT_FOUND when there is none that may be seen."""
    row = session.get(WarehouseRow, warehouse_id)
    if row is None or (agency_id is not None and row.agency_id != agency_id):
        raise NotFound.resource("warehouse", warehouse_id)
    return _warehouse(row)


def warehouses_after(session: Session, after: UUID | None, limit: int, *, agency_id: UUID | None) -> list[Warehouse]:
    """Up to `limit` warehouses in the order of their ids, that is, of creation, after `after`."""
    query = select(WarehouseRow).order_by(WarehouseRow.warehouse_id).limit(limit)
    if after is not None:
        query = query.where(WarehouseRow.warehouse_id > after)
    if agency_id is not None:
        query = query.where(WarehouseRow.agency_id == agency_id)
    return [_warehouse(row) for row in session.execute(query).scalars()]


# --- the ledger -----------------------------------------------------------------------------------------------

_LOCK_CUT = text(
    """
    insert into stock_cut (agency_id, last_number) values (:agency_id, 0)
    on conflict (agency_id) do update set last_number = stock_cut.last_number
    returning last_number, transaction_timestamp()
    """
)


def lock_ledger(session: Session, agency_id: UUID) -> tuple[int, datetime]:
    """Hold the agency's ledger until the transaction ends; its last movement number, and when this is recorded.

    Numbers must follow commits without gaps, so an agency's movements are made one transaction after another; the lock
    is taken before anything is read of the stock, which makes it the only lock that the stock needs.
    """
    last_number, recorded_at = session.execute(_LOCK_CUT, {"agency_id": agency_id}).one()
    return int(last_number), recorded_at


def set_cut(session: Session, agency_id: UUID, last_number: int) -> None:
    """The agency's last movement number, under its lock."""
    session.execute(
        text("update stock_cut set last_number = :last_number where agency_id = :agency_id"),
        {"agency_id": agency_id, "last_number": last_number},
    )


@dataclass(frozen=True)
class Held:
    """A position as it is kept: what it holds, in which currency, and the instant of its last movement."""

    holding: Holding
    currency: str
    last_effective_at: datetime


def _held(row: StockPositionRow) -> Held:
    holding = Holding(
        layers=tuple(Layer(Decimal(quantity), int(value)) for quantity, value in row.layers),
        shortages=tuple(
            Shortage(UUID(movement), Decimal(quantity), int(value)) for movement, quantity, value in row.shortages
        ),
        last_unit_cost=Fraction(row.last_unit_cost) if row.last_unit_cost else None,
    )
    return Held(holding, row.currency, row.last_effective_at)


def positions_of(session: Session, agency_id: UUID, fund_code: str, item_id: UUID) -> dict[Position, Held]:
    """What an agency holds of an item of a fund, in all warehouses, under the ledger's lock."""
    rows = session.execute(
        select(StockPositionRow)
        .where(
            StockPositionRow.agency_id == agency_id,
            StockPositionRow.fund_code == fund_code,
            StockPositionRow.item_id == item_id,
        )
        .execution_options(populate_existing=True)
    ).scalars()
    return {Position(row.item_id, row.warehouse_id, row.lot): _held(row) for row in rows}


def save_positions(session: Session, agency_id: UUID, fund_code: str, positions: Mapping[Position, Held]) -> None:
    """Keep what positions hold now."""
    for position, held in positions.items():
        unit = held.holding.last_unit_cost
        session.merge(
            StockPositionRow(
                agency_id=agency_id,
                fund_code=fund_code,
                item_id=position.item_id,
                warehouse_id=position.warehouse_id,
                lot=position.lot,
                quantity=held.holding.quantity,
                value_minor=held.holding.value_minor,
                currency=held.currency,
                layers=[[str(layer.quantity), layer.value_minor] for layer in held.holding.layers],
                shortages=[
                    [str(shortage.movement_id), str(shortage.quantity), shortage.value_minor]
                    for shortage in held.holding.shortages
                ],
                last_unit_cost="" if unit is None else f"{unit.numerator}/{unit.denominator}",
                last_effective_at=held.last_effective_at,
            )
        )
    session.flush()


def _movement(row: StockMovementRow) -> Movement:
    values = {name: getattr(row, name) for name in _COPIED}
    return Movement(**values, kind=Kind(row.kind), position=Position(row.item_id, row.warehouse_id, row.lot))


_COPIED = [name for name in Movement.__dataclass_fields__ if name not in ("kind", "position")]


def insert_movements(session: Session, movements: Iterable[Movement]) -> None:
    """Add movements to the ledger."""
    for movement in movements:
        session.add(
            StockMovementRow(
                **{name: getattr(movement, name) for name in _COPIED},
                kind=movement.kind.value,
                item_id=movement.position.item_id,
                warehouse_id=movement.position.warehouse_id,
                lot=movement.position.lot,
            )
        )
    session.flush()


def movements_by_id(session: Session, movement_ids: Iterable[UUID]) -> dict[UUID, Movement]:
    """Movements by their ids."""
    rows = session.execute(
        select(StockMovementRow).where(StockMovementRow.stock_movement_id.in_(list(movement_ids)))
    ).scalars()
    return {row.stock_movement_id: _movement(row) for row in rows}


@dataclass(frozen=True)
class History:
    """An item's ledger in all warehouses: movements, their entries for the valuation, and their values so far."""

    movements: Mapping[UUID, Movement]
    entries: tuple[Entry, ...]
    recorded: Mapping[UUID, int]  # of those whose value the method finds; corrections included


def entry_of(movement: Movement, given_minor: int | None) -> Entry:
    """A movement as the valuation sees it; `given_minor` is None where the method finds the value."""
    linked = movement.kind is Kind.TRANSFER_IN and movement.linked_movement_id is not None
    return Entry(
        movement_id=movement.stock_movement_id,
        position=movement.position,
        effective_at=movement.effective_at,
        sequence=movement.stock_movement_number,
        quantity=movement.quantity,
        value_minor=given_minor,
        linked_from=(movement.linked_movement_id,) if linked and movement.linked_movement_id else (),
        is_transfer=movement.kind is Kind.TRANSFER_OUT,
    )


def history_of(session: Session, agency_id: UUID, fund_code: str, item_id: UUID) -> History:
    """The whole ledger of an agency's item and fund, under the ledger's lock."""
    rows = session.execute(
        select(StockMovementRow)
        .where(
            StockMovementRow.agency_id == agency_id,
            StockMovementRow.fund_code == fund_code,
            StockMovementRow.item_id == item_id,
        )
        .order_by(StockMovementRow.stock_movement_number)
    ).scalars()
    movements = [_movement(row) for row in rows]
    changed: dict[UUID, int] = {}
    for movement in movements:
        if movement.corrected_movement_id is not None:
            changed[movement.corrected_movement_id] = (
                changed.get(movement.corrected_movement_id, 0) + movement.value_minor
            )
    entries, recorded = [], {}
    for movement in movements:
        if movement.corrected_movement_id is not None:
            continue
        value = movement.value_minor + changed.get(movement.stock_movement_id, 0)
        entries.append(entry_of(movement, value if movement.priced else None))
        if not movement.priced:
            recorded[movement.stock_movement_id] = value
    return History({movement.stock_movement_id: movement for movement in movements}, tuple(entries), recorded)


def values_so_far(session: Session, movement_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The values of movements, corrections included."""
    ids = list(movement_ids)
    own = session.execute(
        select(StockMovementRow.stock_movement_id, StockMovementRow.value_minor).where(
            StockMovementRow.stock_movement_id.in_(ids)
        )
    )
    values = {movement_id: int(value) for movement_id, value in own}
    added = session.execute(
        select(StockMovementRow.corrected_movement_id, func.sum(StockMovementRow.value_minor))
        .where(StockMovementRow.corrected_movement_id.in_(ids))
        .group_by(StockMovementRow.corrected_movement_id)
    )
    for movement_id, value in added:
        values[movement_id] += int(value)
    return values


def receipts_of_order_line(session: Session, purchase_order_line_id: UUID) -> list[ReceivedPart]:
    """The receipts of an order line, in the order of acceptance."""
    rows = session.execute(
        select(StockMovementRow.stock_movement_id, StockMovementRow.quantity)
        .where(
            StockMovementRow.purchase_order_line_id == purchase_order_line_id,
            StockMovementRow.kind == Kind.RECEIPT.value,
        )
        .order_by(StockMovementRow.stock_movement_number)
    )
    return [ReceivedPart(movement_id, quantity) for movement_id, quantity in rows]


# --- questions ------------------------------------------------------------------------------------------------


def balance(
    session: Session, agency_id: UUID, item_id: UUID, *, warehouse_id: UUID | None, as_of: date | None
) -> Balance:
    """Quantity and value of an item; with `as_of` of what was effective on or before that day, as known now."""
    rows: Any = StockPositionRow if as_of is None else StockMovementRow
    query = select(
        func.coalesce(func.sum(rows.quantity), 0),
        func.coalesce(func.sum(rows.value_minor), 0),
        func.max(rows.currency),
    ).where(rows.agency_id == agency_id, rows.item_id == item_id)
    if warehouse_id is not None:
        query = query.where(rows.warehouse_id == warehouse_id)
    if as_of is not None:
        query = query.where(rows.effective_on <= as_of)
    quantity, value_minor, currency = session.execute(query).one()
    return Balance(Decimal(quantity), int(value_minor), currency or "")


@dataclass(frozen=True)
class Valued:
    """The stock of one position up to a cut."""

    item_id: UUID
    warehouse_id: UUID
    fund_code: str
    lot: str
    quantity: Decimal
    value_minor: int
    currency: str


def cut_of(session: Session, agency_id: UUID) -> int:
    """The agency's last movement number; 0 before its first."""
    found = session.execute(
        text("select last_number from stock_cut where agency_id = :agency_id"), {"agency_id": agency_id}
    ).scalar_one_or_none()
    return int(found or 0)


def totals_up_to(session: Session, agency_id: UUID, number: int) -> list[tuple[str, int]]:
    """The value of an agency's stock up to and including a movement number, by currency."""
    rows = session.execute(
        select(StockMovementRow.currency, func.sum(StockMovementRow.value_minor))
        .where(StockMovementRow.agency_id == agency_id, StockMovementRow.stock_movement_number <= number)
        .group_by(StockMovementRow.currency)
        .order_by(StockMovementRow.currency)
    )
    return [(currency, int(value)) for currency, value in rows]


def values_up_to(
    session: Session, agency_id: UUID, number: int, after: tuple[Any, ...] | None, limit: int
) -> list[Valued]:
    """Up to `limit` positions with their stock up to a movement number, after the key `after`."""
    key = (
        StockMovementRow.item_id,
        StockMovementRow.warehouse_id,
        StockMovementRow.fund_code,
        StockMovementRow.lot,
        StockMovementRow.currency,
    )
    query = (
        select(*key, func.sum(StockMovementRow.quantity), func.sum(StockMovementRow.value_minor))
        .where(StockMovementRow.agency_id == agency_id, StockMovementRow.stock_movement_number <= number)
        .group_by(*key)
        .order_by(*key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after))
    return [
        Valued(item_id, warehouse_id, fund_code, lot, Decimal(quantity), int(value), currency)
        for item_id, warehouse_id, fund_code, lot, currency, quantity, value in session.execute(query)
    ]


def movements_after(
    session: Session,
    agency_id: UUID,
    after_number: int,
    limit: int,
    *,
    item_id: UUID | None,
    warehouse_id: UUID | None,
) -> list[Movement]:
    """Up to `limit` movements of an agency in the order of their numbers, after `after_number`."""
    query = (
        select(StockMovementRow)
        .where(StockMovementRow.agency_id == agency_id, StockMovementRow.stock_movement_number > after_number)
        .order_by(StockMovementRow.stock_movement_number)
        .limit(limit)
    )
    if item_id is not None:
        query = query.where(StockMovementRow.item_id == item_id)
    if warehouse_id is not None:
        query = query.where(StockMovementRow.warehouse_id == warehouse_id)
    return [_movement(row) for row in session.execute(query).scalars()]
