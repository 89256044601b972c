"""SQL of ceilings, and of what requests ask for under them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.finance.budget.preparation.ceilings.domain import Ceiling, CeilingStatus, Demand, Head, Limit, Place
from services.finance.budget.preparation.ceilings.tables import BudgetCeilingHeadRow, BudgetCeilingRow
from services.finance.budget.preparation.domain import VersionStatus

# What has been handed in and not given back: it takes room under the ceilings.
STANDING = (VersionStatus.SUBMITTED, VersionStatus.REVIEWED, VersionStatus.APPROVED)


def lock_preparation(session: Session, agency_id: UUID, fiscal_year: int) -> None:
    """One act at a time on what an agency is allowed and asks for in a year, so that no two pass a ceiling together.

    It is taken before any row, and each statement after it sees what the act before it has committed.
    """
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('preparation:' || cast(:agency as text), :year))"),
        {"agency": str(agency_id), "year": fiscal_year},
    )


def insert_ceiling(session: Session, ceiling: Ceiling) -> bool:
    """Write a proposal; False when its number is taken in the agency and year."""
    written = session.execute(
        insert(BudgetCeilingRow)
        .values(**_document(ceiling))
        .on_conflict_do_nothing(index_elements=["agency_id", "fiscal_year", "document_number"])
        .returning(BudgetCeilingRow.budget_ceiling_id)
    ).first()
    if written is None:
        return False
    session.execute(
        insert(BudgetCeilingHeadRow),
        [
            {
                "budget_ceiling_head_id": head.budget_ceiling_head_id,
                "agency_id": ceiling.agency_id,
                "budget_ceiling_id": ceiling.budget_ceiling_id,
                "head_no": number,
                "organisation_code": head.place.organisation_code,
                "program_code": head.place.program_code,
                "account_code": head.place.account_code,
                "amounts_minor": list(head.amounts),
                "version_number": None,
            }
            for number, head in enumerate(ceiling.heads, start=1)
        ],
    )
    return True


def _document(ceiling: Ceiling) -> dict[str, Any]:
    return {
        "budget_ceiling_id": ceiling.budget_ceiling_id,
        "agency_id": ceiling.agency_id,
        "fiscal_year": ceiling.fiscal_year,
        "document_number": ceiling.document_number,
        "legal_reference": ceiling.legal_reference,
        "explanation": ceiling.explanation,
        "currency": ceiling.currency,
        "effective_on": ceiling.effective_on,
        "status": ceiling.status.value,
        "proposed_by_person_id": ceiling.proposed_by,
        "proposed_at": ceiling.proposed_at,
        "decided_by_person_id": ceiling.decided_by,
        "decided_at": ceiling.decided_at,
        "decision_reason": ceiling.decision_reason,
        "version": ceiling.version,
    }


def save_decision(session: Session, ceiling: Ceiling) -> None:
    """Write what was decided, and the version of each head that an approval gave."""
    kept = _document(ceiling)
    decided = ("status", "decided_by_person_id", "decided_at", "decision_reason", "version")
    session.execute(
        update(BudgetCeilingRow)
        .where(BudgetCeilingRow.budget_ceiling_id == ceiling.budget_ceiling_id)
        .values(**{name: kept[name] for name in decided})
    )
    if ceiling.status is CeilingStatus.APPROVED:
        session.execute(
            text(
                """
                update budget_ceiling_head h set version_number = n.version_number
                from unnest(cast(:ids as uuid[]), cast(:numbers as integer[])) n (id, version_number)
                where h.budget_ceiling_head_id = n.id
                """
            ),
            {
                "ids": [head.budget_ceiling_head_id for head in ceiling.heads],
                "numbers": [head.version_number for head in ceiling.heads],
            },
        )


def ceiling(session: Session, budget_ceiling_id: UUID, *, lock: bool = False) -> Ceiling | None:
    """One document with its heads, locked if so asked; None when it is not seen."""
    query = select(BudgetCeilingRow).where(BudgetCeilingRow.budget_ceiling_id == budget_ceiling_id)
    # What was read before the lock may be old by now.
    query = query.with_for_update().execution_options(populate_existing=True) if lock else query
    row = session.scalars(query).first()
    return None if row is None else _ceilings(session, [row])[0]


def ceilings(
    session: Session,
    *,
    agency_id: UUID | None,
    fiscal_year: int,
    status: CeilingStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Ceiling]:
    """Documents with their heads, the newest first."""
    row = BudgetCeilingRow
    query = select(row).order_by(row.budget_ceiling_id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if fiscal_year:
        query = query.where(row.fiscal_year == fiscal_year)
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(row.budget_ceiling_id < after[0])
    return _ceilings(session, list(session.scalars(query)))


def _ceilings(session: Session, documents: Sequence[BudgetCeilingRow]) -> list[Ceiling]:
    row = BudgetCeilingHeadRow
    heads: dict[UUID, list[Head]] = {}
    ids = [document.budget_ceiling_id for document in documents]
    query = select(row).where(row.budget_ceiling_id.in_(ids)).order_by(row.budget_ceiling_id, row.head_no)  # type: ignore[attr-defined]  # a column
    for one in session.scalars(query.execution_options(populate_existing=True)):
        heads.setdefault(one.budget_ceiling_id, []).append(
            Head(
                one.budget_ceiling_head_id,
                Place(one.organisation_code, one.program_code, one.account_code),
                tuple(one.amounts_minor),
                one.version_number or 0,
            )
        )
    return [
        Ceiling(
            budget_ceiling_id=document.budget_ceiling_id,
            agency_id=document.agency_id,
            fiscal_year=document.fiscal_year,
            document_number=document.document_number,
            legal_reference=document.legal_reference,
            explanation=document.explanation,
            currency=document.currency,
            effective_on=document.effective_on,
            heads=tuple(heads.get(document.budget_ceiling_id, ())),
            proposed_by=document.proposed_by_person_id,
            proposed_at=document.proposed_at,
            status=CeilingStatus(document.status),
            decided_by=document.decided_by_person_id,
            decided_at=document.decided_at,
            decision_reason=document.decision_reason,
            version=document.version,
        )
        for document in documents
    ]


def limits(session: Session, agency_id: UUID, fiscal_year: int, currency: str) -> list[Limit]:
    """Every head that was ever approved for the year, in this currency."""
    rows = session.execute(
        text(
            """
            select h.budget_ceiling_head_id, h.organisation_code, h.program_code, h.account_code, h.amounts_minor,
                   h.version_number, c.document_number, c.effective_on
            from budget_ceiling c join budget_ceiling_head h using (budget_ceiling_id)
            where c.agency_id = :agency_id and c.fiscal_year = :fiscal_year and c.currency = :currency
              and c.status = 'APPROVED'
            order by h.organisation_code, h.program_code, h.account_code, h.version_number
            """
        ),
        {"agency_id": agency_id, "fiscal_year": fiscal_year, "currency": currency},
    )
    return [
        Limit(
            Head(
                row.budget_ceiling_head_id,
                Place(row.organisation_code, row.program_code, row.account_code),
                tuple(row.amounts_minor),
                row.version_number,
            ),
            row.document_number,
            row.effective_on,
        )
        for row in rows
    ]


_DEMANDS = """
    select q.budget_request_id, q.document_number, l.version_number, l.organisation_code, l.program_code,
           l.account_code, y.nth, sum(y.minor)::bigint as minor
    from budget_request q
    join budget_request_version v using (budget_request_id)
    join budget_request_line l on l.budget_request_id = v.budget_request_id and l.version_number = v.version_number
    cross join lateral unnest(l.amounts_minor) with ordinality y (minor, nth)
    where {where}
    group by q.budget_request_id, q.document_number, l.version_number, l.organisation_code, l.program_code,
             l.account_code, y.nth
    order by q.budget_request_id, l.version_number, l.organisation_code, l.program_code, l.account_code, y.nth
"""


def demands(
    session: Session,
    agency_id: UUID,
    fiscal_year: int,
    currency: str,
    statuses: Collection[VersionStatus] = STANDING,
) -> list[Demand]:
    """What the versions in these states ask for, place by place."""
    where = (
        "q.agency_id = :agency_id and q.fiscal_year = :fiscal_year and q.currency = :currency"
        " and v.status = any (cast(:statuses as text[]))"
    )
    return _demands(
        session,
        where,
        {
            "agency_id": agency_id,
            "fiscal_year": fiscal_year,
            "currency": currency,
            "statuses": [status.value for status in statuses],
        },
    )


def demands_of(session: Session, budget_request_id: UUID, version_number: int) -> list[Demand]:
    """What one version asks for, whatever its state."""
    where = "q.budget_request_id = :id and v.version_number = :number"
    return _demands(session, where, {"id": budget_request_id, "number": version_number})


def _demands(session: Session, where: str, values: dict[str, Any]) -> list[Demand]:
    found: dict[tuple[UUID, int, str, Place], list[int]] = {}
    for row in session.execute(text(_DEMANDS.format(where=where)), values):
        place = Place(row.organisation_code, row.program_code, row.account_code)
        found.setdefault((row.budget_request_id, row.version_number, row.document_number, place), []).append(row.minor)
    return [
        Demand(request_id, number, document_number, place, tuple(amounts))
        for (request_id, number, document_number, place), amounts in found.items()
    ]
