"""When received-not-invoiced goods are an exception, and whose. Pure.

Domain rules §3: received-not-invoiced (GRNI) older than the set days is an exception with an owner. The debt exists
from the acceptance on, so what stays without an invoice is a claim that nobody has named: the supplier is asked, or the
acceptance is put right. Days and role are dated data of the country pack.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class AgeRule:
    """After how many days without an invoice an acceptance is an exception, and the role that owns it."""

    days_max: int
    owner_role: str

    def last_day(self, today: date) -> date:
        """The latest day of acceptance whose days are over."""
        return today - timedelta(days=self.days_max + 1)

    def due_on(self, accepted_on: date) -> date:
        """The last day for the invoice."""
        return accepted_on + timedelta(days=self.days_max)
