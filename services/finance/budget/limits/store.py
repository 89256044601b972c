"""SQL of period limits: the steps of an agency, and what has reached a step by line and month."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, text, tuple_
from sqlmodel import Session

from services.finance.budget.limits.domain import PeriodLimit, Step
from services.finance.budget.overrides.tables import PeriodLimitRow
from services.finance.classification.fiscal_calendar import FiscalCalendar


def lock_limits(session: Session) -> None:
    """One writer of the limits at a time: overlaps of days are checked, not constrained."""
    session.execute(text("select pg_advisory_xact_lock(5107104)"))


def steps_on(session: Session, agency_id: UUID, on: date) -> list[Step]:
    """The steps at which an agency checks releases to date on a day, beside the payment request."""
    row = PeriodLimitRow
    query = select(row.step).where(
        row.agency_id == agency_id, row.valid_from <= on, or_(row.valid_to.is_(None), row.valid_to > on)
    )
    return sorted((Step(step) for step in session.scalars(query)), key=lambda step: step.value)


def limits_of(session: Session, agency_ids: Collection[UUID]) -> list[PeriodLimit]:
    """Every limit of these agencies, on whatever days."""
    row = PeriodLimitRow
    return [_limit(found) for found in session.scalars(select(row).where(row.agency_id.in_(sorted(agency_ids))))]


def list_limits(session: Session, *, agency_id: UUID, after: tuple[Any, ...] | None, limit: int) -> list[PeriodLimit]:
    """An agency's limits by step and first day."""
    row = PeriodLimitRow
    query = select(row).where(row.agency_id == agency_id).order_by(row.step, row.valid_from).limit(limit)
    if after is not None:
        query = query.where(tuple_(row.step, row.valid_from) > tuple_(*after))
    return [_limit(found) for found in session.scalars(query)]


def add_limits(session: Session, limits: Sequence[PeriodLimit]) -> None:
    """Insert limits."""
    session.add_all([PeriodLimitRow(**{**vars(limit), "step": limit.step.value}) for limit in limits])
    session.flush()


def _limit(row: PeriodLimitRow) -> PeriodLimit:
    return PeriodLimit(
        row.period_limit_id, row.agency_id, Step(row.step), row.legal_source, row.valid_from, row.valid_to
    )


def reached(
    session: Session, step: Step, line_ids: Collection[UUID], calendar: FiscalCalendar
) -> dict[UUID, dict[int, int]]:
    """What has reached `step` or a later one, by line and running period of its years; not what is due later."""
    first = {"first_month": calendar.first_month, "named_later": calendar.named_later}
    rows = session.execute(
        text(
            """
            with due as (
                select s.budget_line_id, case when s.year < b.fiscal_year then 1
                                              else 12 * (s.year - b.fiscal_year) + s.period_number end as month,
                       s.amount_minor
                from funds_schedule s
                join funds_position p using (document_line_id, budget_line_id)
                join budget_line b on b.budget_line_id = s.budget_line_id
                where s.budget_line_id = any (cast(:ids as uuid[])) and s.amount_minor > 0
                  and s.year <= coalesce(b.last_fiscal_year, b.fiscal_year) and (:reserved or p.obligated_minor > 0)
                union all
                select m.budget_line_id,
                       -- In whole months, so that a year that begins with another month needs no other statement.
                       greatest(1, least(b.periods, 12 * (extract(year from m.accounting_on)
                                                         - extract(year from b.begins_on))
                                                    + extract(month from m.accounting_on)
                                                    - extract(month from b.begins_on) + 1)),
                       m.advanced_minor + m.expended_minor + m.ordered_minor + m.paid_minor
                from funds_movement m
                join (select budget_line_id, make_date(fiscal_year - :named_later, :first_month, 1) as begins_on,
                             12 * (1 + coalesce(last_fiscal_year, fiscal_year) - fiscal_year) as periods
                      from budget_line) b using (budget_line_id)
                where m.budget_line_id = any (cast(:ids as uuid[]))
            )
            select budget_line_id, month::integer as month, sum(amount_minor)::bigint as amount
            from due group by 1, 2 having sum(amount_minor) <> 0
            """
        ),
        {"ids": list(line_ids), "reserved": step is Step.RESERVE, **first},
    )
    found: dict[UUID, dict[int, int]] = {}
    for row in rows:
        found.setdefault(row.budget_line_id, {})[row.month] = row.amount
    return found
