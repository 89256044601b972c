"""SQL of the funds ledger: lines are locked with every node above them, in ascending id order, and written as sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.budget import events
from services.finance.budget.buckets import BUCKET_NAMES
from services.finance.budget.domain import (
    Buckets,
    BudgetLineUnknown,
    Document,
    DocumentKind,
    Key,
    Line,
    LineStatus,
    Movement,
    Position,
    SamePerson,
    Source,
)
from services.finance.budget.foreign import columns as foreign_columns
from services.finance.budget.span import Span
from services.finance.budget.user_store import biggest_users as biggest_users  # noqa: PLC0414  # asked beside a line
from services.finance.classification.fiscal_calendar import Period

_BUCKET_COLUMNS = [f"{name}_minor" for name in BUCKET_NAMES]
# As many decimals as a quantity on the wire may have.
_PLACES_MAX = 60

LINE_COLUMNS = (
    "budget_line_id, agency_id, currency, status, fiscal_year, organisation_code, account_code, fund_code,"
    " program_code, function_code, location_code, project_code, funding_source_code, parent_id, postable, controlling,"
    " warning, original_minor, supplementary_minor, virement_in_minor, virement_out_minor,"
    " carried_in_minor, frozen_minor, override_minor, valid_from, valid_to, last_fiscal_year,"
    " " + ", ".join(_BUCKET_COLUMNS)
)


def lock_document(session: Session, document_id: UUID) -> None:
    """One act on a document at a time, so that its events are written in the order of its movements."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('funds:' || cast(:document_id as text), 0))"),
        {"document_id": str(document_id)},
    )


def lock_lines(
    session: Session, agency_id: UUID, budget_line_ids: Collection[UUID], *, lock: bool = True
) -> list[Line]:
    """The lines and every node above them, locked in ascending id order: two acts cannot deadlock on them.

    Not locked with `lock=False`: for acts that are only tried, or proposed for later.
    """
    if not budget_line_ids:
        return []
    rows = session.execute(
        text(
            f"""
            with recursive node as (
                select budget_line_id, parent_id from budget_line
                where budget_line_id = any (cast(:ids as uuid[])) and agency_id = :agency_id
                union
                select b.budget_line_id, b.parent_id from budget_line b join node n on b.budget_line_id = n.parent_id
            )
            select {LINE_COLUMNS} from budget_line
            where budget_line_id in (select budget_line_id from node)
            order by budget_line_id {"for update" if lock else ""}
            """  # noqa: S608
        ),
        {"ids": list(budget_line_ids), "agency_id": agency_id},
    ).all()
    lines = [line_of(row) for row in rows]
    missing = set(budget_line_ids) - {line.budget_line_id for line in lines}
    if missing:
        raise BudgetLineUnknown.resource("budget line", min(missing))
    return lines


def appropriations_of(session: Session, budget_line_ids: Collection[UUID]) -> set[UUID | None]:
    """Which appropriations, or budget changes, brought these lines in."""
    return set(
        session.execute(
            text("select appropriation_id from budget_line where budget_line_id = any (cast(:ids as uuid[]))"),
            {"ids": list(budget_line_ids)},
        ).scalars()
    )


def line_of(row: Row[Any]) -> Line:
    """A row of budget_line as a value."""
    return Line(
        budget_line_id=row.budget_line_id,
        agency_id=row.agency_id,
        currency=row.currency,
        status=LineStatus(row.status),
        fiscal_year=row.fiscal_year,
        organisation_code=row.organisation_code,
        account_code=row.account_code,
        fund_code=row.fund_code,
        program_code=row.program_code,
        function_code=row.function_code,
        location_code=row.location_code,
        project_code=row.project_code,
        funding_source_code=row.funding_source_code,
        parent_id=row.parent_id,
        postable=row.postable,
        controlling=row.controlling,
        warning=row.warning,
        original=row.original_minor,
        supplementary=row.supplementary_minor,
        virement_in=row.virement_in_minor,
        virement_out=row.virement_out_minor,
        carried_in=row.carried_in_minor,
        frozen=row.frozen_minor,
        override=row.override_minor,
        buckets=_buckets(row),
        span=span_in(row),
    )


def span_in(row: Row[Any]) -> Span | None:
    """The span of a row of budget_line or appropriation."""
    return None if row.valid_to is None else Span(row.valid_from, row.valid_to, row.last_fiscal_year)


def _buckets(row: Row[Any]) -> Buckets:
    return Buckets(*(getattr(row, column) for column in _BUCKET_COLUMNS))


@dataclass(frozen=True)
class Reach:
    """What an act on some document lines may touch: their budget lines, and the document lines they used up."""

    budget_line_ids: set[UUID]
    document_line_ids: set[UUID]


def reach(session: Session, document_line_ids: Collection[UUID]) -> Reach:
    """Look up, unlocked, what has to be locked before positions are read for good. Neither ever changes its line."""
    if not document_line_ids:
        return Reach(set(), set())
    rows = session.execute(
        text(
            "select budget_line_id, source_document_line_id, source_budget_line_id from funds_position"
            " where document_line_id = any (cast(:ids as uuid[]))"
        ),
        {"ids": list(document_line_ids)},
    ).all()
    return Reach(
        {row.budget_line_id for row in rows} | {row.source_budget_line_id for row in rows} - {None},
        {row.source_document_line_id for row in rows} - {None},
    )


def positions(session: Session, document_line_ids: Collection[UUID]) -> list[Position]:
    """The positions of these document lines. Their budget lines have been locked, which locks them."""
    if not document_line_ids:
        return []
    ids = list(document_line_ids)
    schedules: dict[Key, dict[Period, int]] = {}
    for row in session.execute(
        text(
            "select document_line_id, budget_line_id, year, period_number, amount_minor from funds_schedule"
            " where document_line_id = any (cast(:ids as uuid[])) and amount_minor > 0"
        ),
        {"ids": ids},
    ):
        key = Key(row.document_line_id, row.budget_line_id)
        schedules.setdefault(key, {})[Period(row.year, row.period_number)] = row.amount_minor
    rows = session.execute(
        text(
            "select * from funds_position where document_line_id = any (cast(:ids as uuid[]))"
            " order by document_line_id, budget_line_id"
        ),
        {"ids": ids},
    ).all()
    return [_position_of(row, schedules) for row in rows]


def _position_of(row: Row[Any], schedules: Mapping[Key, dict[Period, int]]) -> Position:
    key = Key(row.document_line_id, row.budget_line_id)
    source = None
    if row.source_document_line_id is not None:
        source = Source(
            Key(row.source_document_line_id, row.source_budget_line_id),
            Fraction(row.source_quantity),
            row.source_liquidated_minor,
            row.source_freed_minor,
        )
    return Position(
        key=key,
        document=Document(DocumentKind(row.document_kind), row.document_id, row.document_number),
        total=row.total_minor,
        opening_movement_id=row.opening_movement_id,
        liquidated=row.liquidated_minor,
        quantity_total=None if row.quantity_total is None else Fraction(row.quantity_total),
        quantity_liquidated=Fraction(row.quantity_liquidated),
        buckets=_buckets(row),
        schedule=schedules.get(key, {}),
        source=source,
        closed=row.closed,
        foreign=foreign_columns.held_of(row),
    )


def save_lines(session: Session, before: Mapping[UUID, Line], after: Mapping[UUID, Line]) -> None:
    """Write the buckets of the lines that changed; the table's own check refuses a node below zero."""
    changed = [line for key, line in sorted(after.items()) if line.buckets != before[key].buckets]
    if not changed:
        return
    columns = {f"b{n}": [line.buckets.amounts()[n] for line in changed] for n in range(len(_BUCKET_COLUMNS))}
    assignments = ", ".join(f"{name} = v.b{n}" for n, name in enumerate(_BUCKET_COLUMNS))
    arrays = ", ".join(f"cast(:b{n} as bigint[])" for n in range(len(_BUCKET_COLUMNS)))
    names = ", ".join(f"b{n}" for n in range(len(_BUCKET_COLUMNS)))
    session.execute(
        text(
            f"""
            update budget_line l set {assignments}
            from unnest(cast(:ids as uuid[]), {arrays}) as v (id, {names})
            where l.budget_line_id = v.id
            """  # noqa: S608
        ),
        {"ids": [line.budget_line_id for line in changed], **columns},
    )


def insert_movements(
    session: Session,
    agency_id: UUID,
    movements: Sequence[Movement],
    *,
    effective_on: date,
    accounting_on: date,
    person_id: UUID | None,
    journal_entry_id: UUID | None = None,
) -> None:
    """Add movements to the funds ledger."""
    if not movements:
        return
    columns: dict[str, list[Any]] = {
        "funds_movement_id": [m.funds_movement_id for m in movements],
        "budget_line_id": [m.budget_line_id for m in movements],
        "kind": [m.kind.value for m in movements],
        **{column: [m.changes.amounts()[n] for m in movements] for n, column in enumerate(_BUCKET_COLUMNS)},
        "authority_minor": [m.authority for m in movements],
        "frozen_minor": [m.frozen for m in movements],
        "override_minor": [m.override for m in movements],
        "document_kind": [m.document.kind.value for m in movements],
        "document_id": [m.document.document_id for m in movements],
        "document_number": [m.document.document_number for m in movements],
        "document_line_id": [m.document_line_id for m in movements],
        "position_document_line_id": [m.position_document_line_id for m in movements],
        "liquidates_movement_id": [m.liquidates_movement_id for m in movements],
        **foreign_columns.movement_columns(movements),
    }
    arrays = ", ".join(f"cast(:{name} as {_array_type(name)})" for name in columns)
    session.execute(
        text(
            f"""
            insert into funds_movement ({", ".join(columns)}, agency_id, effective_on, accounting_on, recorded_at,
                                        person_id, journal_entry_id)
            select {", ".join(columns)}, :agency_id, :effective_on, :accounting_on, transaction_timestamp(),
                   cast(:person_id as uuid), cast(:journal_entry_id as uuid)
            from unnest({arrays}) as v ({", ".join(columns)})
            """  # noqa: S608
        ),
        {
            **columns,
            "agency_id": agency_id,
            "effective_on": effective_on,
            "accounting_on": accounting_on,
            "person_id": person_id,
            "journal_entry_id": journal_entry_id,
        },
    )


def _array_type(column: str) -> str:
    if column.endswith("_minor"):
        return "bigint[]"
    if column == "exchange_rate":
        return "numeric[]"
    return "uuid[]" if column.endswith("_id") else "text[]"


_POSITION_COLUMNS: Mapping[str, str] = {
    "document_line_id": "uuid[]",
    "budget_line_id": "uuid[]",
    "document_kind": "text[]",
    "document_id": "uuid[]",
    "document_number": "text[]",
    "total_minor": "bigint[]",
    "liquidated_minor": "bigint[]",
    "quantity_total": "numeric[]",
    "quantity_liquidated": "numeric[]",
    **dict.fromkeys(_BUCKET_COLUMNS, "bigint[]"),
    "source_document_line_id": "uuid[]",
    "source_budget_line_id": "uuid[]",
    "source_quantity": "numeric[]",
    "source_liquidated_minor": "bigint[]",
    "source_freed_minor": "bigint[]",
    "closed": "boolean[]",
    "opening_movement_id": "uuid[]",
}


def save_positions(session: Session, agency_id: UUID, changed: Sequence[Position]) -> None:
    """Insert or replace positions and their schedules."""
    if not changed:
        return
    rows = [_position_values(position) for position in changed]
    columns = {**_POSITION_COLUMNS, **foreign_columns.position_columns(changed)}
    names = list(columns)
    arrays = ", ".join(f"cast(:{name} as {kind})" for name, kind in columns.items())
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
    session.execute(
        text(
            f"""
            insert into funds_position ({", ".join(names)}, agency_id)
            select {", ".join(names)}, :agency_id from unnest({arrays}) as v ({", ".join(names)})
            on conflict (document_line_id, budget_line_id) do update set {updates}
            """  # noqa: S608
        ),
        {**{name: [row[name] for row in rows] for name in names}, "agency_id": agency_id},
    )
    _save_schedules(session, agency_id, changed)


def _position_values(position: Position) -> dict[str, Any]:
    source = position.source
    return {
        "document_line_id": position.key.document_line_id,
        "budget_line_id": position.key.budget_line_id,
        "document_kind": position.document.kind.value,
        "document_id": position.document.document_id,
        "document_number": position.document.document_number,
        "total_minor": position.total,
        "liquidated_minor": position.liquidated,
        "quantity_total": None if position.quantity_total is None else exact(position.quantity_total),
        "quantity_liquidated": exact(position.quantity_liquidated),
        **dict(zip(_BUCKET_COLUMNS, position.buckets.amounts(), strict=True)),
        "source_document_line_id": source.key.document_line_id if source else None,
        "source_budget_line_id": source.key.budget_line_id if source else None,
        "source_quantity": exact(source.quantity) if source else Decimal(0),
        "source_liquidated_minor": source.liquidated if source else 0,
        "source_freed_minor": source.freed if source else 0,
        "closed": position.closed,
        "opening_movement_id": position.opening_movement_id,
        **foreign_columns.position_values(position),
    }


def _save_schedules(session: Session, agency_id: UUID, changed: Sequence[Position]) -> None:
    # What fell out of a schedule stays as a row of zero: rows are never deleted.
    session.execute(
        text(
            """
            update funds_schedule s set amount_minor = 0
            from unnest(cast(:document_line_ids as uuid[]), cast(:budget_line_ids as uuid[])) as v (d, b)
            where s.document_line_id = v.d and s.budget_line_id = v.b and s.amount_minor <> 0
            """
        ),
        {
            "document_line_ids": [position.key.document_line_id for position in changed],
            "budget_line_ids": [position.key.budget_line_id for position in changed],
        },
    )
    parts = [(p.key, period, amount) for p in changed for period, amount in sorted(p.schedule.items())]
    if not parts:
        return
    session.execute(
        text(
            """
            insert into funds_schedule (document_line_id, budget_line_id, year, period_number, amount_minor, agency_id)
            select d, b, y, m, a, :agency_id
            from unnest(cast(:d as uuid[]), cast(:b as uuid[]), cast(:y as integer[]), cast(:m as smallint[]),
                        cast(:a as bigint[])) as v (d, b, y, m, a)
            on conflict (document_line_id, budget_line_id, year, period_number)
            do update set amount_minor = excluded.amount_minor
            """
        ),
        {
            "d": [key.document_line_id for key, _, _ in parts],
            "b": [key.budget_line_id for key, _, _ in parts],
            "y": [period.year for _, period, _ in parts],
            "m": [period.number for _, period, _ in parts],
            "a": [amount for _, _, amount in parts],
            "agency_id": agency_id,
        },
    )


def exact(value: Fraction) -> Decimal:
    """A quantity as the exact decimal that it came in as: quantities are decimals with an end."""
    places = 0
    while value.denominator != 1:
        value *= 10
        places += 1
        if places > _PLACES_MAX:
            raise ValueError(f"{value} has no end in {_PLACES_MAX} decimals")
    return Decimal(value.numerator).scaleb(-places)


def document_sequence(session: Session, document_id: UUID) -> int:
    """How many movements the document has made: its events' sequence."""
    return int(
        session.execute(
            text("select count(*) from funds_movement where document_id = :document_id"),
            {"document_id": document_id},
        ).scalar_one()
    )


def refuse_same_person(session: Session, document_line_ids: Collection[UUID], person_id: UUID) -> None:
    """Refuse when `person_id` made the movement that opened one of these document lines (maker and checker)."""
    row = session.execute(
        text(
            """
            select p.document_kind, p.document_number
            from funds_position p join funds_movement m on m.funds_movement_id = p.opening_movement_id
            where p.document_line_id = any (cast(:ids as uuid[])) and m.person_id = :person_id
            order by p.document_number limit 1
            """
        ),
        {"ids": list(document_line_ids), "person_id": person_id},
    ).first()
    if row is not None:
        raise SamePerson(
            f"you bound the funds of {row.document_kind} {row.document_number}: another person accepts what was bought",
            metadata={"document_kind": row.document_kind, "document_number": row.document_number},
        )


def insert_refusal(session: Session, refusal_id: UUID, refused: events.FundsRefused, *, person_id: UUID | None) -> bool:
    """Keep a refusal; False when this request's refusal is kept already."""
    return (
        session.execute(
            text(
                """
                insert into funds_refusal (funds_refusal_id, agency_id, budget_line_id, document_kind, document_id,
                                           document_number, asked_minor, available_minor, message, person_id,
                                           recorded_at)
                values (:id, :agency_id, :budget_line_id, :kind, :document_id, :number, :asked, :available, :message,
                        :person_id, transaction_timestamp())
                on conflict do nothing returning funds_refusal_id
                """
            ),
            {
                "id": refusal_id,
                "agency_id": refused.agency_id,
                "budget_line_id": refused.budget_line_id,
                "kind": refused.document.kind.value,
                "document_id": refused.document.document_id,
                "number": refused.document.document_number,
                "asked": refused.asked_minor,
                "available": refused.available_minor,
                "message": refused.message,
                "person_id": person_id,
            },
        ).first()
        is not None
    )
