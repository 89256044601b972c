"""SQL of the days of payments' steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.payables.clocks.domain import Outcome, StepRule


def start(session: Session, payment_request_id: UUID, agency_id: UUID, rule: StepRule, on: date) -> None:
    """Let a step of a request run from a day on."""
    session.execute(
        text(
            "insert into payment_clock (payment_request_id, step, agency_id, started_on, due_on, return_due_on)"
            " values (:id, :step, :agency_id, :on, :due_on, :return_due_on)"
        ),
        {
            "id": payment_request_id,
            "step": rule.step.value,
            "agency_id": agency_id,
            "on": on,
            "due_on": rule.due_on(on),
            "return_due_on": rule.return_due_on(on),
        },
    )


def end(session: Session, payment_request_id: UUID, outcome: Outcome, on: date) -> None:
    """End the step that runs; nothing where none does, for a request from before the law set days."""
    session.execute(
        text(
            "update payment_clock set ended_on = :on, outcome = :outcome"
            " where payment_request_id = :id and ended_on is null"
        ),
        {"id": payment_request_id, "outcome": outcome.value, "on": on},
    )


def due_days(session: Session, payment_request_ids: Collection[UUID]) -> dict[UUID, date]:
    """By when the next step of each of these requests is due, for those in which one runs."""
    rows = session.execute(
        text(
            "select payment_request_id, due_on from payment_clock"
            " where payment_request_id = any (cast(:ids as uuid[])) and ended_on is null"
        ),
        {"ids": list(payment_request_ids)},
    )
    return {row.payment_request_id: row.due_on for row in rows}


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    late: bool,
    running: bool,
    today: date,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Steps of payments with their requests' numbers, the one that is due first first."""
    return session.execute(
        text(
            """
            select c.*, r.request_number, r.authorisation_number, r.status as request_status
            from payment_clock c join payment_request r using (payment_request_id)
            where (cast(:agency_id as uuid) is null or c.agency_id = :agency_id)
              and (not :running or c.ended_on is null)
              and (not :late or coalesce(c.ended_on, :today)
                                > case when c.outcome = 'RETURNED' then c.return_due_on else c.due_on end)
              and (cast(:after_id as uuid) is null
                   or (c.due_on, c.payment_request_id, c.step) > (cast(:after_on as date), :after_id, :after_step))
            order by c.due_on, c.payment_request_id, c.step limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "late": late,
            "running": running,
            "today": today,
            "after_on": after[0] if after else None,
            "after_id": after[1] if after else None,
            "after_step": after[2] if after else None,
            "limit": limit,
        },
    ).all()
