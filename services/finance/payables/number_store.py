"""SQL of the number series: the queue of papers, the series' row that is its one writer's lock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.ids import new_id


def enqueue(
    session: Session, kind: str, *, entity_id: UUID, year: int, document_id: UUID, paper_agency_id: UUID
) -> None:
    """Let a paper wait for its number, in the transaction that approves it."""
    session.execute(
        text(
            """
            insert into number_queue (number_queue_id, entity_id, kind, year, document_id, paper_agency_id, approved_at)
            values (:id, :entity_id, :kind, :year, :document_id, :paper_agency_id, transaction_timestamp())
            """
        ),
        {
            "id": new_id(),
            "entity_id": entity_id,
            "kind": kind,
            "year": year,
            "document_id": document_id,
            "paper_agency_id": paper_agency_id,
        },
    )


def waiting(session: Session) -> Sequence[Row[Any]]:
    """Every series in which papers wait, with the agencies whose papers these are."""
    return session.execute(
        text(
            """
            select entity_id, kind, year, array_agg(distinct paper_agency_id) as paper_agency_ids
            from number_queue where number is null group by 1, 2, 3 order by 1, 2, 3
            """
        )
    ).all()


def lock_series(session: Session, entity_id: UUID, kind: str, year: int) -> Row[Any]:
    """The series' last number and day, locked; made when this is its first paper."""
    key = {"entity_id": entity_id, "kind": kind, "year": year}
    session.execute(
        text(
            "insert into number_series (entity_id, kind, year, last_number) values (:entity_id, :kind, :year, 0)"
            " on conflict do nothing"
        ),
        key,
    )
    return session.execute(
        text(
            "select last_number, last_numbered_on from number_series"
            " where entity_id = :entity_id and kind = :kind and year = :year for update"
        ),
        key,
    ).one()


def next_papers(
    session: Session, entity_id: UUID, kind: str, year: int, agencies: Collection[UUID], limit: int
) -> Sequence[Row[Any]]:
    """The papers of these agencies that wait longest."""
    return session.execute(
        text(
            """
            select number_queue_id, document_id from number_queue
            where entity_id = :entity_id and kind = :kind and year = :year and number is null
              and paper_agency_id = any (cast(:agencies as uuid[]))
            order by approved_at, number_queue_id limit :limit
            """
        ),
        {"entity_id": entity_id, "kind": kind, "year": year, "agencies": list(agencies), "limit": limit},
    ).all()


def give(session: Session, queue_ids: Sequence[UUID], numbers: Sequence[int], day: date) -> None:
    """Write the numbers into the queue."""
    session.execute(
        text(
            """
            update number_queue q set number = v.number, numbered_on = :day
            from unnest(cast(:ids as uuid[]), cast(:numbers as bigint[])) as v (id, number)
            where q.number_queue_id = v.id
            """
        ),
        {"ids": list(queue_ids), "numbers": list(numbers), "day": day},
    )


def write_papers(session: Session, kind: str, document_ids: Sequence[UUID], printed: Sequence[str]) -> int:
    """Write the printed numbers on the papers; how many papers took one."""
    result: Any = session.execute(text(_PAPERS[kind]), {"ids": list(document_ids), "numbers": list(printed)})
    return int(result.rowcount)


def end_series(session: Session, entity_id: UUID, kind: str, year: int, last_number: int, day: date) -> None:
    """Move the series to its last number and day."""
    session.execute(
        text(
            "update number_series set last_number = :last, last_numbered_on = :day"
            " where entity_id = :entity_id and kind = :kind and year = :year"
        ),
        {"entity_id": entity_id, "kind": kind, "year": year, "last": last_number, "day": day},
    )


_PAPERS = {
    "PAYMENT_REQUEST": """
        update payment_request p set request_number = v.number, version = version + 1
        from unnest(cast(:ids as uuid[]), cast(:numbers as text[])) as v (id, number)
        where p.payment_request_id = v.id
    """,
    "PAYMENT_AUTHORISATION": """
        update payment_request p set authorisation_number = v.number, version = version + 1
        from unnest(cast(:ids as uuid[]), cast(:numbers as text[])) as v (id, number)
        where p.payment_request_id = v.id
    """,
    "PAYMENT_ORDER": """
        update payment_order p set order_number = v.number, status = 'ISSUED', version = version + 1
        from unnest(cast(:ids as uuid[]), cast(:numbers as text[])) as v (id, number)
        where p.payment_order_id = v.id and p.status = 'UNNUMBERED'
    """,
    "WITHHOLDING_SLIP": """
        update withholding_slip p set slip_number = v.number, version = version + 1
        from unnest(cast(:ids as uuid[]), cast(:numbers as text[])) as v (id, number)
        where p.withholding_slip_id = v.id and p.slip_number is null
    """,
}
