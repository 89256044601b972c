"""What passed a node that only warns: kept and told, for acts on funds and for manual entries alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from services.finance.budget.domain import Document, DocumentKind
from services.finance.budget.overrides import store
from services.finance.budget.overrides.events import FundsOverLimit
from services.finance.ledger.domain import Posted


def keep_and_tell(
    session: Session, over: Sequence[FundsOverLimit], *, effective_on: date, person_id: UUID | None
) -> None:
    """Write what one document left below zero, a row and an event a node."""
    store.insert_over_limits(session, over, effective_on=effective_on, person_id=person_id)
    outbox.emit_all(session, over)


def record(session: Session, posted: Sequence[Posted]) -> None:
    """Keep and tell the manual entries that passed a node that only warns. Nothing is asked when there is none."""
    for one in posted:
        entry = one.entry
        entry_id = entry.journal_entry_id
        document = Document(DocumentKind.JOURNAL_ENTRY, entry_id, str(entry_id))
        # As many movements as the entry has made: one on each budget line that it spent.
        sequence = sum(spent.funds_movement_id is not None for spent in one.spent.values())
        keep_and_tell(
            session,
            [
                FundsOverLimit(
                    entry.agency_id,
                    document,
                    node.budget_line_id,
                    one.functional_currency,
                    node.asked_minor,
                    node.available_minor,
                    sequence,
                )
                for node in one.over_limits
            ],
            effective_on=entry.effective_on,
            person_id=entry.person_id,
        )
