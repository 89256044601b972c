"""SQL that asks for codes of any segment."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import text
from sqlmodel import Session

from services.finance.classification.segments import Segment, unknown

_MISSING = text(
    """
    select w.segment, w.code, w.on_day
    from unnest(cast(:segments as text[]), cast(:codes as text[]), cast(:days as date[])) w (segment, code, on_day)
    where not exists (
        select from account a
        where w.segment = 'ACCOUNT' and a.code = w.code and a.valid_from <= w.on_day
          and (a.valid_to is null or w.on_day < a.valid_to)
        union all
        select from dimension_value d
        where d.kind = w.segment and d.code = w.code and d.valid_from <= w.on_day
          and (d.valid_to is null or w.on_day < d.valid_to))
    order by 1, 2, 3
    """
)


def check_known(session: Session, wanted: Collection[tuple[Segment, str, date]]) -> None:
    """Refuse with SEGMENT_UNKNOWN unless every code is in the tree of its segment on its day."""
    asked = sorted({(segment.value, code, on) for segment, code, on in wanted})
    rows = session.execute(
        _MISSING,
        {
            "segments": [segment for segment, _, _ in asked],
            "codes": [code for _, code, _ in asked],
            "days": [on for _, _, on in asked],
        },
    ).all()
    if rows:
        raise unknown((Segment(row.segment), row.code, row.on_day) for row in rows)
