"""The value of stock: whole minor units as truth, unit cost derived (domain rules §6).

A position is an item in a warehouse (and lot) of one fund of an agency. Its movements are ordered by (effective
instant, sequence). `replay` values a whole history; `late_news` compares a history with something inserted or changed
against what was recorded, and tells the corrections. Values are signed: negative leaves the stock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import allocate, checked, exponent, round_half_away
from services.logistics.catalog.domain import ValuationMethod
from services.logistics.pricing.domain import shown


class Kind(StrEnum):
    """Why stock moved."""

    RECEIPT = "RECEIPT"
    ISSUE = "ISSUE"
    TRANSFER_OUT = "TRANSFER_OUT"
    TRANSFER_IN = "TRANSFER_IN"
    COUNT_GAIN = "COUNT_GAIN"
    COUNT_LOSS = "COUNT_LOSS"
    CORRECTION = "CORRECTION"
    PRICE_VARIANCE = "PRICE_VARIANCE"


class StockShort(FailedPrecondition):
    """More would leave than is on hand, at that instant or a later one."""

    reason = "STOCK_SHORT"


class UnitCostUnknown(FailedPrecondition):
    """Nothing is on hand and there is no history: a price must be given."""

    reason = "UNIT_COST_UNKNOWN"


class NothingToRevalue(FailedPrecondition):
    """A change of value needs something on hand."""

    reason = "NOTHING_TO_REVALUE"


@dataclass(frozen=True)
class Position:
    """Where value is kept: an item in a warehouse, and its lot when each lot has its own cost."""

    item_id: UUID
    warehouse_id: UUID
    lot: str = ""


@dataclass(frozen=True)
class Policy:
    """How an item's stock is valued."""

    method: ValuationMethod
    negative_allowed: bool = False


@dataclass(frozen=True)
class Layer:
    """Goods of one cost: a receipt's under FIFO, all that is on hand under the other methods."""

    quantity: Decimal
    value_minor: int


@dataclass(frozen=True)
class Shortage:
    """What was issued before it was there, at a provisional value, until the next receipt covers it."""

    movement_id: UUID
    quantity: Decimal
    value_minor: int


@dataclass(frozen=True)
class Settlement:
    """What a receipt adds to the cost of an earlier issue that it covers."""

    movement_id: UUID
    extra_minor: int


@dataclass(frozen=True)
class Holding:
    """The stock of one position."""

    layers: tuple[Layer, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    last_unit_cost: Fraction | None = None  # minor units a unit

    @property
    def quantity(self) -> Decimal:
        """On hand; negative while short."""
        there = sum((layer.quantity for layer in self.layers), Decimal(0))
        return there - sum((shortage.quantity for shortage in self.shortages), Decimal(0))

    @property
    def value_minor(self) -> int:
        """Its value; negative while short."""
        there = sum(layer.value_minor for layer in self.layers)
        return checked(there - sum(shortage.value_minor for shortage in self.shortages))


def _part(value_minor: int, quantity: Decimal, whole: Decimal) -> int:
    return round_half_away(Fraction(value_minor) * Fraction(quantity) / Fraction(whole))


def unit_cost(value_minor: int, quantity: Decimal, currency: str) -> Decimal:
    """Value / quantity in currency units, with 4 decimals, half away from zero: for showing, never for reckoning."""
    exact = Fraction(value_minor) / 10 ** exponent(currency) / Fraction(quantity)
    return Decimal(round_half_away(exact * 10_000)).scaleb(-4)


def receive(
    holding: Holding, method: ValuationMethod, quantity: Decimal, value_minor: int
) -> tuple[Holding, tuple[Settlement, ...]]:
    """Goods come in: a shortage is covered first, at the receipt's cost; only the rest is on hand (N20)."""
    settlements, shortages = [], []
    covered, covered_minor = Decimal(0), 0
    for shortage in holding.shortages:
        part = min(shortage.quantity, quantity - covered)
        if not part:
            shortages.append(shortage)
            continue
        covered += part
        cost = _part(value_minor, covered, quantity) - covered_minor
        covered_minor += cost
        provisional = _part(shortage.value_minor, part, shortage.quantity)
        if cost != provisional:
            settlements.append(Settlement(shortage.movement_id, cost - provisional))
        if part < shortage.quantity:
            shortages.append(
                replace(shortage, quantity=shortage.quantity - part, value_minor=shortage.value_minor - provisional)
            )
    layers, last_unit_cost = holding.layers, Fraction(value_minor) / Fraction(quantity)
    if quantity > covered:
        rest = Layer(quantity - covered, value_minor - covered_minor)
        if method is ValuationMethod.FIFO or not layers:
            layers = (*layers, rest)
        else:
            (held,) = layers
            layers = (Layer(held.quantity + rest.quantity, held.value_minor + rest.value_minor),)
            last_unit_cost = Fraction(layers[0].value_minor) / Fraction(layers[0].quantity)
    return Holding(layers, tuple(shortages), last_unit_cost), tuple(settlements)


def issue(holding: Holding, quantity: Decimal, movement_id: UUID, *, negative_allowed: bool) -> tuple[Holding, int]:
    """Goods leave: whole layers as they are, the split one by round(value × q / quantity), N18. The cost, unsigned.

    What is not there is refused with STOCK_SHORT, or priced at the last unit cost when the item may be negative.
    """
    wanted, cost, layers, last_unit_cost = quantity, 0, list(holding.layers), holding.last_unit_cost
    while wanted and layers:
        layer = layers[0]
        last_unit_cost = Fraction(layer.value_minor) / Fraction(layer.quantity)
        if layer.quantity <= wanted:
            wanted, cost = wanted - layer.quantity, cost + layer.value_minor
            del layers[0]
        else:
            part = _part(layer.value_minor, wanted, layer.quantity)
            layers[0] = Layer(layer.quantity - wanted, layer.value_minor - part)
            wanted, cost = Decimal(0), cost + part
    shortages = holding.shortages
    if wanted:
        if not negative_allowed:
            raise StockShort(
                f"{shown(quantity)} asked, {shown(quantity - wanted)} on hand: short by {shown(wanted)}",
                metadata={
                    "asked": f"{shown(quantity)}",
                    "on_hand": f"{shown(quantity - wanted)}",
                    "short_by": f"{shown(wanted)}",
                },
            )
        if last_unit_cost is None:
            raise UnitCostUnknown("the item was never here, so its cost is not known; receive it first")
        provisional = round_half_away(last_unit_cost * Fraction(wanted))
        shortages = (*shortages, Shortage(movement_id, wanted, provisional))
        cost += provisional
    return Holding(tuple(layers), shortages, last_unit_cost), checked(cost)


def current_cost(holding: Holding, quantity: Decimal) -> int:
    """The value of `quantity` found at a count: at the current unit cost, else the last one known."""
    if holding.quantity > 0:
        return _part(holding.value_minor, quantity, holding.quantity)
    if holding.last_unit_cost is None:
        raise UnitCostUnknown("nothing is on hand and there is no history; give a unit_price at fair value")
    return round_half_away(holding.last_unit_cost * Fraction(quantity))


def revalue(holding: Holding, change_minor: int) -> Holding:
    """The value on hand changes without quantity, shared over the layers by their value."""
    if not holding.layers:
        raise NothingToRevalue("nothing is on hand, so there is no value to change")
    weights = [layer.value_minor for layer in holding.layers]
    shares = allocate(change_minor, weights if sum(weights) > 0 else [Fraction(x.quantity) for x in holding.layers])
    layers = tuple(
        replace(layer, value_minor=layer.value_minor + share)
        for layer, share in zip(holding.layers, shares, strict=True)
    )
    unit = Fraction(layers[-1].value_minor) / Fraction(layers[-1].quantity)
    return replace(holding, layers=layers, last_unit_cost=unit)


@dataclass(frozen=True)
class Entry:
    """A movement as the valuation sees it.

    `value_minor` is given for what comes with a price (a receipt, variances included; a gift; with quantity 0 a
    revaluation) and None where the method finds it. What comes from other movements (a transfer's arrival, an
    assembled item) names them in `linked_from`: its value is theirs plus `value_minor`. `reverses` names a cancelled
    movement: the pair leaves no trace in the valuation.
    """

    movement_id: UUID
    position: Position
    effective_at: datetime
    sequence: int
    quantity: Decimal
    value_minor: int | None = None
    linked_from: tuple[UUID, ...] = ()
    reverses: UUID | None = None
    is_transfer: bool = False


@dataclass(frozen=True)
class Replay:
    """A valued history: each movement's value, settlements included, and what is held at the end."""

    values: Mapping[UUID, int]
    holdings: Mapping[Position, Holding]


@dataclass(frozen=True)
class Applied:
    """One movement applied to its position."""

    holding: Holding
    value_minor: int
    settlements: tuple[Settlement, ...] = ()


def apply(holding: Holding, entry: Entry, policy: Policy, linked_minor: int = 0) -> Applied:
    """Value one movement on top of what is held. `linked_minor`: what its linked movements took out, unsigned."""
    if entry.quantity < 0:
        # A transfer carries real value to another warehouse, so it never takes what is not there.
        negative_allowed = policy.negative_allowed and not entry.is_transfer
        held, cost = issue(holding, -entry.quantity, entry.movement_id, negative_allowed=negative_allowed)
        return Applied(held, -cost)
    if entry.quantity == 0:
        change = entry.value_minor or 0
        return Applied(revalue(holding, change), change)
    if entry.linked_from:
        value = linked_minor + (entry.value_minor or 0)
    elif entry.value_minor is not None:
        value = entry.value_minor
    else:
        value = current_cost(holding, entry.quantity)
    held, settlements = receive(holding, policy.method, entry.quantity, checked(value))
    return Applied(held, value, settlements)


def fold_cancelled(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in their order, cancelled movements and their counter-movements left out."""
    entries = list(entries)
    cancelled = {entry.reverses for entry in entries if entry.reverses is not None}
    kept = [entry for entry in entries if entry.reverses is None and entry.movement_id not in cancelled]
    return sorted(kept, key=lambda entry: (entry.effective_at, entry.sequence))


def running_quantities(entries: Iterable[Entry]) -> list[Decimal]:
    """What was on hand after each movement of one position, cancelled pairs folded."""
    running, quantities = Decimal(0), []
    for entry in fold_cancelled(entries):
        running += entry.quantity
        quantities.append(running)
    return quantities


def replay(entries: Iterable[Entry], policies: Mapping[UUID, Policy]) -> Replay:
    """Value a whole history from nothing. `policies` by item. STOCK_SHORT names the instant of the shortage."""
    values: dict[UUID, int] = {}
    holdings: dict[Position, Holding] = {}
    for entry in fold_cancelled(entries):
        held = holdings.get(entry.position, Holding())
        linked_minor = -sum(values[movement_id] for movement_id in entry.linked_from)
        try:
            applied = apply(held, entry, policies[entry.position.item_id], linked_minor)
        except StockShort as short:
            raise StockShort(
                f"at {entry.effective_at.isoformat()}: {short.message}",
                metadata={**short.metadata, "effective_at": entry.effective_at.isoformat()},
            ) from None
        holdings[entry.position] = applied.holding
        values[entry.movement_id] = applied.value_minor
        for settlement in applied.settlements:
            values[settlement.movement_id] -= settlement.extra_minor
    return Replay(values, holdings)


@dataclass(frozen=True)
class Correction:
    """A recorded movement whose value late news changes."""

    movement_id: UUID
    before_minor: int
    after_minor: int

    @property
    def change_minor(self) -> int:
        """What is to be added to the stock's value."""
        return self.after_minor - self.before_minor


@dataclass(frozen=True)
class LateNews:
    """The history with the news in it, and what it changes in movements recorded before."""

    replay: Replay
    corrections: tuple[Correction, ...]


def late_news(history: Sequence[Entry], recorded: Mapping[UUID, int], policies: Mapping[UUID, Policy]) -> LateNews:
    """Value `history`, in which something is new or changed, and compare it with what was recorded.

    `recorded` are the values so far, corrections included, of the movements that may need one; what is new or got its
    changed value by a movement of its own is not in it. Originals stay untouched: each correction is a row of its own.
    """
    valued = replay(history, policies)
    order = fold_cancelled(history)
    corrections = tuple(
        Correction(entry.movement_id, recorded[entry.movement_id], valued.values[entry.movement_id])
        for entry in order
        if entry.movement_id in recorded and recorded[entry.movement_id] != valued.values[entry.movement_id]
    )
    return LateNews(valued, corrections)


def accounting_day(effective_on: date, closed_through: date | None) -> date:
    """The day in whose period's books it counts: its own, or the first day after what is closed (domain rules §1)."""
    if closed_through is None or effective_on > closed_through:
        return effective_on
    return closed_through + timedelta(days=1)


@dataclass(frozen=True)
class ReceivedPart:
    """A receipt of an order line, in the order of acceptance."""

    movement_id: UUID
    quantity: Decimal


def variance_by_receipt(
    receipts: Sequence[ReceivedPart], invoiced_before: Decimal, quantity: Decimal, variance_minor: int
) -> list[tuple[UUID, int]]:
    """Share an invoice's variance over the receipts that it bills: the oldest ones not yet invoiced, by quantity."""
    start, end = invoiced_before, invoiced_before + quantity
    covered: list[tuple[UUID, Fraction]] = []
    position = Decimal(0)
    for receipt in receipts:
        part = min(end, position + receipt.quantity) - max(start, position)
        if part > 0:
            covered.append((receipt.movement_id, Fraction(part)))
        position += receipt.quantity
    if not covered:
        return []
    shares = allocate(variance_minor, [part for _, part in covered])
    return [(movement_id, share) for (movement_id, _), share in zip(covered, shares, strict=True) if share]


def spread_landed_cost(cost_minor: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Freight, insurance and the like over the receipts they belong to, by value, quantity or weight (N22)."""
    return allocate(cost_minor, weights)


@dataclass(frozen=True)
class Split:
    """A change of a receipt's value, told by where the goods are now."""

    on_hand_minor: int
    issued_minor: int


def split_variance(variance_minor: int, corrections: Iterable[Correction]) -> Split:
    """The part on hand goes to INV, the part issued to EXP (N21)."""
    issued = -sum(correction.change_minor for correction in corrections)
    return Split(variance_minor - issued, issued)


@dataclass(frozen=True)
class Movement:
    """A row of the stock ledger, as it is recorded and published."""

    stock_movement_id: UUID
    agency_id: UUID
    stock_movement_number: int
    kind: Kind
    position: Position
    fund_code: str
    quantity: Decimal
    value_minor: int
    currency: str
    effective_at: datetime
    effective_on: date
    accounting_on: date
    recorded_at: datetime
    corrected_movement_id: UUID | None = None
    cause_movement_id: UUID | None = None
    value_before_minor: int | None = None
    value_after_minor: int | None = None
    linked_movement_id: UUID | None = None
    receipt_id: UUID | None = None
    purchase_order_line_id: UUID | None = None
    stock_count_id: UUID | None = None
    invoice_id: UUID | None = None
    budget_line_id: UUID | None = None
    purpose: str = ""
    person_id: UUID | None = None
    priced: bool = False  # whether its value was given and not found by the method


@dataclass(frozen=True)
class Draft:
    """A movement that is to be made. `value_minor` is given for what comes with a price, else the method finds it."""

    kind: Kind
    position: Position
    quantity: Decimal
    effective_at: datetime
    value_minor: int | None = None
    linked_to_previous: bool = False  # a transfer's arrival: takes the value of the draft before it
    receipt_id: UUID | None = None
    purchase_order_line_id: UUID | None = None
    stock_count_id: UUID | None = None
    budget_line_id: UUID | None = None
    purpose: str = ""


@dataclass(frozen=True)
class StockMovementPosted:
    """Event: stock moved."""

    movement: Movement
    item_code: str
    expenditure_account_code: str
    corrected_kind: Kind | None = None


def lot_of(method: ValuationMethod, lot: str, field_name: str = "lot") -> str:
    """The lot of a position: needed under SPECIFIC, where each has its own cost; not kept apart otherwise."""
    if method is ValuationMethod.SPECIFIC and not lot:
        raise InvalidArgument.field(field_name, "an item valued by SPECIFIC needs its lot or serial number")
    if method is not ValuationMethod.SPECIFIC and lot:
        raise InvalidArgument.field(field_name, f"an item valued by {method} has no lots")
    return lot


@dataclass(frozen=True)
class Balance:
    """Quantity and value of an item."""

    quantity: Decimal = Decimal(0)
    value_minor: int = 0
    currency: str = ""
    inspected_quantity: Decimal = Decimal(0)
