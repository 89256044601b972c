"""SQL of contracts of several years."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.finance.budget.years.domain import Authorisation, AuthorisationStatus, Slice
from services.finance.budget.years.tables import MultiYearAuthorisationRow, MultiYearSliceRow


def insert_authorisation(session: Session, one: Authorisation) -> bool:
    """Write a proposal; False when its number is taken, or its contract has an authorisation that still counts."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('multi-year:' || cast(:id as text), 0))"),
        {"id": str(one.contract_id)},
    )
    row = MultiYearAuthorisationRow
    present = session.execute(
        select(row.multi_year_authorisation_id).where(
            row.agency_id == one.agency_id,
            row.contract_id == one.contract_id,
            row.status.in_(["PROPOSED", "APPROVED"]),
        )
    ).first()
    if present is not None:
        return False
    written = session.execute(
        insert(row)
        .values(**_head(one))
        .on_conflict_do_nothing(index_elements=["agency_id", "document_number"])
        .returning(row.multi_year_authorisation_id)
    ).first()
    if written is None:
        return False
    session.execute(
        insert(MultiYearSliceRow),
        [
            {
                "multi_year_authorisation_id": one.multi_year_authorisation_id,
                "fiscal_year": part.fiscal_year,
                "agency_id": one.agency_id,
                "amount_minor": part.amount,
                "document_line_id": part.document_line_id,
                "budget_line_id": part.budget_line_id,
                "obligated_on": part.obligated_on,
                "exception": part.exception,
            }
            for part in one.slices
        ],
    )
    return True


def _head(one: Authorisation) -> dict[str, Any]:
    return {
        "multi_year_authorisation_id": one.multi_year_authorisation_id,
        "agency_id": one.agency_id,
        "document_number": one.document_number,
        "legal_reference": one.legal_reference,
        "explanation": one.explanation,
        "contract_id": one.contract_id,
        "contract_number": one.contract_number,
        "currency": one.currency,
        "ceiling_minor": one.ceiling,
        "price_minor": one.price,
        "effective_on": one.effective_on,
        "status": one.status.value,
        "proposed_by_person_id": one.proposed_by,
        "proposed_at": one.proposed_at,
        "decided_by_person_id": one.decided_by,
        "decided_at": one.decided_at,
        "decision_reason": one.decision_reason,
        "version": one.version,
    }


def save(session: Session, one: Authorisation) -> None:
    """Write the decision and the slices as they stand."""
    head = _head(one)
    changing = ("status", "decided_by_person_id", "decided_at", "decision_reason", "version")
    session.execute(
        update(MultiYearAuthorisationRow)
        .where(MultiYearAuthorisationRow.multi_year_authorisation_id == one.multi_year_authorisation_id)
        .values(**{name: head[name] for name in changing})
    )
    for part in one.slices:
        session.execute(
            update(MultiYearSliceRow)
            .where(
                MultiYearSliceRow.multi_year_authorisation_id == one.multi_year_authorisation_id,
                MultiYearSliceRow.fiscal_year == part.fiscal_year,
            )
            .values(budget_line_id=part.budget_line_id, obligated_on=part.obligated_on, exception=part.exception)
        )


def authorisation(session: Session, authorisation_id: UUID, *, lock: bool = False) -> Authorisation | None:
    """One authorisation with its slices, locked if so asked; None when it is not seen."""
    query = select(MultiYearAuthorisationRow).where(
        MultiYearAuthorisationRow.multi_year_authorisation_id == authorisation_id
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    head = session.scalars(query).first()
    return None if head is None else _authorisations(session, [head])[0]


def authorisations(
    session: Session,
    *,
    agency_id: UUID | None,
    waiting_year: int,
    status: AuthorisationStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Authorisation]:
    """Authorisations with their slices, the newest first; with `waiting_year` those whose slice of it waits."""
    row, part = MultiYearAuthorisationRow, MultiYearSliceRow
    query = select(row).order_by(row.multi_year_authorisation_id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if status is not None:
        query = query.where(row.status == status.value)
    if waiting_year:
        waiting = select(part.multi_year_authorisation_id).where(
            part.fiscal_year == waiting_year, part.obligated_on.is_(None)
        )
        query = query.where(row.status == "APPROVED", row.multi_year_authorisation_id.in_(waiting))
    if after is not None:
        query = query.where(row.multi_year_authorisation_id < after[0])
    return _authorisations(session, list(session.scalars(query)))


def lock_waiting(session: Session, agency_id: UUID, fiscal_year: int) -> list[Authorisation]:
    """The approved authorisations of an agency whose slice of a year waits, locked, in the order of their approval."""
    row, part = MultiYearAuthorisationRow, MultiYearSliceRow
    waiting = select(part.multi_year_authorisation_id).where(
        part.agency_id == agency_id, part.fiscal_year == fiscal_year, part.obligated_on.is_(None)
    )
    query = (
        select(row)
        .where(row.agency_id == agency_id, row.status == "APPROVED", row.multi_year_authorisation_id.in_(waiting))
        .order_by(row.decided_at, row.multi_year_authorisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return _authorisations(session, list(session.scalars(query)))


def _authorisations(session: Session, heads: Sequence[MultiYearAuthorisationRow]) -> list[Authorisation]:
    row = MultiYearSliceRow
    ids = [head.multi_year_authorisation_id for head in heads]
    query = (
        select(row)
        .where(row.multi_year_authorisation_id.in_(ids))
        .order_by(row.multi_year_authorisation_id, row.fiscal_year)
        .execution_options(populate_existing=True)
    )
    slices: dict[UUID, list[Slice]] = {}
    for part in session.scalars(query):
        slices.setdefault(part.multi_year_authorisation_id, []).append(
            Slice(
                part.fiscal_year,
                part.amount_minor,
                part.document_line_id,
                part.budget_line_id,
                part.obligated_on,
                part.exception,
            )
        )
    return [
        Authorisation(
            multi_year_authorisation_id=head.multi_year_authorisation_id,
            agency_id=head.agency_id,
            document_number=head.document_number,
            legal_reference=head.legal_reference,
            explanation=head.explanation,
            contract_id=head.contract_id,
            contract_number=head.contract_number,
            currency=head.currency,
            ceiling=head.ceiling_minor,
            price=head.price_minor,
            effective_on=head.effective_on,
            slices=tuple(slices.get(head.multi_year_authorisation_id, ())),
            proposed_by=head.proposed_by_person_id,
            proposed_at=head.proposed_at,
            status=AuthorisationStatus(head.status),
            decided_by=head.decided_by_person_id,
            decided_at=head.decided_at,
            decision_reason=head.decision_reason,
            version=head.version,
        )
        for head in heads
    ]


_SEGMENTS = ("organisation", "program", "account", "function", "location", "project", "funding_source")


def same_line_of(
    session: Session, budget_line_id: UUID, fiscal_year: int, *, first_day: date, next_day: date
) -> UUID | None:
    """The active line of another year with the segments and line number of this one; None when there is none.

    A segment is equal to its default successor where the chart changed from `first_day`, of the line's own year, to
    `next_day`, the other year's first.
    """
    codes = ", ".join(
        f"carried_code('{name.upper()}', {name}_code, :first_day, :next_day) as {name}_code" for name in _SEGMENTS
    )
    return session.execute(
        text(
            f"""
            with wanted as materialized (
                select agency_id, fund_code, line_no, {codes} from budget_line where budget_line_id = :id
            )
            select n.budget_line_id from wanted
            join budget_line n using (agency_id, fund_code, line_no, {", ".join(f"{name}_code" for name in _SEGMENTS)})
            where n.fiscal_year = :fiscal_year and n.status = 'ACTIVE' and n.postable
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"id": budget_line_id, "fiscal_year": fiscal_year, "first_day": first_day, "next_day": next_day},
    ).scalar_one_or_none()
