"""One act on funds: which movements it makes on the lines and positions that were locked for it. Pure.

    act = FundsAct(lines, positions, document=document, effective_on=day, new_id=new_id)
    act.obligate(item)
    act.check()                     # F2 at every hard-stop node that gave something

Domain rules §2: quantity lines are used up by share of quantity, value-only lines by amount; a step flagged final
frees the rest; what is missing comes from available, what is saved goes back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from chassis.money import round_half_away
from services.finance.budget.domain import (
    Buckets,
    Document,
    DocumentLineOpen,
    DocumentLineUnknown,
    FundsItemInvalid,
    Item,
    Key,
    Line,
    LiquidationExceeded,
    Movement,
    MovementKind,
    Position,
    Shortage,
    Source,
    exceeded,
    nodes,
    shortages,
    usable,
)
from services.finance.budget.foreign.acts import ForeignActs, Step, brought, check_same_currency, expended, opened
from services.finance.budget.foreign.held import ForeignChange, ForeignHeld, change_between, together
from services.finance.budget.items import amount_of, check_currency, schedule_of, taken_latest
from services.finance.budget.payment_movements import PaymentActs
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR, FiscalCalendar
from services.finance.ledger.rates.domain import Rate


class FundsAct(PaymentActs, ForeignActs):
    """The lines (with every node above them) and positions of one act, and the movements that it makes.

    Holds no session and reads no clock; what it changes are its own copies.
    """

    def __init__(
        self,
        lines: Iterable[Line],
        positions: Iterable[Position],
        *,
        document: Document,
        effective_on: date,
        new_id: Callable[[], UUID],
        calendar: FiscalCalendar = CALENDAR_YEAR,
        rates: Mapping[tuple[str, str], Rate] | None = None,
    ) -> None:
        self.rates = rates or {}
        self.before: Mapping[UUID, Line] = {line.budget_line_id: line for line in lines}
        self.lines: dict[UUID, Line] = dict(self.before)
        self.positions_before: Mapping[Key, Position] = {position.key: position for position in positions}
        self.positions: dict[Key, Position] = dict(self.positions_before)
        self.movements: list[Movement] = []
        self.document = document
        self.day = effective_on
        self._period = calendar.period_of(effective_on)
        self._new_id = new_id

    # --- the acts ------------------------------------------------------------------------------------------

    def reserve(self, item: Item) -> Movement:
        """available -> R."""
        item = self.in_functional(item)
        amount = amount_of(item)
        return self._open(MovementKind.RESERVE, item, amount, Buckets(reserved=amount))

    def obligate(self, item: Item) -> Movement:
        """R -> O by share, what is missing from available, what is saved back to it (N1, N2)."""
        item = self.in_functional(item)
        amount = amount_of(item)
        source = self._source(item)
        if source is None:
            return self._open(MovementKind.OBLIGATE, item, amount, Buckets(obligated=amount))
        step = self._step(source, item, amount)
        used = source.used_up(step.whole, step.quantity, step.foreign_whole)
        self.positions[source.key] = used
        taken, foreign = Buckets(reserved=step.whole), change_between(source.foreign, used.foreign)
        if source.key.budget_line_id != item.budget_line_id:
            # Two lines: the request's line gets its money back, the order's line pays from available.
            opening, line_id = source.opening_movement_id, source.key.budget_line_id
            self._record(MovementKind.RELEASE, line_id, -taken, source, opening, foreign=foreign)
            taken, foreign = Buckets(), None
        return self._open(
            MovementKind.OBLIGATE,
            item,
            amount,
            Buckets(obligated=amount) + -taken,
            liquidates=source.opening_movement_id,
            source=Source(source.key, step.quantity, step.used, step.freed),
            foreign=foreign,
        )

    def expend(self, item: Item, *, own_position: bool = False) -> Movement:
        """O -> E, the difference from or to available (N3).

        E stays with the document line that was used up, so that an order line shows its whole life; with
        `own_position` it opens one of its own (a payroll run pays many posts by few payables).
        """
        item = self.in_functional(item)
        source = self._source(item)
        if source is None:
            amount = amount_of(item)
            return self._grow(MovementKind.EXPEND, item, amount, Buckets(expended=amount), None)
        check_same_currency(source, item)
        item, step = self._at_the_days_rate(source, item, self._step(source, item, item.amount))
        source = self.positions[source.key]
        amount = step.used if item.amount is None else amount_of(item)
        if amount <= 0:
            raise LiquidationExceeded(f"document line {item.document_line_id}: nothing is left to expend")
        same_line = source.key.budget_line_id == item.budget_line_id
        used = source.used_up(step.whole, step.quantity, step.foreign_whole)
        taken, foreign = source.buckets + -used.buckets, change_between(source.foreign, used.foreign)
        self.positions[source.key] = used
        opening = source.opening_movement_id
        if not same_line:
            self._record(MovementKind.RELEASE, source.key.budget_line_id, -taken, source, opening, foreign=foreign)
            taken, foreign = Buckets(), None
        changes = Buckets(expended=amount) + -taken
        if own_position or not same_line:
            return self._grow(MovementKind.EXPEND, item, amount, changes, opening, foreign)
        self._usable(item.budget_line_id)
        after = replace(used, buckets=used.buckets + Buckets(expended=amount), foreign=expended(used.foreign, item))
        self.positions[source.key] = after
        rate = None if item.foreign is None else item.foreign.rate
        return self._record(
            MovementKind.EXPEND,
            item.budget_line_id,
            changes,
            used,
            opening,
            document_line_id=item.document_line_id,
            foreign=change_between(source.foreign, after.foreign, rate=rate),
        )

    def release(self, item: Item, *, restore: bool = False) -> list[Movement]:
        """R or O -> available; with `restore`, the reservation that an order used up is opened again (N1)."""
        position = self._position(item.key)
        self._usable(item.budget_line_id)
        quantity = item.quantity if position.quantity_total is not None else None
        foreign = None
        if position.foreign is not None and item.amount is not None:
            # Freed at what it stands at, whatever the day's rate is.
            foreign = position.foreign.named(item.amount, item.currency)
            amount = position.worth_of(foreign)
        elif item.amount is not None:
            check_currency(item, self.lines[item.budget_line_id])
            amount = amount_of(item)
        elif quantity is not None:
            amount = position.share(quantity)
        else:
            amount = position.open
        if amount > position.open:
            raise LiquidationExceeded(
                f"{amount} minor units are to be freed of {position.document.kind.value} "
                f"{position.document.document_number}, {position.open} are open",
                metadata={
                    "document_line_id": str(item.document_line_id),
                    "open_minor": str(position.open),
                },
            )
        if amount == 0:
            return []
        after = position.used_up(amount, quantity or Fraction(0), foreign)
        if quantity is None:
            # Given back by amount: what the line set aside is less from now on, so later shares are of the rest.
            after = replace(after, total=after.total - amount, liquidated=after.liquidated - amount)
            after = replace(after, foreign=after.foreign and after.foreign.given_back(position.foreign))
        if item.final or after.open == 0:
            after = replace(after, closed=True)
        self.positions[item.key] = after
        changes, gone = after.buckets + -position.buckets, change_between(position.foreign, after.foreign)
        opening = position.opening_movement_id
        made = [self._record(MovementKind.RELEASE, item.budget_line_id, changes, position, opening, foreign=gone)]
        if restore and position.source is not None:
            made += self._restore(position, amount)
        return made

    def true_up(self, item: Item) -> Movement | None:
        """Set what the document line still obligates to the item's amount, from or to available."""
        position, item = self._position(item.key), self.in_functional(item)
        if item.amount is None or item.amount < 0:
            raise FundsItemInvalid(
                f"document line {item.document_line_id}: give the amount that stays obligated, zero or more"
            )
        line = self._usable(item.budget_line_id)
        check_currency(item, line)
        check_same_currency(position, item)
        change = item.amount - position.buckets.obligated
        held = position.foreign and position.foreign.set_to(item.foreign)
        schedule = schedule_of(item, item.amount, self._period)
        if not item.schedule and change <= 0:
            schedule = taken_latest(position.schedule, -change)
        self.positions[item.key] = replace(
            position,
            total=position.total + change,
            buckets=position.buckets + Buckets(obligated=change),
            schedule=schedule,
            closed=False,
            foreign=held,
        )
        if change == 0 and held == position.foreign:
            return None
        return self._record(
            MovementKind.TRUE_UP,
            item.budget_line_id,
            Buckets(obligated=change),
            position,
            position.opening_movement_id,
            foreign=change_between(position.foreign, held, rate=item.foreign.rate if item.foreign else None),
        )

    def check(self) -> None:
        """F2: refuse the act when a hard-stop node that it takes from would fall below zero."""
        shortages = self.shortages()
        if shortages:
            raise exceeded(shortages)

    def shortages(self) -> list[Shortage]:
        """Every hard-stop node that this act takes from and that would fall below zero, in id order."""
        return shortages(self.before, self.lines)

    def over_limits(self) -> list[Shortage]:
        """Every node that only warns, that this act takes from and that it leaves below zero, in id order."""
        warning = {line_id for line_id, line in self.lines.items() if line.warning}
        return [one for one in shortages(self.before, self.lines, also=warning) if one.line.warning]

    def changed_positions(self) -> list[Position]:
        """The positions that are new or other than before, in a fixed order."""
        return [
            position
            for key, position in sorted(
                self.positions.items(), key=lambda one: (one[0].document_line_id, one[0].budget_line_id)
            )
            if self.positions_before.get(key) != position
        ]

    # --- what they share -----------------------------------------------------------------------------------

    def _usable(self, budget_line_id: UUID) -> Line:
        return usable(self.lines, budget_line_id, on=self.day)

    def _position(self, key: Key) -> Position:
        position = self.positions.get(key)
        if position is None:
            raise DocumentLineUnknown(
                f"document line {key.document_line_id} holds nothing on budget line {key.budget_line_id}",
                metadata={
                    "document_line_id": str(key.document_line_id),
                    "budget_line_id": str(key.budget_line_id),
                },
            )
        return position

    def _source(self, item: Item) -> Position | None:
        """The position that the item uses up: on the item's own budget line if there, else the only one."""
        wanted = item.liquidates_document_line_id
        if wanted is None:
            return None
        same = self.positions.get(Key(wanted, item.budget_line_id))
        if same is not None:
            return same
        others = [p for key, p in self.positions.items() if key.document_line_id == wanted]
        if len(others) == 1:
            return others[0]
        raise DocumentLineUnknown(
            f"document line {wanted}, which {item.document_line_id} is to use up, holds "
            + ("nothing" if not others else "funds on several other budget lines; name the line of one of them"),
            metadata={"document_line_id": str(wanted), "budget_line_id": str(item.budget_line_id)},
        )

    def _step(self, source: Position, item: Item, amount: int | None) -> Step:
        """What one step on `source` uses up, frees because it is final, and for which quantity."""
        quantity = item.liquidated_quantity if item.liquidated_quantity is not None else item.quantity
        foreign = None
        if source.quantity_total is None:
            quantity = Fraction(0)
            used = source.open if amount is None else min(amount, source.open)
            if source.foreign is not None and item.foreign is not None:
                foreign = min(item.foreign.minor, source.foreign.open)
                used = source.worth_of(foreign)
        elif quantity is None:
            if not item.final:
                raise FundsItemInvalid(
                    f"document line {item.document_line_id}: {source.document.kind.value} "
                    f"{source.document.document_number} has a quantity; say how much of it this step uses up"
                )
            used, quantity = source.open, source.quantity_total - source.quantity_liquidated
        else:
            used = source.share(quantity)
        foreign = source.foreign_part(used, quantity) if foreign is None else foreign
        freed = source.open - used if item.final else 0
        rest = source.foreign.open - foreign if source.foreign is not None and item.final else 0
        return Step(used, freed, quantity, foreign, rest)

    def _open(
        self,
        kind: MovementKind,
        item: Item,
        amount: int,
        changes: Buckets,
        *,
        liquidates: UUID | None = None,
        source: Source | None = None,
        foreign: ForeignChange | None = None,
    ) -> Movement:
        """Open the item's own position, or open it again when nothing of it is held any more."""
        line = self._usable(item.budget_line_id)
        check_currency(item, line)
        present = self.positions.get(item.key)
        if present is not None and present.open:
            raise DocumentLineOpen(
                f"document line {item.document_line_id} of {present.document.kind.value} "
                f"{present.document.document_number} holds {present.open} minor units already; "
                "adjust or release it first",
                metadata={
                    "document_line_id": str(item.document_line_id),
                    "budget_line_id": str(item.budget_line_id),
                },
            )
        name = "reserved" if kind is MovementKind.RESERVE else "obligated"
        held, own = Buckets(**{name: amount}), opened(present, item, name)
        movement = Movement(
            self._new_id(),
            kind,
            item.budget_line_id,
            changes,
            self.document,
            item.document_line_id,
            liquidates_movement_id=liquidates,
            foreign=together(foreign, brought(item, name)),
        )
        earlier = present.buckets if present is not None else Buckets()
        self.positions[item.key] = Position(
            key=item.key,
            document=self.document,
            total=amount,
            quantity_total=item.quantity,
            buckets=earlier + held,
            schedule=schedule_of(item, amount, self._period),
            source=source,
            opening_movement_id=movement.funds_movement_id,
            foreign=own,
        )
        self._apply(movement)
        return movement

    def _grow(
        self,
        kind: MovementKind,
        item: Item,
        amount: int,
        changes: Buckets,
        liquidates: UUID | None,
        foreign: ForeignChange | None = None,
    ) -> Movement:
        """Expend onto the item's own position, which several items may share."""
        line = self._usable(item.budget_line_id)
        check_currency(item, line)
        movement = Movement(
            self._new_id(),
            kind,
            item.budget_line_id,
            changes,
            self.document,
            item.document_line_id,
            liquidates_movement_id=liquidates,
            foreign=together(foreign, brought(item, "expended")),
        )
        present = self.positions.get(item.key)
        if present is None:
            present = Position(item.key, self.document, 0, movement.funds_movement_id)
            present = replace(present, foreign=ForeignHeld(item.foreign.currency) if item.foreign else None)
        check_same_currency(present, item)
        self.positions[item.key] = replace(
            present,
            total=present.total + amount,
            liquidated=present.liquidated + amount,
            buckets=present.buckets + Buckets(expended=amount),
            foreign=expended(present.foreign, item),
        )
        self._apply(movement)
        return movement

    def _restore(self, position: Position, released: int) -> list[Movement]:
        """Open the reservation again that `position` used up, by the released share, as far as there is room."""
        source = position.source
        assert source is not None
        earlier = self.positions.get(source.key)
        if earlier is None or earlier.closed or position.total == 0:
            return []
        share = Fraction(released, position.total)
        wanted = round_half_away(source.liquidated * share) + (source.freed if share == 1 else 0)
        amount = min(wanted, self._room(source.key.budget_line_id), earlier.liquidated)
        if amount <= 0:
            return []
        held = earlier.foreign and earlier.foreign.restored(amount, earlier.liquidated)
        self.positions[source.key] = replace(
            earlier,
            foreign=held,
            liquidated=earlier.liquidated - amount,
            quantity_liquidated=max(Fraction(0), earlier.quantity_liquidated - source.quantity * share),
            buckets=earlier.buckets + Buckets(reserved=amount),
            schedule={**earlier.schedule, self._period: earlier.schedule.get(self._period, 0) + amount},
        )
        return [
            self._record(
                MovementKind.RESERVE,
                source.key.budget_line_id,
                Buckets(reserved=amount),
                earlier,
                earlier.opening_movement_id,
                foreign=change_between(earlier.foreign, held),
            )
        ]

    def _room(self, budget_line_id: UUID) -> int:
        """What the line may still take: the least that its hard-stop nodes have available."""
        available = [node.available for node in self._nodes(budget_line_id) if node.controlling]
        return max(0, min(available)) if available else self.lines[budget_line_id].revised

    def _bucket_movement(
        self, kind: MovementKind, position: Position, after: Position, *, rate: Decimal | None = None
    ) -> Movement:
        if min(after.buckets.amounts()) < 0 or after.liquidated < 0:
            raise LiquidationExceeded(
                f"{kind.value}: {position.document.kind.value} {position.document.document_number} holds "
                f"R, O, V, E, S, P = {position.buckets.amounts()} minor units, less than is asked",
                metadata={"document_line_id": str(position.key.document_line_id)},
            )
        if after.foreign is not None and kind is not MovementKind.REVALUE:
            what = f"{position.document.kind.value} {position.document.document_number}"
            after.foreign.check(position.foreign, after.buckets + -position.buckets, what)
        self.positions[position.key] = after
        return self._record(
            kind,
            position.key.budget_line_id,
            after.buckets + -position.buckets,
            position,
            position.opening_movement_id,
            foreign=change_between(position.foreign, after.foreign, rate=rate),
        )

    def _record(
        self,
        kind: MovementKind,
        budget_line_id: UUID,
        changes: Buckets,
        position: Position,
        liquidates: UUID | None,
        *,
        document_line_id: UUID | None = None,
        foreign: ForeignChange | None = None,
    ) -> Movement:
        """A movement on the buckets of `position`, in the name of this act's document."""
        movement = Movement(
            self._new_id(),
            kind,
            budget_line_id,
            changes,
            self.document,
            document_line_id or position.key.document_line_id,
            position_document_line_id=position.key.document_line_id,
            liquidates_movement_id=liquidates,
            foreign=foreign,
        )
        self._apply(movement)
        return movement

    def _apply(self, movement: Movement) -> None:
        """Move the line and every node above it."""
        for node in self._nodes(movement.budget_line_id):
            self.lines[node.budget_line_id] = node.moved(movement.changes)
        self.movements.append(movement)

    def _nodes(self, budget_line_id: UUID) -> list[Line]:
        return nodes(self.lines, budget_line_id)
