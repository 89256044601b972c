"""The arithmetic of the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 … 1) of the values do not exceed (nearest rank).

    ValueError without values, or for a share outside 0 … 1.
    """
    if not values:
        raise ValueError("no values: nothing was measured")
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle. ValueError without values."""
    if not values:
        raise ValueError("no values: nothing was measured")
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def ratio(value: float, baseline: float) -> float:
    """`value` as a share of `baseline`. ValueError for a baseline that is not above zero."""
    if not baseline > 0:
        raise ValueError(f"a baseline of {baseline} measures nothing")
    return value / baseline


@dataclass(frozen=True)
class Latency:
    """A distribution of durations, in milliseconds."""

    median_ms: float
    p99_ms: float
    max_ms: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """From durations in seconds."""
        return cls(
            median_ms=round(median(seconds) * 1000, 3),
            p99_ms=round(percentile(seconds, 0.99) * 1000, 3),
            max_ms=round(max(seconds) * 1000, 3),
            count=len(seconds),
        )
