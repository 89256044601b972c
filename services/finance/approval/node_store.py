"""SQL of the nodes that rules of the matrix name, and of the lines that documents touch."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from services.finance.approval.nodes import Line, Node, Trees, line_of
from services.finance.classification.segments import Segment

# A code stands where its row of the day says; without one, where it last stood; without that, where it first will.
# The walk keeps each (segment, code) once, so a tree that bites its own tail ends it.
_TREES = text(
    """
    with recursive step (segment, code, parent_code) as (
        select w.segment, w.code, coalesce(p.parent_code, '')
        from unnest(cast(:segments as text[]), cast(:codes as text[])) w (segment, code)
        left join lateral (
            (select a.parent_code from account a where w.segment = 'ACCOUNT' and a.code = w.code
             order by a.valid_from > cast(:on as date), abs(a.valid_from - cast(:on as date)) limit 1)
            union all
            (select d.parent_code from dimension_value d where d.kind = w.segment and d.code = w.code
             order by d.valid_from > cast(:on as date), abs(d.valid_from - cast(:on as date)) limit 1)
        ) p on true
        union
        select s.segment, s.parent_code, coalesce(p.parent_code, '')
        from step s
        left join lateral (
            (select a.parent_code from account a where s.segment = 'ACCOUNT' and a.code = s.parent_code
             order by a.valid_from > cast(:on as date), abs(a.valid_from - cast(:on as date)) limit 1)
            union all
            (select d.parent_code from dimension_value d where d.kind = s.segment and d.code = s.parent_code
             order by d.valid_from > cast(:on as date), abs(d.valid_from - cast(:on as date)) limit 1)
        ) p on true
        where s.parent_code <> ''
    )
    select segment, code, parent_code from step
    """
)
_COLUMNS = ", ".join(one.column for one in Segment)


def trees(session: Session, nodes: Collection[Node], on: date) -> Trees:
    """What stands above these nodes on a day, up to the roots."""
    if not nodes:
        return Trees({})
    asked = sorted({(one.segment.value, one.code) for one in nodes})
    rows = session.execute(
        _TREES,
        {"segments": [segment for segment, _ in asked], "codes": [code for _, code in asked], "on": on},
    )
    return Trees({Node(Segment(row.segment), row.code): row.parent_code for row in rows})


def below(session: Session, budget_line_ids: Collection[UUID]) -> tuple[frozenset[Line], frozenset[str]]:
    """The codes of budget lines and of all lines below them, and the currencies of these lines."""
    rows = session.execute(
        text(
            f"""
            with recursive touched as (
                select budget_line_id, currency, {_COLUMNS} from budget_line
                where budget_line_id = any (cast(:ids as uuid[]))
                union
                select l.budget_line_id, l.currency, {", ".join(f"l.{one.column}" for one in Segment)}
                from budget_line l join touched t on l.parent_id = t.budget_line_id
            )
            select distinct currency, {_COLUMNS} from touched
            """  # noqa: S608  # only constants
        ),
        {"ids": list(budget_line_ids)},
    ).all()
    return frozenset(line_of(row) for row in rows), frozenset(row.currency for row in rows)


def of_appropriation(session: Session, appropriation_id: UUID) -> frozenset[Line]:
    """The codes of the lines that an appropriation brings in."""
    return _lines(session, "budget_line where appropriation_id = :id", {"id": appropriation_id})


def of_request(session: Session, budget_request_id: UUID, version_number: int) -> frozenset[Line]:
    """The codes of the lines of one version of a budget request."""
    return _lines(
        session,
        "budget_request_line where budget_request_id = :id and version_number = :number",
        {"id": budget_request_id, "number": version_number},
    )


def _lines(session: Session, source: str, values: dict[str, object]) -> frozenset[Line]:
    rows = session.execute(text(f"select distinct {_COLUMNS} from {source}"), values)  # noqa: S608  # only constants
    return frozenset(line_of(row) for row in rows)
