"""Which fiscal year and period a day belongs to. Pure.

A fiscal year has twelve periods, each a calendar month, and begins with any month of the calendar; the law of a
country says which, and whether the year is named by the calendar year in which it begins or ends. The years of every
service are these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from chassis.dates import Month

PERIODS = 12


@dataclass(frozen=True)
class Period:
    """A period of a fiscal year, 1 to 12: the grain of releases and schedules."""

    year: int
    number: int

    def __le__(self, other: Period) -> bool:
        return (self.year, self.number) <= (other.year, other.number)

    def __lt__(self, other: Period) -> bool:
        return (self.year, self.number) < (other.year, other.number)


@dataclass(frozen=True)
class FiscalCalendar:
    """The fiscal years of one government: the month with which they begin, and which of their two years names them."""

    first_month: int = 1
    named_by_its_end: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.first_month <= PERIODS:
            raise ValueError(f"month {self.first_month} is not 1 to 12")

    def period_of(self, day: date) -> Period:
        """The period in which `day` lies."""
        months = day.year * PERIODS + day.month - self.first_month
        return Period(months // PERIODS + self.named_later, months % PERIODS + 1)

    def year_of(self, day: date) -> int:
        """The fiscal year in which `day` lies."""
        return self.period_of(day).year

    def month_of(self, period: Period) -> Month:
        """The calendar month that is this period."""
        months = (period.year - self.named_later) * PERIODS + self.first_month - 1 + period.number - 1
        return Month(months // PERIODS, months % PERIODS + 1)

    def months_of(self, year: int) -> Iterator[Month]:
        """The calendar months of a fiscal year, in order."""
        return (self.month_of(Period(year, number)) for number in range(1, PERIODS + 1))

    def first_day(self, year: int) -> date:
        """The first day of a fiscal year."""
        return self.month_of(Period(year, 1)).first

    def last_day(self, year: int) -> date:
        """The last day of a fiscal year; its adjustment period is that day alone."""
        return self.month_of(Period(year, PERIODS)).last

    @property
    def named_later(self) -> int:
        """How many years after the one in which it begins a fiscal year is named: 0 or 1."""
        return int(self.named_by_its_end and self.first_month > 1)


CALENDAR_YEAR = FiscalCalendar()
