"""What was written down under one chart and is posted under the next: its codes followed to their successors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlmodel import Session

from services.finance.classification.carryover import store
from services.finance.classification.segments import Segment
from services.finance.ledger.domain import JournalEntry, Line, Segments

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
        now = {
            segment: successors.get((segment, code, entry.effective_on), code) for segment, code in _codes(line).items()
        }
        segments = Segments(**{segment.column: now[segment] for segment in _BESIDE})
        return replace(line, account_code=now[Segment.ACCOUNT], segments=segments)

    return [replace(entry, lines=[moved(line, entry) for line in entry.lines]) for entry in entries]


def _codes(line: Line) -> dict[Segment, str]:
    beside = {segment: getattr(line.segments, segment.column) for segment in _BESIDE}
    return {Segment.ACCOUNT: line.account_code, **beside}
