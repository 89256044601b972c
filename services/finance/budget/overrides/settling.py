"""Open overrides of the nodes that an act touches: what expired is gone before it, what is no longer used after it.

Every act that goes through Python ends here. A manual journal entry is posted by one statement that knows no
overrides: what it changes in their use is caught up with by the next act on the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from services.finance.budget import authority_store
from services.finance.budget import store as funds
from services.finance.budget.authority import AuthorityAct
from services.finance.budget.domain import Document, DocumentKind, Line
from services.finance.budget.overrides import domain, store
from services.finance.budget.overrides.domain import OpenItem, Override
from services.finance.budget.overrides.events import BudgetOverrideChanged


def expire(session: Session, agency_id: UUID, lines: Iterable[Line], *, on: date) -> list[Line]:
    """The locked lines without what expired unused before the day `on`; written down where anything did."""
    return _rewrite(session, agency_id, list(lines), on=on, ending=True)


def as_of(session: Session, lines: Iterable[Line], *, on: date) -> list[Line]:
    """The lines as `expire` would leave them; nothing is written."""
    lines = list(lines)
    touched = {line.budget_line_id: line for line in lines if line.override}
    if not touched:
        return lines
    for line_id, items in store.open_items(session, touched).items():
        after = domain.expired(items, touched[line_id], on=on)
        touched[line_id] = replace(touched[line_id], override=sum(item.open for item in after))
    return [touched.get(line.budget_line_id, line) for line in lines]


def settle(session: Session, agency_id: UUID, lines: Iterable[Line], *, on: date) -> None:
    """Use up, or shrink, the open overrides of the locked lines as an act has left them."""
    _rewrite(session, agency_id, list(lines), on=on, ending=False)


def _rewrite(session: Session, agency_id: UUID, lines: list[Line], *, on: date, ending: bool) -> list[Line]:
    touched = {line.budget_line_id: line for line in lines if line.override}
    if not touched:
        return lines
    shrunk: dict[UUID, dict[UUID, tuple[OpenItem, OpenItem]]] = {}
    for line_id, items in store.open_items(session, touched).items():
        line = touched[line_id]
        after = domain.expired(items, line, on=on) if ending else domain.resettled(items, line)
        for was, now in zip(items, after, strict=True):
            if now.open != was.open:
                shrunk.setdefault(was.budget_override_id, {})[line_id] = (was, now)
            elif now != was:
                store.save_item(session, now.budget_override_id, line_id, now.open, now.consumed)
    for override_id, by_line in sorted(shrunk.items()):
        touched = _shrink(session, agency_id, override_id, by_line, touched, on=on)
    return [touched.get(line.budget_line_id, line) for line in lines]


def _shrink(
    session: Session,
    agency_id: UUID,
    override_id: UUID,
    by_line: Mapping[UUID, tuple[OpenItem, OpenItem]],
    touched: dict[UUID, Line],
    *,
    on: date,
) -> dict[UUID, Line]:
    present = store.override(session, override_id, lock=True)
    assert present is not None, "its items were seen"
    items = tuple(
        replace(item, open=by_line[item.budget_line_id][1].open, consumed=by_line[item.budget_line_id][1].consumed)
        if item.budget_line_id in by_line
        else item
        for item in present.items
    )
    after = domain.shrunk(replace(present, items=items), {})
    amounts = {line_id: now.open - was.open for line_id, (was, now) in by_line.items()}
    return write_authority(session, agency_id, after, amounts, touched, on=on, person_id=None)


def write_authority(
    session: Session,
    agency_id: UUID,
    override: Override,
    amounts: Mapping[UUID, int],
    lines: Mapping[UUID, Line],
    *,
    on: date,
    person_id: UUID | None,
) -> dict[UUID, Line]:
    """Write an override whose authority changed by `amounts` (±, by node): movements, sums, state, event."""
    document = Document(DocumentKind.OVERRIDE, override.budget_override_id, override.document_number)
    act = AuthorityAct(lines.values(), document=document, new_id=new_id)
    for line_id, amount in sorted(amounts.items()):
        if amount:
            act.override(line_id, amount)
    authority_store.save_authority(session, act.before, act.lines)
    funds.insert_movements(session, agency_id, act.movements, effective_on=on, accounting_on=on, person_id=person_id)
    store.save(session, override)
    outbox.emit(session, BudgetOverrideChanged(override))
    return act.lines
