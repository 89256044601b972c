"""Document numbers without gaps: one row a series, locked for the short rest of its transaction (domain rules §8).

The number is taken as the transaction's last act before it is saved, so that others of the series wait only for
that. A rollback gives it back; a document that is refused or cancelled later keeps it.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.logistics.numbering.tables import NumberSeriesRow


def next_number(session: Session, agency_id: UUID, series: str, year: int) -> str:
    """The next number of the series, as people write it: `PO/2026/00042`."""
    first = insert(NumberSeriesRow).values(agency_id=agency_id, series=series, year=year, last_number=1)
    number = session.execute(
        first.on_conflict_do_update(
            index_elements=["agency_id", "series", "year"],
            set_={"last_number": NumberSeriesRow.last_number + 1},
        ).returning(NumberSeriesRow.last_number)
    ).scalar_one()
    return f"{series}/{year}/{number:05d}"
