"""SQL of overrides and of what went over a limit that only warns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from chassis.ids import new_id
from services.finance.budget.overrides.domain import OpenItem, Override, OverrideItem, OverrideKind, OverrideStatus
from services.finance.budget.overrides.events import FundsOverLimit
from services.finance.budget.overrides.tables import BudgetOverrideItemRow, BudgetOverrideRow


def insert_override(session: Session, override: Override) -> bool:
    """Write a proposal; False when its number is taken in the agency and year."""
    written = session.execute(
        insert(BudgetOverrideRow)
        .values(**_head(override))
        .on_conflict_do_nothing(index_elements=["agency_id", "fiscal_year", "document_number"])
        .returning(BudgetOverrideRow.budget_override_id)
    ).first()
    if written is None:
        return False
    session.execute(
        insert(BudgetOverrideItemRow),
        [
            {
                "budget_override_id": override.budget_override_id,
                "budget_line_id": item.budget_line_id,
                "agency_id": override.agency_id,
                "granted_minor": item.granted,
                "open_minor": item.open,
                "consumed_minor": item.consumed,
            }
            for item in override.items
        ],
    )
    return True


def _head(override: Override) -> dict[str, Any]:
    return {
        "budget_override_id": override.budget_override_id,
        "agency_id": override.agency_id,
        "fiscal_year": override.fiscal_year,
        "document_number": override.document_number,
        "authority_document": override.authority_document,
        "reason": override.reason,
        "coverage": override.coverage,
        "status": override.status.value,
        "currency": override.currency,
        "expires_on": override.expires_on,
        "effective_on": override.effective_on,
        "proposed_by_person_id": override.proposed_by,
        "proposed_at": override.proposed_at,
        "decided_by_person_id": override.decided_by,
        "decided_at": override.decided_at,
        "decided_role": override.decided_role,
        "decision_reason": override.decision_reason,
        "version": override.version,
        "kind": override.kind.value,
        "owner_person_id": override.owner,
    }


def save(session: Session, override: Override) -> None:
    """Write the state, the decision and the amounts of an override."""
    head = _head(override)
    changing = ("status", "decided_by_person_id", "decided_at", "decided_role", "decision_reason", "version")
    session.execute(
        update(BudgetOverrideRow)
        .where(BudgetOverrideRow.budget_override_id == override.budget_override_id)
        .values(**{name: head[name] for name in changing})
    )
    for item in override.items:
        save_item(session, override.budget_override_id, item.budget_line_id, item.open, item.consumed)


def save_item(session: Session, budget_override_id: UUID, budget_line_id: UUID, open_: int, consumed: int) -> None:
    """Write what of an override is open and consumed at one node."""
    session.execute(
        update(BudgetOverrideItemRow)
        .where(
            BudgetOverrideItemRow.budget_override_id == budget_override_id,
            BudgetOverrideItemRow.budget_line_id == budget_line_id,
        )
        .values(open_minor=open_, consumed_minor=consumed)
    )


def override(session: Session, budget_override_id: UUID, *, lock: bool = False) -> Override | None:
    """One override with its items, locked if so asked; None when it is not seen."""
    query = select(BudgetOverrideRow).where(BudgetOverrideRow.budget_override_id == budget_override_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    head = session.scalars(query).first()
    return None if head is None else _overrides(session, [head])[0]


def overrides(
    session: Session,
    *,
    agency_id: UUID | None,
    fiscal_year: int,
    status: OverrideStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Override]:
    """Overrides with their items, the newest first."""
    row = BudgetOverrideRow
    query = select(row).order_by(row.budget_override_id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if fiscal_year:
        query = query.where(row.fiscal_year == fiscal_year)
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(row.budget_override_id < after[0])
    return _overrides(session, list(session.scalars(query)))


def _overrides(session: Session, heads: Sequence[BudgetOverrideRow]) -> list[Override]:
    row = BudgetOverrideItemRow
    ids = [head.budget_override_id for head in heads]
    query = (
        select(row)
        .where(row.budget_override_id.in_(ids))
        .order_by(row.budget_override_id, row.budget_line_id)
        .execution_options(populate_existing=True)
    )
    items: dict[UUID, list[OverrideItem]] = {}
    for item in session.scalars(query):
        items.setdefault(item.budget_override_id, []).append(
            OverrideItem(item.budget_line_id, item.granted_minor, item.open_minor, item.consumed_minor)
        )
    return [
        Override(
            budget_override_id=head.budget_override_id,
            agency_id=head.agency_id,
            fiscal_year=head.fiscal_year,
            document_number=head.document_number,
            authority_document=head.authority_document,
            reason=head.reason,
            coverage=head.coverage,
            currency=head.currency,
            effective_on=head.effective_on,
            expires_on=head.expires_on,
            items=tuple(items.get(head.budget_override_id, ())),
            proposed_by=head.proposed_by_person_id,
            proposed_at=head.proposed_at,
            status=OverrideStatus(head.status),
            decided_by=head.decided_by_person_id,
            decided_at=head.decided_at,
            decided_role=head.decided_role,
            decision_reason=head.decision_reason,
            version=head.version,
            kind=OverrideKind(head.kind),
            owner=head.owner_person_id,
        )
        for head in heads
    ]


def open_items(session: Session, budget_line_ids: Collection[UUID]) -> dict[UUID, list[OpenItem]]:
    """The open items of these nodes in the order of their opening. The nodes have been locked, which locks them."""
    found: dict[UUID, list[OpenItem]] = {}
    for row in session.execute(
        text(
            """
            select i.budget_line_id, i.budget_override_id, o.expires_on, i.open_minor, i.consumed_minor
            from budget_override_item i join budget_override o using (budget_override_id)
            where i.budget_line_id = any (cast(:ids as uuid[])) and i.open_minor > 0
            order by i.budget_line_id, o.decided_at, i.budget_override_id
            """
        ),
        {"ids": list(budget_line_ids)},
    ):
        found.setdefault(row.budget_line_id, []).append(
            OpenItem(row.budget_override_id, row.expires_on, row.open_minor, row.consumed_minor)
        )
    return found


def insert_over_limits(
    session: Session, over: Sequence[FundsOverLimit], *, effective_on: date, person_id: UUID | None
) -> None:
    """Keep what passed a node that only warns."""
    session.execute(
        text(
            """
            insert into funds_over_limit (funds_over_limit_id, agency_id, budget_line_id, document_kind, document_id,
                document_number, asked_minor, available_minor, effective_on, person_id, recorded_at)
            select id, agency_id, line_id, kind, document_id, number, asked, available, :effective_on,
                   cast(:person_id as uuid), transaction_timestamp()
            from unnest(cast(:ids as uuid[]), cast(:agency_ids as uuid[]), cast(:line_ids as uuid[]),
                        cast(:kinds as text[]), cast(:document_ids as uuid[]), cast(:numbers as text[]),
                        cast(:asked as bigint[]), cast(:available as bigint[]))
                 as v (id, agency_id, line_id, kind, document_id, number, asked, available)
            """
        ),
        {
            "effective_on": effective_on,
            "person_id": person_id,
            "ids": [new_id() for _ in over],
            "agency_ids": [one.agency_id for one in over],
            "line_ids": [one.budget_line_id for one in over],
            "kinds": [one.document.kind.value for one in over],
            "document_ids": [one.document.document_id for one in over],
            "numbers": [one.document.document_number for one in over],
            "asked": [one.asked_minor for one in over],
            "available": [one.available_minor for one in over],
        },
    )


def over_limits(
    session: Session,
    *,
    agency_id: UUID | None,
    budget_line_id: UUID | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """What went over a limit that only warns, the newest first, with the line's currency."""
    return session.execute(
        text(
            """
            select o.*, b.currency from funds_over_limit o join budget_line b using (budget_line_id)
            where (cast(:agency_id as uuid) is null or o.agency_id = :agency_id)
              and (cast(:line_id as uuid) is null or o.budget_line_id = :line_id)
              and (cast(:after as uuid) is null or o.funds_over_limit_id < :after)
            order by o.funds_over_limit_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "line_id": budget_line_id,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()
