"""What is done with stock: lock the agency's ledger, value, append, emit. Movements are never edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.ids import new_id
from chassis.money import CurrencyMismatch
from services.logistics.catalog import store as catalog
from services.logistics.catalog.domain import Item, Treatment
from services.logistics.stock import domain, store
from services.logistics.stock.domain import Correction, Draft, Entry, Holding, Kind, Movement, Policy, Position
from services.logistics.stock.store import Held, Warehouse


class NotStock(FailedPrecondition):
    """The item is never kept in a warehouse."""

    reason = "NOT_STOCK"


@dataclass(frozen=True)
class Posted:
    """What a posting added to the ledger."""

    movements: tuple[Movement, ...]
    corrections: tuple[Movement, ...]


def create_warehouse(session: Session, warehouse: Warehouse) -> Warehouse:
    """Open a warehouse."""
    store.insert_warehouse(session, warehouse)
    return warehouse


def stock_policy(item: Item) -> Policy:
    """How the item's stock is valued; NOT_STOCK when it has none."""
    if item.treatment is not Treatment.STOCK or item.valuation_method is None:
        raise NotStock(
            f"item {item.code} is {item.treatment}, so no warehouse keeps it", metadata={"item_id": str(item.item_id)}
        )
    return Policy(item.valuation_method, item.negative_allowed)


@dataclass(frozen=True)
class _Valued:
    values: dict[UUID, int]
    holdings: dict[Position, Holding]
    corrections: tuple[Correction, ...]


def post(
    session: Session,
    drafts: Sequence[Draft],
    *,
    agency_id: UUID,
    fund_code: str,
    item: Item,
    currency: str,
    by: UUID | None,
    at: datetime,
) -> Posted:
    """Append movements of one item and fund, and the corrections that they make necessary."""
    policy = stock_policy(item)
    last_number, recorded_at = store.lock_ledger(session, agency_id)
    positions = store.positions_of(session, agency_id, fund_code, item.item_id)
    for held in positions.values():
        if held.currency != currency:
            raise CurrencyMismatch(
                f"the stock of item {item.code} is valued in {held.currency}, not in {currency}",
                metadata={"left": held.currency, "right": currency},
            )
    drawn = _Drawn(agency_id, fund_code, currency, by, at.tzinfo, recorded_at)
    movements = _draw(drafts, last_number, drawn)
    entries = tuple(
        store.entry_of(movement, draft.value_minor) for movement, draft in zip(movements, drafts, strict=True)
    )
    valued = _valued(session, entries, positions, policy, agency_id, fund_code, item.item_id)
    movements = tuple(
        replace(movement, value_minor=valued.values[movement.stock_movement_id]) for movement in movements
    )
    last_number += len(movements)
    corrections = _corrections(
        session, valued.corrections, last_number, cause=movements[0].stock_movement_id, by=by, recorded_at=recorded_at
    )
    store.insert_movements(session, [*movements, *corrections])
    _keep(session, valued.holdings, positions, movements, agency_id, fund_code, currency)
    store.set_cut(session, agency_id, last_number + len(corrections))
    _emit(session, item, [*movements, *corrections])
    return Posted(movements, corrections)


@dataclass(frozen=True)
class _Drawn:
    """What all movements of a posting have in common."""

    agency_id: UUID
    fund_code: str
    currency: str
    by: UUID | None
    zone: tzinfo | None  # the government's: the business clock tells instants in it
    recorded_at: datetime


def _draw(drafts: Sequence[Draft], last_number: int, drawn: _Drawn) -> tuple[Movement, ...]:
    movements: list[Movement] = []
    for number, draft in enumerate(drafts, last_number + 1):
        effective_on = draft.effective_at.astimezone(drawn.zone).date()
        movements.append(
            Movement(
                stock_movement_id=new_id(),
                agency_id=drawn.agency_id,
                stock_movement_number=number,
                kind=draft.kind,
                position=draft.position,
                fund_code=drawn.fund_code,
                quantity=draft.quantity,
                value_minor=0,
                currency=drawn.currency,
                effective_at=draft.effective_at,
                effective_on=effective_on,
                accounting_on=domain.accounting_day(effective_on, None),
                recorded_at=drawn.recorded_at,
                linked_movement_id=movements[-1].stock_movement_id if draft.linked_to_previous else None,
                receipt_id=draft.receipt_id,
                purchase_order_line_id=draft.purchase_order_line_id,
                stock_count_id=draft.stock_count_id,
                budget_line_id=draft.budget_line_id,
                purpose=draft.purpose,
                person_id=drawn.by,
                priced=draft.value_minor is not None,
            )
        )
    return tuple(movements)


def _valued(
    session: Session,
    entries: tuple[Entry, ...],
    positions: dict[Position, Held],
    policy: Policy,
    agency_id: UUID,
    fund_code: str,
    item_id: UUID,
) -> _Valued:
    """On top of what is held when nothing later was recorded; else by the whole history with the news in it."""
    late = any(
        entry.effective_at < held.last_effective_at
        for entry in entries
        if (held := positions.get(entry.position)) is not None
    )
    if late:
        history = store.history_of(session, agency_id, fund_code, item_id)
        news = domain.late_news((*history.entries, *entries), history.recorded, {item_id: policy})
        return _Valued(dict(news.replay.values), dict(news.replay.holdings), news.corrections)
    values: dict[UUID, int] = {}
    extra: dict[UUID, int] = {}
    holdings: dict[Position, Holding] = {}
    for entry in entries:
        held = positions.get(entry.position)
        before = holdings.get(entry.position, held.holding if held else Holding())
        linked_minor = -sum(values[movement_id] for movement_id in entry.linked_from)
        applied = domain.apply(before, entry, policy, linked_minor)
        holdings[entry.position] = applied.holding
        values[entry.movement_id] = applied.value_minor
        for settlement in applied.settlements:
            extra[settlement.movement_id] = extra.get(settlement.movement_id, 0) + settlement.extra_minor
    so_far = store.values_so_far(session, extra)
    corrections = tuple(
        Correction(movement_id, so_far[movement_id], so_far[movement_id] - added)
        for movement_id, added in extra.items()
        if added
    )
    return _Valued(values, holdings, corrections)


def _corrections(
    session: Session,
    corrections: tuple[Correction, ...],
    last_number: int,
    *,
    cause: UUID,
    by: UUID | None,
    recorded_at: datetime,
    kind: Kind = Kind.CORRECTION,
    invoice_id: UUID | None = None,
) -> tuple[Movement, ...]:
    """One movement of value alone for each correction: effective when the corrected one was."""
    originals = store.movements_by_id(session, [correction.movement_id for correction in corrections])
    made = []
    for number, correction in enumerate(corrections, last_number + 1):
        original = originals[correction.movement_id]
        made.append(
            replace(
                original,
                stock_movement_id=new_id(),
                stock_movement_number=number,
                kind=kind,
                quantity=Decimal(0),
                value_minor=correction.change_minor,
                accounting_on=domain.accounting_day(original.effective_on, None),
                recorded_at=recorded_at,
                corrected_movement_id=correction.movement_id,
                cause_movement_id=None if kind is Kind.PRICE_VARIANCE else cause,
                value_before_minor=correction.before_minor,
                value_after_minor=correction.after_minor,
                linked_movement_id=None,
                invoice_id=invoice_id,
                purpose="",
                person_id=by,
                priced=False,
            )
        )
    return tuple(made)


def _keep(
    session: Session,
    holdings: dict[Position, Holding],
    positions: dict[Position, Held],
    movements: Sequence[Movement],
    agency_id: UUID,
    fund_code: str,
    currency: str,
) -> None:
    kept = {}
    for position, holding in holdings.items():
        instants = [movement.effective_at for movement in movements if movement.position == position]
        if position in positions:
            instants.append(positions[position].last_effective_at)
        kept[position] = Held(holding, currency, max(instants))
    store.save_positions(session, agency_id, fund_code, kept)


def _emit(session: Session, item: Item, movements: Sequence[Movement]) -> None:
    corrected = store.movements_by_id(
        session, [movement.corrected_movement_id for movement in movements if movement.corrected_movement_id]
    )
    outbox.emit_all(
        session,
        [
            domain.StockMovementPosted(
                movement,
                item.code,
                item.expenditure_account_code,
                corrected[movement.corrected_movement_id].kind if movement.corrected_movement_id else None,
            )
            for movement in movements
        ],
    )


# --- acts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Issue:
    """Goods that leave for use."""

    agency_id: UUID
    warehouse_id: UUID
    item_id: UUID
    fund_code: str
    lot: str
    quantity: Decimal
    purpose: str
    effective_at: datetime | None


@dataclass(frozen=True)
class Transfer:
    """Goods that move between two warehouses of one agency."""

    agency_id: UUID
    from_warehouse_id: UUID
    to_warehouse_id: UUID
    item_id: UUID
    fund_code: str
    lot: str
    quantity: Decimal
    purpose: str


def _currency_of(session: Session, agency_id: UUID, fund_code: str, item: Item) -> str:
    """The currency in which the item's stock is valued; STOCK_SHORT when there never was any."""
    for held in store.positions_of(session, agency_id, fund_code, item.item_id).values():
        return held.currency
    raise domain.StockShort(
        f"there never was any stock of item {item.code} here; receive it first",
        metadata={"item_id": str(item.item_id), "on_hand": "0"},
    )


def issue_stock(session: Session, order: Issue, *, by: UUID, at: datetime) -> Posted:
    """Take goods out for use."""
    effective_at = order.effective_at or at
    if effective_at > at:
        raise InvalidArgument.field("effective_at", "in the future; goods leave when they leave")
    item = catalog.item_by_id(session, order.item_id)
    lot = domain.lot_of(stock_policy(item).method, order.lot)
    store.warehouse_by_id(session, order.warehouse_id, agency_id=order.agency_id)
    position = Position(order.item_id, order.warehouse_id, lot)
    store.lock_ledger(session, order.agency_id)
    return post(
        session,
        [Draft(Kind.ISSUE, position, -order.quantity, effective_at, purpose=order.purpose)],
        agency_id=order.agency_id,
        fund_code=order.fund_code,
        item=item,
        currency=_currency_of(session, order.agency_id, order.fund_code, item),
        by=by,
        at=at,
    )


def transfer_stock(session: Session, order: Transfer, *, by: UUID, at: datetime) -> Posted:
    """Move goods with their value; both movements are one act, so nothing is left in transit."""
    if order.from_warehouse_id == order.to_warehouse_id:
        raise InvalidArgument.field("to_warehouse_id", "the goods are there already")
    item = catalog.item_by_id(session, order.item_id)
    lot = domain.lot_of(stock_policy(item).method, order.lot)
    store.warehouse_by_id(session, order.from_warehouse_id, agency_id=order.agency_id)
    store.warehouse_by_id(session, order.to_warehouse_id, agency_id=order.agency_id)
    outgoing = Position(order.item_id, order.from_warehouse_id, lot)
    incoming = Position(order.item_id, order.to_warehouse_id, lot)
    store.lock_ledger(session, order.agency_id)
    return post(
        session,
        [
            Draft(Kind.TRANSFER_OUT, outgoing, -order.quantity, at, purpose=order.purpose),
            Draft(Kind.TRANSFER_IN, incoming, order.quantity, at, linked_to_previous=True, purpose=order.purpose),
        ],
        agency_id=order.agency_id,
        fund_code=order.fund_code,
        item=item,
        currency=_currency_of(session, order.agency_id, order.fund_code, item),
        by=by,
        at=at,
    )


def record_variance(
    session: Session,
    *,
    agency_id: UUID,
    invoice_id: UUID,
    purchase_order_line_id: UUID,
    item: Item,
    fund_code: str,
    invoiced_before: Decimal,
    quantity: Decimal,
    variance_minor: int,
) -> Posted:
    """An approved invoice differs from the order's price: late news on the receipts that it bills (N21).

    The receipts' own change is one PRICE_VARIANCE, which finance posts from the invoice; what was issued meanwhile
    follows as corrections of the issues.
    """
    last_number, recorded_at = store.lock_ledger(session, agency_id)
    receipts = store.receipts_of_order_line(session, purchase_order_line_id)
    shares = dict(domain.variance_by_receipt(receipts, invoiced_before, quantity, variance_minor))
    if not shares:
        return Posted((), ())
    history = store.history_of(session, agency_id, fund_code, item.item_id)
    before = store.values_so_far(session, shares)
    entries = tuple(
        replace(entry, value_minor=(entry.value_minor or 0) + shares.get(entry.movement_id, 0))
        if entry.movement_id in shares
        else entry
        for entry in history.entries
    )
    news = domain.late_news(entries, history.recorded, {item.item_id: stock_policy(item)})
    first, *others = shares
    whole = Correction(first, before[first], before[first] + sum(shares.values()))
    variances = _corrections(
        session,
        (whole,),
        last_number,
        cause=first,
        by=None,
        recorded_at=recorded_at,
        kind=Kind.PRICE_VARIANCE,
        invoice_id=invoice_id,
    )
    last_number += len(variances)
    corrections = _corrections(
        session,
        (*_shared(whole, [(other, before[other], shares[other]) for other in others]), *news.corrections),
        last_number,
        cause=variances[0].stock_movement_id,
        by=None,
        recorded_at=recorded_at,
    )
    store.insert_movements(session, [*variances, *corrections])
    positions = store.positions_of(session, agency_id, fund_code, item.item_id)
    currency = variances[0].currency
    _keep(session, dict(news.replay.holdings), positions, (), agency_id, fund_code, currency)
    store.set_cut(session, agency_id, last_number + len(corrections))
    _emit(session, item, [*variances, *corrections])
    return Posted(variances, corrections)


def _shared(whole: Correction, others: list[tuple[UUID, int, int]]) -> tuple[Correction, ...]:
    """Take each other receipt's share off the first one, which got the whole, and put it where it belongs.

    Finance knows one variance an invoice line, so one movement tells it; the shares between receipts cancel out.
    """
    made, left = [], whole.after_minor
    for movement_id, before_minor, share in others:
        made.append(Correction(whole.movement_id, left, left - share))
        made.append(Correction(movement_id, before_minor, before_minor + share))
        left -= share
    return tuple(made)
