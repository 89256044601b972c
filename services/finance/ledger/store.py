"""SQL of the general ledger. Posting itself is the function post_journal_entries (migrations/0016_posting_*.sql)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select, text, tuple_
from sqlmodel import Session

from services.finance.classification.domain import ADJUSTMENT_PERIOD
from services.finance.ledger.domain import (
    NO_SEGMENTS,
    Basis,
    FundBalancing,
    JournalEntry,
    Line,
    Segments,
    Spent,
)
from services.finance.ledger.interfund import store as interfund
from services.finance.ledger.tables import JournalEntryRow, JournalLineRow

# An entry's lines are read whole, entries by the page; the sum of both bounds what one answer reads.
_SEGMENTS = tuple(Segments.__dataclass_fields__)
_REFERENCES = ("budget_line_id", "funds_movement_id", "document_line_id", "counterpart_agency_id")


@dataclass(frozen=True)
class RawVerdict:
    """A row of the posting statement's answer; `reason` None is an accepted entry."""

    reason: str | None
    figures: Mapping[str, Any] | None
    accounting_on: date | None
    fiscal_year: int | None
    period_number: int | None
    recorded_at: datetime
    spent: Mapping[UUID, Spent]


_POST = text(
    """
    select reason, figures, accounting_on, fiscal_year, period_number, recorded_at, spent
    from post_journal_entries(cast(:entries as json), cast(:lines as json)) order by n
    """
)


def post(session: Session, entries: Sequence[JournalEntry], functional: Mapping[UUID, str]) -> list[RawVerdict]:
    """Judge and write `entries` in order, in one statement; their verdicts. `functional` is each agency's currency."""
    session.flush()
    heads, lines = [], []
    for n, entry in enumerate(entries, start=1):
        heads.append(_head(n, entry))
        currency = functional.get(entry.agency_id, "")
        lines += [_line(n, number, line, currency) for number, line in enumerate(entry.lines, start=1)]
    rows = session.execute(_POST, {"entries": _json(heads), "lines": _json(lines)}).mappings().all()
    assert len(rows) == len(entries), "the posting statement answers every entry"
    return [RawVerdict(**{**row, "spent": _spent(row["spent"])}) for row in rows]


def accounting_days(session: Session, entries: Sequence[JournalEntry]) -> list[date | None]:
    """The day on which each entry would stand if it were posted now; None where no period takes it.

    The periods stay locked (shared) until the transaction ends, as they do when it is posted: the day holds till then.
    """
    heads = [_head(n, entry) for n, entry in enumerate(entries, start=1)]
    return list(session.execute(_DAYS, {"entries": _json(heads)}).scalars())


_DAYS = text(
    """
    select v.accounting_on
    from unnest(posting_periods((
        select array_agg(e order by e.n)
        from json_populate_recordset(
            (null, null, null, null, null, null, null, null, null, '', null, null, false, false, null, false)
                ::posting_entry, cast(:entries as json)) e))) v
    order by v.n
    """
)


def _spent(told: Sequence[Sequence[Any]] | None) -> dict[UUID, Spent]:
    """By budget line, what a manual entry's tag with it became."""
    return {
        UUID(line_id): Spent(Segments(*segments), currency, UUID(movement_id) if movement_id else None, amount)
        for line_id, currency, movement_id, amount, *segments in told or ()
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Ids, days and enums are written as they are read: orjson knows them."""
    return orjson.dumps(rows).decode()


def _head(n: int, entry: JournalEntry) -> dict[str, Any]:
    """What the statement takes of an entry; what is left out, it takes for absent, empty or false."""
    head = {
        "n": n,
        "journal_entry_id": entry.journal_entry_id,
        "agency_id": entry.agency_id,
        "effective_on": entry.effective_on,
        "description": entry.description,
        "source_kind": entry.source_kind,
        "person_id": entry.person_id,
        "area": entry.area,
    }
    for name, value in (
        ("accounting_on", entry.accounting_on),
        ("source_id", entry.source_id),
        ("reverses_journal_entry_id", entry.reverses_id),
        ("late_reason", entry.late_reason),
        ("without_funds", entry.without_funds),
        ("adjusts", entry.adjusts),
        ("corrects_journal_entry_id", entry.corrects_id),
        ("auto_reverse", entry.auto_reverse),
    ):
        if value:
            head[name] = value
    return head


def _line(n: int, number: int, line: Line, currency: str) -> dict[str, Any]:
    functional = line.functional(currency)
    debit = line.debit_minor > 0
    row = {
        "n": n,
        "line_no": number,
        "basis": line.basis,
        "fund_code": line.fund_code,
        "account_code": line.account_code,
        "currency": line.currency,
        "debit_minor": line.debit_minor,
        "credit_minor": line.credit_minor,
    }
    if functional is not None:
        row["functional_debit_minor"] = functional if debit else 0
        row["functional_credit_minor"] = 0 if debit else functional
    if line.segments is not NO_SEGMENTS:
        row.update(vars(line.segments))
    for name in _REFERENCES:
        if (value := getattr(line, name)) is not None:
            row[name] = value
    return row


def lock_for_reversal(session: Session, journal_entry_id: UUID) -> None:
    """One reversal of an entry at a time. (Entries are never updated, so the app has no right to lock their rows.)"""
    session.execute(text("select pg_advisory_xact_lock(5107102, hashtext(:id))"), {"id": str(journal_entry_id)})


@dataclass(frozen=True)
class StoredEntry:
    """An entry as it stands in the books."""

    entry: JournalEntry
    accounting_on: date
    recorded_at: datetime
    reversed_by_id: UUID | None
    period_number: int


def entries(session: Session, ids: Sequence[UUID], *, known_at: datetime | None = None) -> list[StoredEntry]:
    """Entries with their lines, in the order of `ids`; those that are not there, or not seen, are left out.

    With `known_at` a reversal that was recorded later is not told.
    """
    if not ids:
        return []
    heads = {
        row.journal_entry_id: row
        for row in session.scalars(select(JournalEntryRow).where(JournalEntryRow.journal_entry_id.in_(ids)))
    }
    query = (
        select(JournalLineRow)
        .where(JournalLineRow.journal_entry_id.in_(ids))
        .order_by(JournalLineRow.journal_entry_id, JournalLineRow.line_no)
    )
    rows = list(session.scalars(query))
    # A line that names its own agency as the other one is between two of its funds (ledger/interfund).
    between = {row.journal_entry_id for row in rows if row.counterpart_agency_id == row.agency_id}
    funds = interfund.counterparts(session, sorted(between)) if between else {}
    lines: dict[UUID, list[Line]] = {}
    for row in rows:
        counterpart = funds.get((row.journal_entry_id, row.line_no), "")
        lines.setdefault(row.journal_entry_id, []).append(_line_of(row, counterpart))
    reversal = JournalEntryRow.reverses_journal_entry_id
    mirrors = select(reversal, JournalEntryRow.journal_entry_id).where(reversal.in_(ids))
    if known_at is not None:
        mirrors = mirrors.where(JournalEntryRow.recorded_at <= known_at)
    reversals = session.execute(mirrors)
    reversed_by = {original: mirror for original, mirror in reversals}  # noqa: C416  # dict() takes rows for pairs
    return [
        StoredEntry(
            JournalEntry(
                journal_entry_id=head.journal_entry_id,
                agency_id=head.agency_id,
                effective_on=head.effective_on,
                accounting_on=None,
                description=head.description,
                source_kind=head.source_kind,
                source_id=head.source_id,
                lines=tuple(lines[head.journal_entry_id]),
                reverses_id=head.reverses_journal_entry_id,
                late_reason=head.late_reason,
                person_id=head.person_id,
                corrects_id=head.corrects_journal_entry_id,
                adjusts=head.period_number == ADJUSTMENT_PERIOD,
                auto_reverse=head.reverse_on is not None,
                balancing=FundBalancing.DUE if head.journal_entry_id in between else FundBalancing.GIVEN,
            ),
            head.accounting_on,
            head.recorded_at,
            reversed_by.get(head.journal_entry_id),
            head.period_number,
        )
        for head in (heads[key] for key in ids if key in heads)
    ]


def _line_of(row: JournalLineRow, counterpart_fund_code: str) -> Line:
    functional = (
        None
        if row.functional_debit_minor is None or row.functional_credit_minor is None
        else row.functional_debit_minor + row.functional_credit_minor
    )
    return Line(
        basis=Basis(row.basis),
        fund_code=row.fund_code,
        account_code=row.account_code,
        debit_minor=row.debit_minor,
        credit_minor=row.credit_minor,
        currency=row.currency,
        functional_minor=functional,
        segments=Segments(**{name: getattr(row, name) for name in _SEGMENTS}),
        budget_line_id=row.budget_line_id,
        funds_movement_id=row.funds_movement_id,
        document_line_id=row.document_line_id,
        counterpart_agency_id=row.counterpart_agency_id,
        counterpart_fund_code=counterpart_fund_code,
    )


def list_entry_ids(
    session: Session,
    *,
    agency_id: UUID,
    accounting_from: date | None,
    accounting_to: date | None,
    source_id: UUID | None,
    corrects_id: UUID | None,
    known_at: datetime | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[tuple[date, UUID]]:
    """(accounting day, id) of an agency's entries, in that order."""
    row = JournalEntryRow
    query = (
        select(row.accounting_on, row.journal_entry_id)
        .where(row.agency_id == agency_id)
        .order_by(row.accounting_on, row.journal_entry_id)
        .limit(limit)
    )
    if accounting_from is not None:
        query = query.where(row.accounting_on >= accounting_from)
    if accounting_to is not None:
        query = query.where(row.accounting_on <= accounting_to)
    if source_id is not None:
        query = query.where(row.source_id == source_id)
    if corrects_id is not None:
        query = query.where(row.corrects_journal_entry_id == corrects_id)
    if known_at is not None:
        query = query.where(row.recorded_at <= known_at)
    if after is not None:
        query = query.where(tuple_(row.accounting_on, row.journal_entry_id) > tuple_(*after))
    return [(found.accounting_on, found.journal_entry_id) for found in session.execute(query)]
