"""What happened to a contract of several years, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.budget.years.domain import Authorisation


@dataclass(frozen=True)
class MultiYearAuthorisationChanged:
    """An authorisation was proposed, decided or recalled, or a slice of it was obligated or could not be."""

    authorisation: Authorisation
