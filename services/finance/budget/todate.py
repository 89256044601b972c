"""The second limit: what has been released to date (F3). Pure.

Domain rules §2: at a step listed in data, what has reached that step or a later one and is phased to periods up to t
may not exceed what has been allotted up to t; checked for the current period and each later one already released.
The pack `id` checks at the payment request (SPP within the SPD); others may name RESERVE or OBLIGATE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MONTHS = 12


@dataclass(frozen=True)
class Release:
    """One release of a line: usable from `month_from` on; its period is known to end with `month_to`."""

    month_from: int
    month_to: int
    amount: int


@dataclass(frozen=True)
class ToDateShortage:
    """The month whose releases to date are too small."""

    month: int
    allotted: int
    reached: int
    asked: int

    @property
    def short_by(self) -> int:
        """What is missing."""
        return self.reached + self.asked - self.allotted


def to_date_shortage(
    releases: Iterable[Release],
    reached: Mapping[int, int],
    asked: Mapping[int, int],
    *,
    current_month: int,
) -> ToDateShortage | None:
    """The first month at which F3 would not hold, or None. `reached` and `asked` are amounts by month of the year."""
    releases = list(releases)
    last = max([current_month, *(release.month_to for release in releases)])
    for month in range(current_month, last + 1):
        allotted = sum(release.amount for release in releases if release.month_from <= month)
        before = sum(amount for due, amount in reached.items() if due <= month)
        now = sum(amount for due, amount in asked.items() if due <= month)
        if now > 0 and before + now > allotted:
            return ToDateShortage(month, allotted, before, now)
    return None


def uncovered(releases: Iterable[Release], reached: Mapping[int, int]) -> ToDateShortage | None:
    """The first month whose releases to date do not cover what has been reached to date, or None."""
    releases = list(releases)
    for month in sorted(reached):
        allotted = sum(release.amount for release in releases if release.month_from <= month)
        to_date = sum(amount for due, amount in reached.items() if due <= month)
        if reached[month] > 0 and to_date > allotted:
            return ToDateShortage(month, allotted, to_date, 0)
    return None
