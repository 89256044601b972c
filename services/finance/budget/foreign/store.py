"""SQL of revaluations of foreign commitments, and of the clock of the service's own round."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.money import Money
from services.finance.budget.domain import Key
from services.finance.budget.foreign.domain import FundsRevaluation, RevaluedFunds
from services.finance.budget.foreign.tables import FundsRevaluationItemRow, FundsRevaluationRow
from services.finance.ledger.rates.domain import Rate, RateKind


def lock_agency(session: Session, agency_id: UUID) -> None:
    """One revaluation of an agency's commitments at a time; taken before anything else."""
    session.execute(text("select pg_advisory_xact_lock(5107105, hashtext(:id))"), {"id": str(agency_id)})


def open_commitments(
    session: Session, agency_id: UUID, *, on: date, budget_line_id: UUID | None, limit: int
) -> list[tuple[Key, str]]:
    """What active lines reserve or obligate in foreign currencies at a rate not later than `on`, with its currency."""
    rows = session.execute(
        text(
            """
            select p.document_line_id, p.budget_line_id, p.foreign_currency
            from funds_position p join budget_line b using (budget_line_id)
            where p.agency_id = :agency_id and p.foreign_currency is not null
              and p.foreign_reserved_minor + p.foreign_obligated_minor > 0 and p.foreign_rated_on <= :on
              and b.status = 'ACTIVE' and (cast(:line_id as uuid) is null or p.budget_line_id = :line_id)
            order by p.budget_line_id, p.document_line_id limit :limit
            """
        ),
        {"agency_id": agency_id, "on": on, "line_id": budget_line_id, "limit": limit},
    )
    return [(Key(row.document_line_id, row.budget_line_id), row.foreign_currency) for row in rows]


def add(session: Session, done: FundsRevaluation) -> None:
    """Insert a revaluation with its items."""
    session.add(FundsRevaluationRow(**{name: getattr(done, name) for name in FundsRevaluationRow.model_fields}))
    session.add_all(
        [
            FundsRevaluationItemRow(
                funds_revaluation_id=done.funds_revaluation_id,
                document_line_id=one.key.document_line_id,
                budget_line_id=one.key.budget_line_id,
                agency_id=done.agency_id,
                funds_movement_id=one.funds_movement_id,
                exchange_rate_id=one.rate.exchange_rate_id,
                foreign_currency=one.foreign.currency,
                foreign_minor=one.foreign.minor,
                carrying_minor=one.carrying.minor,
                revalued_minor=one.revalued.minor,
            )
            for one in done.items
        ]
    )
    session.flush()


def get(session: Session, funds_revaluation_id: UUID) -> Row[Any] | None:
    """The head of a revaluation; None when it is not seen."""
    return session.execute(
        text("select * from funds_revaluation where funds_revaluation_id = :id"), {"id": funds_revaluation_id}
    ).first()


def revaluations(session: Session, agency_id: UUID, *, after: tuple[UUID] | None, limit: int) -> list[FundsRevaluation]:
    """An agency's revaluations without their items, the newest first."""
    rows = session.execute(
        text(
            """
            select * from funds_revaluation
            where agency_id = :agency_id and (cast(:after as uuid) is null or funds_revaluation_id < :after)
            order by funds_revaluation_id desc limit :limit
            """
        ),
        {"agency_id": agency_id, "after": after[0] if after else None, "limit": limit},
    )
    return [FundsRevaluation(**row._mapping, items=()) for row in rows]


def items(
    session: Session, funds_revaluation_id: UUID, *, after: tuple[Any, ...] | None, limit: int
) -> list[RevaluedFunds]:
    """What a revaluation did, by budget line and document line."""
    rows = session.execute(
        text(
            """
            select i.*, b.currency as own, e.functional_currency, e.rated_on, e.kind, e.rate, e.source, e.recorded_at
            from funds_revaluation_item i join budget_line b using (budget_line_id)
            join exchange_rate e using (exchange_rate_id)
            where i.funds_revaluation_id = :id
              and (cast(:line_id as uuid) is null
                   or (i.budget_line_id, i.document_line_id) > (:line_id, cast(:document_line_id as uuid)))
            order by i.budget_line_id, i.document_line_id limit :limit
            """
        ),
        {
            "id": funds_revaluation_id,
            "line_id": after[0] if after else None,
            "document_line_id": after[1] if after else None,
            "limit": limit,
        },
    )
    return [
        RevaluedFunds(
            Key(row.document_line_id, row.budget_line_id),
            row.funds_movement_id,
            Money(row.foreign_minor, row.foreign_currency),
            Money(row.carrying_minor, row.own),
            Money(row.revalued_minor, row.own),
            Rate(
                row.exchange_rate_id,
                row.foreign_currency,
                row.functional_currency,
                row.rated_on,
                RateKind(row.kind),
                row.rate,
                row.source,
                row.recorded_at,
            ),
        )
        for row in rows
    ]


# --- the service's own round ---------------------------------------------------------------------------------------


def ring(session: Session, agency_id: UUID, due_on: date) -> None:
    """Let the round come by for an agency on that day, or earlier if it will anyway."""
    session.execute(
        text(
            """
            insert into foreign_commitment_clock as kept (committed_agency_id, due_on) values (:id, :due_on)
            on conflict (committed_agency_id) do update set due_on = least(kept.due_on, excluded.due_on)
            where kept.due_on > excluded.due_on
            """
        ),
        {"id": agency_id, "due_on": due_on},
    )


def due(session: Session, on: date) -> list[tuple[UUID, date]]:
    """The agencies that are due by a day, with the day that each is due."""
    rows = session.execute(
        text(
            "select committed_agency_id, due_on from foreign_commitment_clock where due_on <= :on"
            " order by committed_agency_id"
        ),
        {"on": on},
    )
    return [(row.committed_agency_id, row.due_on) for row in rows]


def set_due(session: Session, agency_id: UUID, due_on: date) -> None:
    """The agency was revalued; it is due again on that day."""
    session.execute(
        text("update foreign_commitment_clock set due_on = :due_on where committed_agency_id = :id"),
        {"id": agency_id, "due_on": due_on},
    )
