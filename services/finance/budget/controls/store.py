"""SQL of changes of control."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.finance.budget.controls.domain import ControlChange, ControlItem, ControlStatus, Mode
from services.finance.budget.controls.tables import BudgetControlChangeItemRow, BudgetControlChangeRow
from services.finance.budget.domain import Line
from services.finance.budget.store import LINE_COLUMNS, line_of


def lines_below(session: Session, budget_line_ids: Collection[UUID]) -> list[Line]:
    """All that stands under these nodes and is not over. Whoever changes one of them has locked the nodes above it."""
    rows = session.execute(
        text(
            f"""
            with recursive below as (
                select budget_line_id from budget_line where parent_id = any (cast(:ids as uuid[]))
                union
                select b.budget_line_id from budget_line b join below n on b.parent_id = n.budget_line_id
            )
            select {LINE_COLUMNS} from budget_line
            where budget_line_id in (select budget_line_id from below) and status = 'ACTIVE' order by budget_line_id
            """  # noqa: S608
        ),
        {"ids": list(budget_line_ids)},
    )
    return [line_of(row) for row in rows]


def set_modes(session: Session, items: Sequence[ControlItem]) -> None:
    """Write the modes of locked lines."""
    session.execute(
        text(
            """
            update budget_line b set controlling = (n.mode = 'HARD_STOP'), warning = (n.mode = 'WARNING')
            from unnest(cast(:ids as uuid[]), cast(:modes as text[])) n (id, mode) where b.budget_line_id = n.id
            """
        ),
        {"ids": [item.budget_line_id for item in items], "modes": [item.mode.value for item in items]},
    )


def insert_change(session: Session, change: ControlChange) -> bool:
    """Write a proposal; False when its number is taken in the agency and year."""
    written = session.execute(
        insert(BudgetControlChangeRow)
        .values(**_head(change))
        .on_conflict_do_nothing(index_elements=["agency_id", "fiscal_year", "document_number"])
        .returning(BudgetControlChangeRow.budget_control_change_id)
    ).first()
    if written is None:
        return False
    session.execute(
        insert(BudgetControlChangeItemRow),
        [
            {
                "budget_control_change_id": change.budget_control_change_id,
                "budget_line_id": item.budget_line_id,
                "agency_id": change.agency_id,
                "item_no": number,
                "mode": item.mode.value,
                "mode_before": item.mode_before.value if item.mode_before else "",
            }
            for number, item in enumerate(change.items, start=1)
        ],
    )
    return True


def _head(change: ControlChange) -> dict[str, Any]:
    return {
        "budget_control_change_id": change.budget_control_change_id,
        "agency_id": change.agency_id,
        "fiscal_year": change.fiscal_year,
        "document_number": change.document_number,
        "legal_reference": change.legal_reference,
        "explanation": change.explanation,
        "status": change.status.value,
        "proposed_by_person_id": change.proposed_by,
        "proposed_at": change.proposed_at,
        "decided_by_person_id": change.decided_by,
        "decided_at": change.decided_at,
        "decision_reason": change.decision_reason,
        "version": change.version,
    }


def save_decision(session: Session, change: ControlChange) -> None:
    """Write what was decided, and the modes that an approval found."""
    head = _head(change)
    decided = ("status", "decided_by_person_id", "decided_at", "decision_reason", "version")
    session.execute(
        update(BudgetControlChangeRow)
        .where(BudgetControlChangeRow.budget_control_change_id == change.budget_control_change_id)
        .values(**{name: head[name] for name in decided})
    )
    session.execute(
        text(
            """
            update budget_control_change_item i set mode_before = n.mode
            from unnest(cast(:ids as uuid[]), cast(:modes as text[])) n (id, mode)
            where i.budget_control_change_id = :change_id and i.budget_line_id = n.id
            """
        ),
        {
            "change_id": change.budget_control_change_id,
            "ids": [item.budget_line_id for item in change.items],
            "modes": [item.mode_before.value if item.mode_before else "" for item in change.items],
        },
    )


def change(session: Session, budget_control_change_id: UUID, *, lock: bool = False) -> ControlChange | None:
    """One change with its items, locked if so asked; None when it is not seen."""
    query = select(BudgetControlChangeRow).where(
        BudgetControlChangeRow.budget_control_change_id == budget_control_change_id
    )
    row = session.scalars(query.with_for_update() if lock else query).first()
    return None if row is None else _changes(session, [row])[0]


def changes(
    session: Session,
    *,
    agency_id: UUID | None,
    fiscal_year: int,
    budget_line_id: UUID | None,
    status: ControlStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[ControlChange]:
    """Changes with their items, the newest first; those of one line are its history."""
    row, item = BudgetControlChangeRow, BudgetControlChangeItemRow
    query = select(row).order_by(row.budget_control_change_id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if fiscal_year:
        query = query.where(row.fiscal_year == fiscal_year)
    if budget_line_id is not None:
        query = query.where(
            select(item)
            .where(
                item.budget_control_change_id == row.budget_control_change_id,
                item.budget_line_id == budget_line_id,
            )
            .exists()
        )
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(row.budget_control_change_id < after[0])
    return _changes(session, list(session.scalars(query)))


def _changes(session: Session, heads: Sequence[BudgetControlChangeRow]) -> list[ControlChange]:
    row = BudgetControlChangeItemRow
    items: dict[UUID, list[ControlItem]] = {}
    ids = [head.budget_control_change_id for head in heads]
    query = select(row).where(row.budget_control_change_id.in_(ids)).order_by(row.budget_control_change_id, row.item_no)
    for one in session.scalars(query):
        before = Mode(one.mode_before) if one.mode_before else None
        items.setdefault(one.budget_control_change_id, []).append(
            ControlItem(one.budget_line_id, Mode(one.mode), before)
        )
    return [
        ControlChange(
            budget_control_change_id=head.budget_control_change_id,
            agency_id=head.agency_id,
            fiscal_year=head.fiscal_year,
            document_number=head.document_number,
            legal_reference=head.legal_reference,
            explanation=head.explanation,
            items=tuple(items.get(head.budget_control_change_id, ())),
            proposed_by=head.proposed_by_person_id,
            proposed_at=head.proposed_at,
            status=ControlStatus(head.status),
            decided_by=head.decided_by_person_id,
            decided_at=head.decided_at,
            decision_reason=head.decision_reason,
            version=head.version,
        )
        for head in heads
    ]
