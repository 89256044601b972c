"""SQL of reopenings and issued statements."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlmodel import Session

from services.finance.classification.closing.domain import Reopening, ReopeningStatus
from services.finance.classification.closing.tables import FinancialStatementsRow, FiscalPeriodReopeningRow
from services.finance.classification.domain import Area, FiscalYear, PeriodState


def _reopening(row: FiscalPeriodReopeningRow) -> Reopening:
    return Reopening(
        fiscal_period_reopening_id=row.fiscal_period_reopening_id,
        agency_id=row.agency_id,
        year=row.year,
        number=row.number,
        areas=tuple(Area(area) for area in row.areas),
        reason=row.reason,
        proposed_by=row.proposed_by_person_id,
        proposed_at=row.proposed_at,
        from_state=PeriodState(row.from_state),
        status=ReopeningStatus(row.status),
        decided_by=row.decided_by_person_id,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )


def add(session: Session, reopening: Reopening) -> None:
    """Insert a proposal."""
    session.add(
        FiscalPeriodReopeningRow(
            fiscal_period_reopening_id=reopening.fiscal_period_reopening_id,
            agency_id=reopening.agency_id,
            year=reopening.year,
            number=reopening.number,
            areas=[area.value for area in reopening.areas],
            reason=reopening.reason,
            from_state=reopening.from_state.value,
            status=reopening.status.value,
            proposed_by_person_id=reopening.proposed_by,
            proposed_at=reopening.proposed_at,
            decision_reason=reopening.decision_reason,
        )
    )
    session.flush()


def get(session: Session, fiscal_period_reopening_id: UUID, *, lock: bool = False) -> Reopening | None:
    """One reopening; with `lock` held until the transaction ends."""
    row = session.get(FiscalPeriodReopeningRow, fiscal_period_reopening_id, with_for_update=lock or None)
    return _reopening(row) if row else None


def save_decision(session: Session, reopening: Reopening) -> None:
    """Write what was decided on a locked reopening."""
    row = session.get_one(FiscalPeriodReopeningRow, reopening.fiscal_period_reopening_id)
    row.status = reopening.status.value
    row.decided_by_person_id = reopening.decided_by
    row.decided_at = reopening.decided_at
    row.decision_reason = reopening.decision_reason
    session.flush()


def pending(session: Session, agency_id: UUID, year: int, number: int) -> Reopening | None:
    """The proposal of a period that nobody has decided on."""
    row = FiscalPeriodReopeningRow
    query = select(row).where(
        row.agency_id == agency_id,
        row.year == year,
        row.number == number,
        row.status == ReopeningStatus.PROPOSED.value,
    )
    found = session.scalars(query).first()
    return _reopening(found) if found else None


def reopenings(
    session: Session,
    *,
    agency_id: UUID,
    year: int,
    status: ReopeningStatus | None,
    after: tuple[UUID] | None,
    limit: int,
) -> list[Reopening]:
    """An agency's reopenings, the newest first."""
    row = FiscalPeriodReopeningRow
    query = (
        select(row)
        .where(row.agency_id == agency_id)
        .order_by(row.fiscal_period_reopening_id.desc())  # type: ignore[attr-defined]  # a column
        .limit(limit)
    )
    if year:
        query = query.where(row.year == year)
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(row.fiscal_period_reopening_id < after[0])
    return [_reopening(found) for found in session.scalars(query)]


def add_statements(session: Session, year: FiscalYear, *, person_id: UUID, at: datetime) -> None:
    """Record the issue of a year's statements."""
    session.add(
        FinancialStatementsRow(
            agency_id=year.agency_id,
            year=year.year,
            issued_on=year.statements_issued_on,
            document_number=year.statements_document_number,
            person_id=person_id,
            recorded_at=at,
        )
    )
    session.flush()
