"""SQL of budget requests: versions and their lines, whole batches as sets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from chassis.ids import new_id
from services.finance.budget.preparation.domain import (
    Difference,
    LineKey,
    Request,
    RequestLine,
    Stage,
    Version,
    VersionStatus,
)
from services.finance.budget.preparation.tables import BudgetRequestRow, BudgetRequestVersionRow

KEY_COLUMNS = (
    "organisation_code",
    "program_code",
    "account_code",
    "fund_code",
    "function_code",
    "location_code",
    "project_code",
    "funding_source_code",
    "line_no",
)
_KEY = ", ".join(KEY_COLUMNS)


def insert_request(session: Session, request: Request) -> bool:
    """Write a request with its first version; False when its number is taken in the agency and year."""
    written = session.execute(
        insert(BudgetRequestRow)
        .values(**_head(request))
        .on_conflict_do_nothing(index_elements=["agency_id", "fiscal_year", "document_number"])
        .returning(BudgetRequestRow.budget_request_id)
    ).first()
    if written is None:
        return False
    insert_version(session, request)
    return True


def _head(request: Request) -> dict[str, Any]:
    return {
        "budget_request_id": request.budget_request_id,
        "agency_id": request.agency_id,
        "fiscal_year": request.fiscal_year,
        "organisation_code": request.organisation_code,
        "document_number": request.document_number,
        "explanation": request.explanation,
        "currency": request.currency,
        "medium_term_years": request.medium_term_years,
        "latest_version_number": request.latest.version_number,
        "created_by_person_id": request.created_by,
        "created_at": request.created_at,
        "appropriation_id": request.appropriation_id,
        "version": request.version,
    }


def _version(request: Request) -> dict[str, Any]:
    latest = request.latest
    return {
        "budget_request_id": request.budget_request_id,
        "version_number": latest.version_number,
        "agency_id": request.agency_id,
        "stage": latest.stage.value,
        "status": latest.status.value,
        "maker_person_ids": sorted(latest.makers),
        "line_count": latest.line_count,
        "totals_minor": list(latest.totals),
        "opened_at": latest.opened_at,
        "submitted_by_person_id": latest.submitted_by,
        "submitted_at": latest.submitted_at,
        "reviewed_by_person_id": latest.reviewed_by,
        "reviewed_at": latest.reviewed_at,
        "review_remark": latest.review_remark,
        "decided_by_person_id": latest.decided_by,
        "decided_at": latest.decided_at,
        "decision_reason": latest.decision_reason,
    }


def insert_version(session: Session, request: Request) -> None:
    """Write the latest version as a new one."""
    session.execute(insert(BudgetRequestVersionRow).values(**_version(request)))


def save(session: Session, request: Request) -> None:
    """Write the request's head and its latest version as they stand now."""
    head, version = _head(request), _version(request)
    session.execute(
        update(BudgetRequestRow)
        .where(BudgetRequestRow.budget_request_id == request.budget_request_id)
        .values(**{name: head[name] for name in ("latest_version_number", "appropriation_id", "version")})
    )
    fixed = ("budget_request_id", "version_number", "agency_id", "stage", "opened_at")
    session.execute(
        update(BudgetRequestVersionRow)
        .where(
            BudgetRequestVersionRow.budget_request_id == request.budget_request_id,
            BudgetRequestVersionRow.version_number == request.latest.version_number,
        )
        .values(**{name: value for name, value in version.items() if name not in fixed})
    )


def supersede(session: Session, budget_request_id: UUID, *, by_version: int) -> None:
    """Approved versions before `by_version` count no more."""
    session.execute(
        text(
            "update budget_request_version set status = 'SUPERSEDED'"
            " where budget_request_id = :id and version_number < :number and status = 'APPROVED'"
        ),
        {"id": budget_request_id, "number": by_version},
    )


def request(session: Session, budget_request_id: UUID, *, lock: bool = False) -> Request | None:
    """One request with its latest version, locked if so asked; None when it is not seen."""
    query = select(BudgetRequestRow).where(BudgetRequestRow.budget_request_id == budget_request_id)
    # What was read before the lock may be old by now.
    query = query.with_for_update().execution_options(populate_existing=True) if lock else query
    row = session.scalars(query).first()
    return None if row is None else _requests(session, [row])[0]


def requests(
    session: Session,
    *,
    agency_id: UUID | None,
    fiscal_year: int,
    organisation_code: str,
    status: VersionStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Request]:
    """Requests with their latest versions, the newest first; `status` is the latest version's."""
    row, version = BudgetRequestRow, BudgetRequestVersionRow
    query = select(row).order_by(row.budget_request_id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if fiscal_year:
        query = query.where(row.fiscal_year == fiscal_year)
    if organisation_code:
        query = query.where(row.organisation_code == organisation_code)
    if status is not None:
        query = query.where(
            select(version)
            .where(
                version.budget_request_id == row.budget_request_id,
                version.version_number == row.latest_version_number,
                version.status == status.value,
            )
            .exists()
        )
    if after is not None:
        query = query.where(row.budget_request_id < after[0])
    return _requests(session, list(session.scalars(query)))


def _requests(session: Session, heads: Sequence[BudgetRequestRow]) -> list[Request]:
    row = BudgetRequestVersionRow
    latest = {head.budget_request_id: head.latest_version_number for head in heads}
    query = select(row).where(row.budget_request_id.in_(sorted(latest)))  # type: ignore[attr-defined]  # a column
    found = {
        one.budget_request_id: one
        for one in session.scalars(query.execution_options(populate_existing=True))
        if one.version_number == latest[one.budget_request_id]
    }
    return [
        Request(
            budget_request_id=head.budget_request_id,
            agency_id=head.agency_id,
            fiscal_year=head.fiscal_year,
            organisation_code=head.organisation_code,
            document_number=head.document_number,
            explanation=head.explanation,
            currency=head.currency,
            medium_term_years=head.medium_term_years,
            latest=_version_of(found[head.budget_request_id]),
            created_by=head.created_by_person_id,
            created_at=head.created_at,
            appropriation_id=head.appropriation_id,
            version=head.version,
        )
        for head in heads
    ]


def _version_of(row: BudgetRequestVersionRow) -> Version:
    return Version(
        version_number=row.version_number,
        stage=Stage(row.stage),
        makers=frozenset(row.maker_person_ids),
        opened_at=row.opened_at,
        status=VersionStatus(row.status),
        line_count=row.line_count,
        totals=tuple(row.totals_minor),
        submitted_by=row.submitted_by_person_id,
        submitted_at=row.submitted_at,
        reviewed_by=row.reviewed_by_person_id,
        reviewed_at=row.reviewed_at,
        review_remark=row.review_remark,
        decided_by=row.decided_by_person_id,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )


def versions(session: Session, budget_request_id: UUID, *, after: tuple[Any, ...] | None, limit: int) -> list[Version]:
    """A request's versions, the first one first."""
    row = BudgetRequestVersionRow
    query = select(row).where(row.budget_request_id == budget_request_id).order_by(row.version_number).limit(limit)  # type: ignore[arg-type]  # a column
    if after is not None:
        query = query.where(row.version_number > after[0])
    return [_version_of(one) for one in session.scalars(query)]


def appropriated(session: Session, appropriation_id: UUID) -> UUID | None:
    """The request that has become an appropriation; None when it comes from none."""
    found: UUID | None = session.execute(
        text("select budget_request_id from budget_request where appropriation_id = :id"), {"id": appropriation_id}
    ).scalar()
    return found


def makers_of_appropriation(session: Session, appropriation_id: UUID) -> frozenset[UUID]:
    """Who wrote in the request that has become an appropriation; nobody when it comes from none."""
    rows = session.execute(
        text(
            "select distinct unnest(maker_person_ids) from budget_request"
            " join budget_request_version using (budget_request_id) where appropriation_id = :id"
        ),
        {"id": appropriation_id},
    )
    return frozenset(rows.scalars())


# --- lines -----------------------------------------------------------------------------------------------------


def put_lines(session: Session, into: Request, lines: Sequence[RequestLine]) -> None:
    """Write lines of a draft as one set; a line that is there already gets the new words and amounts."""
    if not lines:
        return
    columns: dict[str, list[Any]] = {"budget_request_line_id": [new_id() for _ in lines]}
    columns |= {name: [getattr(line.key, name) for line in lines] for name in KEY_COLUMNS}
    columns["display_name"] = [line.display_name for line in lines]
    # An array of arrays would be taken apart by unnest, so each line's amounts travel as an array's text.
    columns["amounts_minor"] = ["{" + ",".join(map(str, line.amounts)) + "}" for line in lines]
    session.execute(
        text(_PUT_LINES),
        {
            **columns,
            "agency_id": into.agency_id,
            "budget_request_id": into.budget_request_id,
            "version_number": into.latest.version_number,
        },
    )


_PUT_LINES = f"""
    insert into budget_request_line (budget_request_line_id, agency_id, budget_request_id, version_number, {_KEY},
                                     display_name, amounts_minor)
    select n.budget_request_line_id, :agency_id, :budget_request_id, :version_number, {_KEY}, n.display_name,
           cast(n.amounts_minor as bigint[])
    from unnest(cast(:budget_request_line_id as uuid[]),
                {", ".join(f"cast(:{name} as {'integer' if name == 'line_no' else 'text'}[])" for name in KEY_COLUMNS)},
                cast(:display_name as text[]), cast(:amounts_minor as text[]))
         n (budget_request_line_id, {_KEY}, display_name, amounts_minor)
    on conflict on constraint uq_budget_request_line_key
    do update set display_name = excluded.display_name, amounts_minor = excluded.amounts_minor
"""  # noqa: S608


def remove_lines(session: Session, out_of: Request, line_ids: Collection[UUID]) -> set[UUID]:
    """Delete lines of a draft; the ids that were there."""
    if not line_ids:
        return set()
    rows = session.execute(
        text(
            "delete from budget_request_line where budget_request_id = :id and version_number = :number"
            " and budget_request_line_id = any (cast(:ids as uuid[])) returning budget_request_line_id"
        ),
        {"id": out_of.budget_request_id, "number": out_of.latest.version_number, "ids": list(line_ids)},
    )
    return set(rows.scalars())


def copy_lines(session: Session, request: Request, *, from_version: int) -> None:
    """Give the latest version the lines of an earlier one, with ids of their own."""
    put_lines(session, request, lines(session, request.budget_request_id, from_version, after=None, limit=None))


def sums(session: Session, request: Request) -> tuple[int, tuple[int, ...]]:
    """How many lines the latest version has, and what they add up to year by year."""
    rows = session.execute(
        text(
            """
            select y.nth, count(*) as lines, sum(y.minor)::numeric as minor
            from budget_request_line l cross join lateral unnest(l.amounts_minor) with ordinality y (minor, nth)
            where l.budget_request_id = :id and l.version_number = :number group by y.nth order by y.nth
            """
        ),
        {"id": request.budget_request_id, "number": request.latest.version_number},
    ).all()
    if not rows:
        return 0, (0,) * (1 + request.medium_term_years)
    return rows[0].lines, tuple(int(row.minor) for row in rows)


def lines(
    session: Session, budget_request_id: UUID, version_number: int, *, after: tuple[Any, ...] | None, limit: int | None
) -> list[RequestLine]:
    """Lines of a version in the order of their keys; all of them without a `limit`."""
    rows = session.execute(
        text(
            f"""
            select {_KEY}, display_name, amounts_minor, budget_request_line_id from budget_request_line
            where budget_request_id = :id and version_number = :number {_beyond(after, _KEY)}
            order by {_KEY} limit :limit
            """  # noqa: S608
        ),
        {"id": budget_request_id, "number": version_number, "limit": limit, **_after(after)},
    )
    return [
        RequestLine(_key_of(row), row.display_name, tuple(row.amounts_minor), row.budget_request_line_id)
        for row in rows
    ]


def differences(
    session: Session,
    budget_request_id: UUID,
    from_version: int,
    to_version: int,
    *,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Difference]:
    """The lines that two versions do not share, in the order of their keys."""
    side = "select * from budget_request_line where budget_request_id = :id and version_number = :{}_version"
    shown = ", ".join(
        f"{alias}.{name} as {alias}_{name}"
        for alias in ("b", "a")
        for name in ("budget_request_line_id", "display_name", "amounts_minor")
    )
    rows = session.execute(
        text(
            f"""
            select {_KEY}, {shown}
            from ({side.format("from")}) b full join ({side.format("to")}) a using ({_KEY})
            where (b.budget_request_line_id is null or a.budget_request_line_id is null
                   or (b.display_name, b.amounts_minor) <> (a.display_name, a.amounts_minor))
                  {_beyond(after, _KEY)}
            order by {_KEY} limit :limit
            """  # noqa: S608
        ),
        {
            "id": budget_request_id,
            "from_version": from_version,
            "to_version": to_version,
            "limit": limit,
            **_after(after),
        },
    )
    return [Difference(_side(row, "b"), _side(row, "a")) for row in rows]


def _side(row: Row[Any], alias: str) -> RequestLine | None:
    values = row._mapping
    line_id = values[f"{alias}_budget_request_line_id"]
    if line_id is None:
        return None
    return RequestLine(_key_of(row), values[f"{alias}_display_name"], tuple(values[f"{alias}_amounts_minor"]), line_id)


def _key_of(row: Row[Any]) -> LineKey:
    return LineKey(*(getattr(row, name) for name in KEY_COLUMNS))


def _beyond(after: tuple[Any, ...] | None, columns: str) -> str:
    if after is None:
        return ""
    return f"and ({columns}) > ({', '.join(f':after_{nth}' for nth in range(len(KEY_COLUMNS)))})"


def _after(after: tuple[Any, ...] | None) -> dict[str, Any]:
    return {} if after is None else {f"after_{nth}": value for nth, value in enumerate(after)}
