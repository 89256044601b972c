"""SQL of authority: what an act did to F1 and F2's left side, and releases that follow the money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from chassis.ids import new_id
from services.finance.budget.domain import Line
from services.finance.budget.span import period_within

_AUTHORITY = ("supplementary", "virement_in", "virement_out", "carried_in", "frozen", "override")


def save_authority(session: Session, before: Mapping[UUID, Line], after: Mapping[UUID, Line]) -> None:
    """Write the authority of the lines that changed; the table's own check refuses a hard stop below zero."""
    changed = [line for key, line in sorted(after.items()) if _amounts(line) != _amounts(before[key])]
    if not changed:
        return
    assignments = ", ".join(f"{name}_minor = v.{name}" for name in _AUTHORITY)
    arrays = ", ".join(f"cast(:{name} as bigint[])" for name in _AUTHORITY)
    session.execute(
        text(
            f"""
            update budget_line l set {assignments}
            from unnest(cast(:ids as uuid[]), {arrays}) as v (id, {", ".join(_AUTHORITY)})
            where l.budget_line_id = v.id
            """  # noqa: S608
        ),
        {
            "ids": [line.budget_line_id for line in changed],
            **{name: [getattr(line, name) for line in changed] for name in _AUTHORITY},
        },
    )


def _amounts(line: Line) -> tuple[int, ...]:
    return tuple(getattr(line, name) for name in _AUTHORITY)


def insert_release_shifts(
    session: Session,
    order_id: UUID,
    *,
    agency_id: UUID,
    fiscal_year: int,
    document_number: str,
    currency: str,
    effective_on: date,
    parts: Sequence[tuple[UUID, int, int, int]],
    person_id: UUID,
    at: datetime,
) -> bool:
    """A release whose parts (line, first month, last month, amount ±) follow a change; False: its number is taken."""
    row = session.execute(
        text(
            """
            insert into allotment_order (allotment_order_id, agency_id, fiscal_year, document_number, month_from,
                month_to, currency, line_count, total_minor, effective_on, person_id, recorded_at)
            values (:id, :agency_id, :fiscal_year, :number, :month_from, :month_to, :currency, :line_count, :total,
                    :effective_on, :person_id, :at)
            on conflict (agency_id, fiscal_year, document_number) do nothing returning allotment_order_id
            """
        ),
        {
            "id": order_id,
            "agency_id": agency_id,
            "fiscal_year": fiscal_year,
            "number": document_number,
            "month_from": min(period_within(part[1]) for part in parts),
            "month_to": max(period_within(part[2]) for part in parts),
            "currency": currency,
            "line_count": len(parts),
            "total": sum(part[3] for part in parts),
            "effective_on": effective_on,
            "person_id": person_id,
            "at": at,
        },
    ).first()
    if row is None:
        return False
    session.execute(
        text(
            """
            insert into allotment (allotment_id, agency_id, allotment_order_id, budget_line_id, month_from, month_to,
                                   amount_minor)
            select a, :agency_id, :order_id, l, f, t, m
            from unnest(cast(:ids as uuid[]), cast(:line_ids as uuid[]), cast(:month_from as smallint[]),
                        cast(:month_to as smallint[]), cast(:amounts as bigint[])) as v (a, l, f, t, m)
            """
        ),
        {
            "agency_id": agency_id,
            "order_id": order_id,
            "ids": [new_id() for _ in parts],
            "line_ids": [part[0] for part in parts],
            "month_from": [part[1] for part in parts],
            "month_to": [part[2] for part in parts],
            "amounts": [part[3] for part in parts],
        },
    )
    return True
