"""What was written down under one chart and is posted under the next: its codes followed to their successors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.classification.carryover import store
from services.finance.classification.segments import Segment
from services.finance.ledger import store as ledger
from services.finance.ledger.domain import JournalEntry, Line, Segments

# A description names so many codes that were followed; the rest is counted, and stands on the lines.
_NAMED_MAX = 10
_BESIDE = [segment for segment in Segment if segment.column in Segments.__dataclass_fields__]


def followed(session: Session, entries: Sequence[JournalEntry]) -> list[JournalEntry]:
    """The entries with every code that has ended by their day replaced by its default successor.

    A line that names a budget line stays: it goes with its line, which belongs to its year.
    """
    wanted = {
        (segment, code, entry.effective_on)
        for entry in entries
        for line in entry.lines
        if line.budget_line_id is None
        for segment, code in _codes(line).items()
        if code
    }
    successors = store.successors_on(session, wanted)
    if not successors:
        return list(entries)

    def moved(line: Line, entry: JournalEntry) -> Line:
        if line.budget_line_id is not None:
            return line
        return _called(
            line,
            {
                segment: successors.get((segment, code, entry.effective_on), code)
                for segment, code in _codes(line).items()
            },
        )

    return [replace(entry, lines=[moved(line, entry) for line in entry.lines]) for entry in entries]


def reversals_followed(session: Session, entries: Sequence[JournalEntry]) -> list[JournalEntry]:
    """The entries; one that reverses another stands on the codes that have followed the other's until its own day.

    What an ended account held went over to its default successor on the chart's first day (`CarryOverBalances`), so
    what is taken back later is taken back there. Its day is its accounting day: a reversal that still stands in the
    year of what it reverses keeps that year's codes, and what it leaves there goes over with the next carry-over. Old
    and new codes are named in its description. A line that names a budget line keeps the segments beside its account:
    they are that line's. A code without a successor stays, and posting refuses it.
    """
    since = store.before_a_succession(session, {one.reverses_id for one in entries if one.reverses_id is not None})
    if not since:
        return list(entries)
    late = [one for one in entries if one.reverses_id in since]
    days = dict(zip((one.journal_entry_id for one in late), ledger.accounting_days(session, late), strict=True))
    return [_reversal_followed(session, one, since, days.get(one.journal_entry_id)) for one in entries]


def _reversal_followed(
    session: Session, entry: JournalEntry, since: Mapping[UUID, date], on: date | None
) -> JournalEntry:
    """`on` is the day on which the entry will stand; None when it is no such reversal, or no period takes it."""
    if on is None or entry.reverses_id is None:
        return entry
    codes = {pair for line in entry.lines for pair in _own_codes(line).items() if pair[1]}
    now = store.successors_between(session, codes, since=since[entry.reverses_id], on=on)
    if not now:
        return entry
    lines = tuple(
        _called(line, {segment: now.get((segment, code), code) for segment, code in _own_codes(line).items()})
        for line in entry.lines
    )
    return replace(entry, lines=lines, description=described(entry.description, now))


def described(description: str, successors: Mapping[tuple[Segment, str], str]) -> str:
    """A reversal's description with the codes that others have taken the place of, each with its successor."""
    named = [
        f"{segment.value} {code} is now {successors[segment, code]}"
        for segment, code in sorted(successors, key=lambda one: (one[0].value, one[1]))
    ]
    more = len(named) - _NAMED_MAX
    return f"{description} [{'; '.join(named[:_NAMED_MAX])}{f'; and {more} more' if more > 0 else ''}]"


def _own_codes(line: Line) -> dict[Segment, str]:
    """The codes that are the line's own: those beside its account are its budget line's, when it names one."""
    return _codes(line) if line.budget_line_id is None else {Segment.ACCOUNT: line.account_code}


def _called(line: Line, codes: Mapping[Segment, str]) -> Line:
    """The line under these codes; what is not among them stays."""
    beside = {segment.column: codes[segment] for segment in _BESIDE if segment in codes}
    return replace(line, account_code=codes[Segment.ACCOUNT], segments=replace(line.segments, **beside))


def _codes(line: Line) -> dict[Segment, str]:
    beside = {segment: getattr(line.segments, segment.column) for segment in _BESIDE}
    return {Segment.ACCOUNT: line.account_code, **beside}
