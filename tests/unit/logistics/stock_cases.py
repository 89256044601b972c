"""Short words for stock histories, so that a test names only what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from services.logistics.catalog.domain import ValuationMethod
from services.logistics.stock.domain import Entry, Policy, Position

ITEM, WAREHOUSE, OTHER_WAREHOUSE = uuid4(), uuid4(), uuid4()
HERE = Position(ITEM, WAREHOUSE)
THERE = Position(ITEM, OTHER_WAREHOUSE)
AVERAGE = {ITEM: Policy(ValuationMethod.MOVING_AVERAGE)}
FIFO = {ITEM: Policy(ValuationMethod.FIFO)}
AVERAGE_NEGATIVE = {ITEM: Policy(ValuationMethod.MOVING_AVERAGE, negative_allowed=True)}
FIFO_NEGATIVE = {ITEM: Policy(ValuationMethod.FIFO, negative_allowed=True)}


class Ledger:
    """A history that is written down movement by movement; each gets the next sequence."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def _add(self, day: int, quantity: str, position: Position, **values: object) -> UUID:
        entry = Entry(
            movement_id=uuid4(),
            position=position,
            effective_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day),
            sequence=len(self.entries) + 1,
            quantity=Decimal(quantity),
            **values,  # type: ignore[arg-type]
        )
        self.entries.append(entry)
        return entry.movement_id

    def receipt(self, day: int, quantity: str, value: int, position: Position = HERE) -> UUID:
        """Goods come in, worth `value` minor units in all."""
        return self._add(day, quantity, position, value_minor=value)

    def issue(self, day: int, quantity: str, position: Position = HERE) -> UUID:
        """Goods leave for use."""
        return self._add(day, f"-{quantity}", position)

    def found(self, day: int, quantity: str, position: Position = HERE) -> UUID:
        """A count finds more, without a price."""
        return self._add(day, quantity, position)

    def revalue(self, day: int, change: int, position: Position = HERE) -> UUID:
        """The value on hand changes."""
        return self._add(day, "0", position, value_minor=change)

    def transfer(self, day: int, quantity: str, source: Position = HERE, target: Position = THERE) -> tuple[UUID, UUID]:
        """Goods move with their value."""
        outgoing = self._add(day, f"-{quantity}", source, is_transfer=True)
        return outgoing, self._add(day, quantity, target, linked_from=(outgoing,))

    def assemble(self, day: int, consumed: UUID, quantity: str, work: int, position: Position) -> UUID:
        """An item made of a consumed one and work: worth both."""
        return self._add(day, quantity, position, linked_from=(consumed,), value_minor=work)

    def cancel(self, movement_id: UUID) -> UUID:
        """A counter-movement at the cancelled one's instant."""
        cancelled = next(entry for entry in self.entries if entry.movement_id == movement_id)
        counter = Entry(
            movement_id=uuid4(),
            position=cancelled.position,
            effective_at=cancelled.effective_at,
            sequence=len(self.entries) + 1,
            quantity=-cancelled.quantity,
            reverses=movement_id,
        )
        self.entries.append(counter)
        return counter.movement_id
