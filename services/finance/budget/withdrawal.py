"""A draft appropriation taken back: its lines leave the books in which they never were, its number stays used."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from services.finance.approval import usecases as approval
from services.finance.budget import appropriation, withdrawal_store
from services.finance.budget.appropriation import Appropriation
from services.finance.budget.preparation import usecases as preparation


def withdraw(session: Session, appropriation_id: UUID, *, reason: str, person_id: UUID, at: datetime) -> Appropriation:
    """Take a draft back, whatever became of its route; the request that it comes from is free again.

    Its lines leave the budget: none was ever usable, and their keys are needed by whatever is imported in their place.
    What they said, who imported them and why they were withdrawn stays on record.
    """
    appropriation.lock_draft(session, appropriation_id, "withdrawn")
    withdrawal_store.set_lines_aside(session, appropriation_id)
    withdrawal_store.withdraw(session, appropriation_id, reason=reason, person_id=person_id, at=at)
    preparation.take_back(session, appropriation_id)
    approval.recall(session, appropriation_id)
    return appropriation.get(session, appropriation_id)
