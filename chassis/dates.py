"""Civil days and validity. Instants are UTC; due dates and facts are civil days.

A fact holds on `[valid_from, valid_to)`: the end is the first day on which it no longer holds, `None` is open.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Validity:
    """A half-open span of civil days."""

    valid_from: date
    valid_to: date | None = None

    def __post_init__(self) -> None:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} is not after valid_from {self.valid_from}")

    def holds_on(self, day: date) -> bool:
        """Whether the fact holds on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, 1 to 12, of a year."""

    year: int
    month: int

    def __post_init__(self) -> None:
        if not 1 <= self.month <= 12:
            raise ValueError(f"month {self.month} is not 1 to 12")

    @classmethod
    def of(cls, day: date) -> Month:
        """The month in which `day` lies."""
        return cls(day.year, day.month)

    @property
    def first(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """The last day."""
        return date(self.year, self.month, self.days)

    @property
    def days(self) -> int:
        """The number of days."""
        return monthrange(self.year, self.month)[1]

    def next(self) -> Month:
        """The month after."""
        return Month.of(self.last + timedelta(days=1))
