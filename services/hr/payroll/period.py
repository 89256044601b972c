"""What a computation is given: the period, the facts of a person in it, and what the year has paid so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from chassis.dates import Month


@dataclass(frozen=True)
class Period:
    """A month as payroll sees it.

    `entitlement_day` decides FULL_MONTH pay: the first day of the month, or its first working day if the first is
    free (BKN rules on the start of duty). For extra pay it is the day that the year's regulation names.
    """

    month: Month
    entitlement_day: date
    working_days: frozenset[date]
    whole: bool = False  # extra pay: everything hangs on the entitlement day, nothing is prorated

    @classmethod
    def regular(cls, month: Month, is_free: Callable[[date], bool]) -> Period:
        """The period of a month's regular pay."""
        days = [month.first + timedelta(days=n) for n in range(month.days)]
        working = [day for day in days if not is_free(day)]
        return cls(month, working[0] if is_free(month.first) else month.first, frozenset(working))

    @classmethod
    def of_day(cls, entitled_on: date) -> Period:
        """The period of an extra pay: the day that entitles."""
        return cls(Month.of(entitled_on), entitled_on, frozenset(), whole=True)


@dataclass(frozen=True)
class Span:
    """Facts that hold on the days `[valid_from, valid_to)` of the period, by input name."""

    valid_from: date
    valid_to: date
    inputs: Mapping[str, str | int]

    def holds_on(self, day: date) -> bool:
        """Whether `day` is one of the span's days."""
        return self.valid_from <= day < self.valid_to


@dataclass(frozen=True)
class SoFar:
    """What other payslips have paid a person, in whole units: in the same month, and in the year (that month too)."""

    month_taxable: int = 0
    month_tax: int = 0
    year_taxable: int = 0
    year_tax: int = 0
    year_deductible: int = 0
    year_months: int = 0  # months of the year with pay, this month not counted
    # What corrections of earlier months add to this payslip: taxed now (in the month of payment), lines of their own.
    retro_taxable: int = 0
    retro_deductible: int = 0
    retro_net: int = 0  # earnings less deductions
