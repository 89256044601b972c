"""Acts on funds: lock the lines, decide, check F2, write movements, positions and sums, tell.

A refusal leaves nothing in the transaction that it ends. It is told all the same: the entrypoint records it in a
transaction of its own (`record_refusal`), once for each request_id, and FundsRefused is published from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.dates import Month
from chassis.ids import derived_id, new_id
from services.finance.budget import domain, events, journals, store
from services.finance.budget.domain import Document, Item, Key, Movement, MovementKind, exceeded
from services.finance.budget.foreign import store as foreign_store
from services.finance.budget.foreign.covering import cover
from services.finance.budget.foreign.rates import day_rates
from services.finance.budget.limits import usecases as limits
from services.finance.budget.limits.usecases import Checked
from services.finance.budget.movements import FundsAct
from services.finance.budget.overrides import over_limits, settling
from services.finance.budget.overrides.events import FundsOverLimit
from services.finance.budget.yearend import store as year_ends
from services.finance.classification.pack import fiscal_calendar

# An event of a run over hundreds of posts is cut, so that it stays below what a broker takes.
EVENT_ITEMS_MAX = 1_000
# What brings in funds that a month's end has to revalue.
_COMMITTING = (MovementKind.RESERVE, MovementKind.OBLIGATE, MovementKind.TRUE_UP)


@dataclass(frozen=True)
class FundsOrder:
    """What a caller asks for one document."""

    agency_id: UUID
    document: Document
    items: tuple[Item, ...]
    effective_on: date
    restore_liquidated: bool = False


@dataclass(frozen=True)
class Moved:
    """What an act made: its movements, the currency of each budget line, and the journal behind them, if any."""

    movements: tuple[Movement, ...]
    currencies: Mapping[UUID, str]
    accounting_on: date
    journal_entry_id: UUID | None = None


def begin(
    session: Session,
    agency_id: UUID,
    document: Document,
    *,
    effective_on: date,
    budget_line_ids: Iterable[UUID] = (),
    document_line_ids: Iterable[UUID] = (),
    currencies: Iterable[str] = (),
) -> FundsAct:
    """Lock the document, then every budget line that the act may touch with the nodes above, in ascending id order.

    `currencies` are those that the act brings amounts in: their rates of the day are looked up where a line has
    another one. EXCHANGE_RATE_MISSING when there is none.
    """
    store.lock_document(session, document.document_id)
    wanted = set(document_line_ids)
    reached = store.reach(session, wanted)
    lines = store.lock_lines(session, agency_id, {*budget_line_ids, *reached.budget_line_ids})
    lines = settling.expire(session, agency_id, lines, on=effective_on)
    positions = store.positions(session, wanted | reached.document_line_ids)
    rates = day_rates(session, lines, currencies, on=effective_on)
    return FundsAct(
        lines,
        positions,
        document=document,
        effective_on=effective_on,
        new_id=new_id,
        calendar=fiscal_calendar(),
        rates=rates,
    )


def settle(
    session: Session,
    act: FundsAct,
    agency_id: UUID,
    *,
    effective_on: date,
    person_id: UUID | None,
    accounting_on: date | None = None,
    journal_entry_id: UUID | None = None,
) -> None:
    """Write what `act` did. `accounting_on` is the journal's; an act without a journal counts on its own day."""
    store.save_lines(session, act.before, act.lines)
    store.insert_movements(
        session,
        agency_id,
        act.movements,
        effective_on=effective_on,
        accounting_on=accounting_on or effective_on,
        person_id=person_id,
        journal_entry_id=journal_entry_id,
    )
    store.save_positions(session, agency_id, act.changed_positions())
    if any(
        movement.foreign and (movement.kind in _COMMITTING or movement.foreign.changes.obligated > 0)
        for movement in act.movements
    ):
        # Somebody holds funds in a foreign currency: the round comes by at the end of the month.
        foreign_store.ring(session, agency_id, Month.of(effective_on).last)
    settling.settle(session, agency_id, act.lines.values(), on=effective_on)
    _warn(session, act, agency_id, effective_on=effective_on, person_id=person_id)


def _warn(session: Session, act: FundsAct, agency_id: UUID, *, effective_on: date, person_id: UUID | None) -> None:
    """Keep and tell what passed a node that only warns."""
    over = act.over_limits()
    if not over:
        return
    sequence = store.document_sequence(session, act.document.document_id)
    told = [
        FundsOverLimit(
            agency_id, act.document, one.line.budget_line_id, one.line.currency, one.asked, one.available, sequence
        )
        for one in over
    ]
    over_limits.keep_and_tell(session, told, effective_on=effective_on, person_id=person_id)


def check(session: Session, act: FundsAct) -> None:
    """F2, refused with every figure and the biggest users of the first short line."""
    shortages = act.shortages()
    if shortages:
        raise exceeded(shortages, store.biggest_users(session, shortages[0].line.budget_line_id))


def what_if(session: Session, order: FundsOrder, *, obligate: bool) -> Checked:
    """What reserving, or obligating, all items would find now: the same decisions, on what is not locked."""
    refuse_twice_in_one(order.items)
    named = {item.document_line_id for item in order.items}
    named |= {item.liquidates_document_line_id for item in order.items if item.liquidates_document_line_id}
    reached = store.reach(session, named)
    wanted = {*(item.budget_line_id for item in order.items), *reached.budget_line_ids}
    lines = settling.as_of(
        session, store.lock_lines(session, order.agency_id, wanted, lock=False), on=order.effective_on
    )
    act = FundsAct(
        lines,
        store.positions(session, named | reached.document_line_ids),
        document=order.document,
        effective_on=order.effective_on,
        new_id=new_id,
        calendar=fiscal_calendar(),
        rates=day_rates(session, lines, {item.currency for item in order.items}, on=order.effective_on),
    )
    for item in order.items:
        if obligate:
            act.obligate(item)
        else:
            act.reserve(item)
    return limits.what_if(session, act, order.agency_id, on=order.effective_on)


def reserve(session: Session, order: FundsOrder, *, person_id: UUID | None) -> Moved:
    """Set funds aside for a request: all items or none."""
    order, act = _begin(session, order)
    for item in order.items:
        act.reserve(item)
    check(session, act)
    limits.check(session, act, order.agency_id, on=order.effective_on)
    settle(session, act, order.agency_id, effective_on=order.effective_on, person_id=person_id)
    _tell(session, act, order.agency_id, events.FundsReserved, lambda m: m.changes.reserved)
    return _moved(act, order.effective_on)


def obligate(session: Session, order: FundsOrder, *, person_id: UUID | None) -> Moved:
    """Bind funds to a commitment: all items or none."""
    order, act = _begin(session, order)
    for item in order.items:
        act.obligate(item)
    check(session, act)
    limits.check(session, act, order.agency_id, on=order.effective_on)
    settle(session, act, order.agency_id, effective_on=order.effective_on, person_id=person_id)
    tell_obligated(session, act, order.agency_id)
    return _moved(act, order.effective_on)


def release(session: Session, order: FundsOrder, *, person_id: UUID | None) -> Moved:
    """Free what document lines still hold; with `restore_liquidated` open again what they had used up.

    What is held in a foreign currency is freed at what it stands at: no rate is asked for.
    """
    order, act = _begin(session, order, rated=False)
    for item in order.items:
        act.release(item, restore=order.restore_liquidated)
    check(session, act)
    settle(session, act, order.agency_id, effective_on=order.effective_on, person_id=person_id)
    tell_released(session, act, order.agency_id)
    return _moved(act, order.effective_on)


def adjust(session: Session, order: FundsOrder, *, person_id: UUID | None) -> Moved:
    """TRUE_UP: set what document lines still obligate to what is known now."""
    order, act = _begin(session, order)
    for item in order.items:
        act.true_up(item)
    check(session, act)
    limits.check(session, act, order.agency_id, on=order.effective_on)
    settle(session, act, order.agency_id, effective_on=order.effective_on, person_id=person_id)
    tell_obligated(session, act, order.agency_id)
    return _moved(act, order.effective_on)


def expend(session: Session, order: FundsOrder, *, person_id: UUID) -> Moved:
    """A person accepted services or works: O -> E and Dr expense or asset / Cr received-not-invoiced.

    Whoever bound the funds may not accept what was bought (maker and checker, trust I9).
    """
    order, act = _begin(session, order)
    store.refuse_same_person(
        session,
        [item.liquidates_document_line_id for item in order.items if item.liquidates_document_line_id],
        person_id,
    )
    held = {one.foreign.currency for one in act.positions.values() if one.foreign is not None}
    act.rates = {**act.rates, **day_rates(session, act.lines.values(), held, on=order.effective_on)}
    for item in order.items:
        act.expend(item)
    cover(session, act, order.agency_id, on=order.effective_on, person_id=person_id)
    check(session, act)
    limits.check(session, act, order.agency_id, on=order.effective_on)
    spent = [movement for movement in act.movements if movement.kind is MovementKind.EXPEND]
    posted = journals.post_acceptance(session, order, act, spent, person_id=person_id)
    settle(
        session,
        act,
        order.agency_id,
        effective_on=order.effective_on,
        person_id=person_id,
        accounting_on=posted.accounting_on,
        journal_entry_id=posted.entry.journal_entry_id,
    )
    tell_expended(session, act, order.agency_id)
    tell_revalued(session, act, order.agency_id)
    return _moved(act, posted.accounting_on, posted.entry.journal_entry_id)


def _moved(act: FundsAct, accounting_on: date, journal_entry_id: UUID | None = None) -> Moved:
    currencies = {line_id: line.currency for line_id, line in act.lines.items()}
    return Moved(tuple(act.movements), currencies, accounting_on, journal_entry_id)


def tell_obligated(session: Session, act: FundsAct, agency_id: UUID) -> None:
    """FundsObligated for an act that bound something."""
    _tell(
        session,
        act,
        agency_id,
        events.FundsObligated,
        lambda m: 0 if m.kind is MovementKind.REVALUE else m.changes.obligated,
    )


def tell_expended(session: Session, act: FundsAct, agency_id: UUID) -> None:
    """FundsExpended for an act that accepted something."""
    _tell(
        session,
        act,
        agency_id,
        events.FundsExpended,
        lambda m: m.changes.expended if m.kind is MovementKind.EXPEND else 0,
    )


def tell_released(session: Session, act: FundsAct, agency_id: UUID) -> None:
    """FundsReleased for an act that freed something."""
    _tell(
        session,
        act,
        agency_id,
        events.FundsReleased,
        lambda m: -m.changes.total if m.kind is MovementKind.RELEASE else 0,
    )


def tell_revalued(session: Session, act: FundsAct, agency_id: UUID) -> None:
    """FundsRevalued for an act in which a rate changed what funds are worth; amounts below zero gave back."""
    _tell(
        session,
        act,
        agency_id,
        events.FundsRevalued,
        lambda m: m.changes.total if m.kind is MovementKind.REVALUE else 0,
    )


def record_refusal(
    session: Session,
    agency_id: UUID,
    document: Document,
    refusal: domain.BudgetExceeded,
    *,
    subject: str,
    request_id: str,
    person_id: UUID | None,
) -> None:
    """Keep a refusal and publish it, in a transaction of its own; a repeat of the request adds nothing."""
    shortage = refusal.shortages[0] if refusal.shortages else None
    if shortage is None:
        return
    store.lock_document(session, document.document_id)
    event = events.FundsRefused(
        agency_id=agency_id,
        document=document,
        budget_line_id=shortage.line.budget_line_id,
        currency=shortage.line.currency,
        asked_minor=shortage.asked,
        available_minor=shortage.available,
        message=refusal.message,
        sequence=store.document_sequence(session, document.document_id),
    )
    refusal_id = derived_id("funds.refusal", subject, request_id)
    if store.insert_refusal(session, refusal_id, event, person_id=person_id):
        outbox.emit(session, event)


def _begin(session: Session, order: FundsOrder, *, rated: bool = True) -> tuple[FundsOrder, FundsAct]:
    """The act on its locked lines, and the order with the lines where carried document lines hold their funds now."""
    refuse_twice_in_one(order.items)
    act = _started(session, order, rated=rated)
    ended = [item for item in order.items if act.lines[item.budget_line_id].status is domain.LineStatus.CLOSED]
    moved = carried_lines(session, [_held(item) for item in ended]) if ended else {}
    if not moved:
        return order, act
    items = tuple(replace(item, budget_line_id=moved.get(_held(item), item.budget_line_id)) for item in order.items)
    order = replace(order, items=items)
    return order, _started(session, order, rated=rated)


def _held(item: Item) -> Key:
    """The position that an item is about: the one that it uses up, else its own."""
    return Key(item.liquidates_document_line_id or item.document_line_id, item.budget_line_id)


def carried_lines(session: Session, keys: Sequence[Key]) -> dict[Key, UUID]:
    """Next year's lines of document lines that name a line of a year that ended: callers keep the name they know."""
    return year_ends.carried_to(session, keys)


def _started(session: Session, order: FundsOrder, *, rated: bool) -> FundsAct:
    return begin(
        session,
        order.agency_id,
        order.document,
        effective_on=order.effective_on,
        budget_line_ids=[item.budget_line_id for item in order.items],
        document_line_ids=[
            one
            for item in order.items
            for one in (item.document_line_id, item.liquidates_document_line_id)
            if one is not None
        ],
        currencies={item.currency for item in order.items} if rated else (),
    )


def refuse_twice_in_one(items: Sequence[Item]) -> None:
    """One request names a document line on a budget line once: else its outcome would hang on the order of items."""
    seen: set[Key] = set()
    for item in items:
        if item.key in seen:
            raise domain.FundsItemInvalid(
                f"document line {item.document_line_id} is named twice for budget line {item.budget_line_id}"
            )
        seen.add(item.key)


def _tell(
    session: Session,
    act: FundsAct,
    agency_id: UUID,
    event_class: type[events.FundsEvent],
    amount: Callable[[Movement], int],
) -> None:
    items = tuple(
        events.EventItem(
            movement.document_line_id,
            movement.budget_line_id,
            movement.funds_movement_id,
            amount(movement),
            act.lines[movement.budget_line_id].currency,
        )
        for movement in act.movements
        if amount(movement) and movement.document_line_id is not None
    )
    if not items:
        return
    sequence = store.document_sequence(session, act.document.document_id)
    for start in range(0, len(items), EVENT_ITEMS_MAX):
        part = items[start : start + EVENT_ITEMS_MAX]
        outbox.emit(session, event_class(agency_id, act.document, part, sequence))
