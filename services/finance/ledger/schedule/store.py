"""SQL of templates, due days and the clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlmodel import Session

from services.finance.ledger.domain import Basis, FundBalancing, Line, Segments
from services.finance.ledger.schedule.domain import Scheduled, ScheduledKind, ScheduledStatus, Template
from services.finance.ledger.schedule.tables import JournalTemplateLineRow, JournalTemplateRow, ScheduledEntryRow

_SEGMENTS = tuple(Segments.__dataclass_fields__)
_SAME = ("fund_code", "account_code", "debit_minor", "credit_minor", "currency", "functional_minor")
_HEAD = tuple(name for name in Template.__dataclass_fields__ if name != "lines")


def add(session: Session, template: Template) -> None:
    """Insert a template with its lines, and set the clock."""
    head = {name: getattr(template, name) for name in _HEAD}
    session.add(JournalTemplateRow(**(head | {"balancing": template.balancing.value})))
    session.add_all(
        [
            JournalTemplateLineRow(
                journal_template_id=template.journal_template_id,
                line_no=number,
                agency_id=template.agency_id,
                basis=line.basis.value,
                functional_currency=line.functional_currency,
                budget_line_id=line.budget_line_id,
                **{name: getattr(line, name) for name in _SAME},
                **vars(line.segments),
            )
            for number, line in enumerate(template.lines, start=1)
        ]
    )
    session.flush()
    session.execute(
        text(
            "insert into journal_clock as kept (entity_id, next_due_on) values (:agency_id, :due_on)"
            " on conflict (entity_id) do update set next_due_on = least(kept.next_due_on, excluded.next_due_on)"
        ),
        {"agency_id": template.agency_id, "due_on": template.first_due_on},
    )


def save_end(session: Session, template: Template) -> None:
    """Write the last due day of a template."""
    row = session.get_one(JournalTemplateRow, template.journal_template_id)
    row.last_due_on, row.version = template.last_due_on, template.version
    session.flush()


def get(session: Session, journal_template_id: UUID, *, lock: bool = False) -> Template | None:
    """One template; with `lock` held until the transaction ends."""
    row = session.get(JournalTemplateRow, journal_template_id, with_for_update=lock or None)
    return _with_lines(session, [row])[0] if row else None


def templates(
    session: Session, agency_id: UUID, *, after: tuple[UUID] | None = None, limit: int | None = None
) -> list[Template]:
    """An agency's templates, the newest first."""
    row = JournalTemplateRow
    query = select(row).where(row.agency_id == agency_id).order_by(row.journal_template_id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column
    if after is not None:
        query = query.where(row.journal_template_id < after[0])
    return _with_lines(session, list(session.scalars(query)))


def _with_lines(session: Session, rows: Sequence[JournalTemplateRow]) -> list[Template]:
    line = JournalTemplateLineRow
    query = (
        select(line)
        .where(line.journal_template_id.in_([row.journal_template_id for row in rows]))  # type: ignore[attr-defined]  # a column
        .order_by(line.journal_template_id, line.line_no)
    )
    lines: dict[UUID, list[Line]] = {}
    for found in session.scalars(query) if rows else ():
        lines.setdefault(found.journal_template_id, []).append(
            Line(
                basis=Basis(found.basis),
                segments=Segments(**{name: getattr(found, name) for name in _SEGMENTS}),
                budget_line_id=found.budget_line_id,
                functional_currency=found.functional_currency,
                **{name: getattr(found, name) for name in _SAME},
            )
        )
    return [
        Template(
            **({name: getattr(row, name) for name in _HEAD} | {"balancing": FundBalancing(row.balancing)}),
            lines=tuple(lines[row.journal_template_id]),
        )
        for row in rows
    ]


def posted_days(session: Session, source_ids: Iterable[UUID]) -> dict[UUID, set[date]]:
    """The due days of these templates that have their entry."""
    row = ScheduledEntryRow
    query = select(row.source_id, row.due_on).where(
        row.source_id.in_(sorted(set(source_ids))),  # type: ignore[attr-defined]  # a column
        row.status == ScheduledStatus.POSTED.value,
    )
    days: dict[UUID, set[date]] = {}
    for source_id, due_on in session.execute(query):
        days.setdefault(source_id, set()).add(due_on)
    return days


def refused_days(session: Session, agency_id: UUID) -> dict[tuple[UUID, date], datetime]:
    """(template or entry, due day) of an agency's refused due days, with when each was last tried."""
    row = ScheduledEntryRow
    query = select(row.source_id, row.due_on, row.tried_at).where(
        row.agency_id == agency_id, row.status == ScheduledStatus.REFUSED.value
    )
    return {(source_id, due_on): tried_at for source_id, due_on, tried_at in session.execute(query)}


def due_reversals(session: Session, agency_id: UUID, to: date, *, limit: int) -> list[tuple[UUID, date]]:
    """(entry, day) of an agency's accruals that should have been reversed by `to` and are not.

    Those that were never tried come first, then those that were refused longest ago.
    """
    rows = session.execute(
        text(
            """
            select e.journal_entry_id, e.reverse_on
            from journal_entry e
            left join scheduled_entry s on s.source_id = e.journal_entry_id and s.due_on = e.reverse_on
            where e.agency_id = :agency_id and e.reverse_on <= :to and not exists (
                select 1 from journal_entry r where r.reverses_journal_entry_id = e.journal_entry_id)
            order by s.tried_at nulls first, e.reverse_on, e.journal_entry_id limit :limit
            """
        ),
        {"agency_id": agency_id, "to": to, "limit": limit},
    )
    return [(entry_id, due_on) for entry_id, due_on in rows]


def save(session: Session, entries: Sequence[Scheduled]) -> None:
    """Note what became of due days. One that has its entry is never written again."""
    for one in entries:
        session.execute(
            text(
                """
                insert into scheduled_entry as kept (source_id, due_on, agency_id, kind, status, journal_entry_id,
                                                     refusal_reason, refusal_message, tried_at)
                values (:source_id, :due_on, :agency_id, :kind, :status, :journal_entry_id, :refusal_reason,
                        :refusal_message, :tried_at)
                on conflict (source_id, due_on) do update
                set status = excluded.status, journal_entry_id = excluded.journal_entry_id,
                    refusal_reason = excluded.refusal_reason, refusal_message = excluded.refusal_message,
                    tried_at = excluded.tried_at
                where kept.status = 'REFUSED'
                """
            ),
            {**vars(one), "kind": one.kind.value, "status": one.status.value},
        )


def scheduled(
    session: Session,
    *,
    agency_id: UUID,
    source_id: UUID | None,
    status: ScheduledStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Scheduled]:
    """An agency's due days, the latest first."""
    row = ScheduledEntryRow
    query = (
        select(row)
        .where(row.agency_id == agency_id)
        .order_by(row.due_on.desc(), row.source_id.desc())  # type: ignore[attr-defined]  # columns
        .limit(limit)
    )
    if source_id is not None:
        query = query.where(row.source_id == source_id)
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(tuple_(row.due_on, row.source_id) < tuple_(*after))
    return [
        Scheduled(
            ScheduledKind(found.kind),
            found.source_id,
            found.agency_id,
            found.due_on,
            ScheduledStatus(found.status),
            found.journal_entry_id,
            found.refusal_reason,
            found.refusal_message,
            found.tried_at,
        )
        for found in session.scalars(query)
    ]


def lock_clock(session: Session, agency_id: UUID) -> None:
    """One run of an agency at a time; taken before anything that posting locks."""
    session.execute(
        text("insert into journal_clock (entity_id, next_due_on) values (:id, null) on conflict do nothing"),
        {"id": agency_id},
    )
    session.execute(text("select 1 from journal_clock where entity_id = :id for update"), {"id": agency_id}).one()


def set_clock(session: Session, agency_id: UUID, next_due_on: date | None) -> None:
    """When the agency is due next: its templates' day, or its next accrual's."""
    session.execute(
        text(
            """
            update journal_clock set next_due_on = least(cast(:next_due_on as date), (
                select min(e.reverse_on) from journal_entry e
                where e.agency_id = :id and e.reverse_on is not null and not exists (
                    select 1 from journal_entry r where r.reverses_journal_entry_id = e.journal_entry_id)))
            where entity_id = :id
            """
        ),
        {"id": agency_id, "next_due_on": next_due_on},
    )


def due_agencies(session: Session, to: date) -> list[UUID]:
    """The agencies that have something due by `to`."""
    rows = session.execute(
        text("select entity_id from journal_clock where next_due_on <= :to order by entity_id"), {"to": to}
    )
    return [entity_id for (entity_id,) in rows]
