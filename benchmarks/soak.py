"""Ten minutes of full load: whether the finance service's memory grows, and whether its rate falls.

Rounds of unary calls, of batches and of streams follow one another; after each the resident memory of the service and
of its relay is read. The first minute fills pools, plans and caches, so growth counts from its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import journal
from benchmarks.figures import ratio
from benchmarks.processes import rss_mb
from benchmarks.town import Town

_ROUND_SECONDS = 15.0
_FILLED_AFTER_SECONDS = 60.0
_WAYS = ("unary_64_spread", "unary_64_spread", "batch_100_spread", "stream_spread")
_PROCESSES = ("finance", "finance-relay")


def measure(town: Town, say: Callable[[str], None], *, minutes: float) -> dict[str, Any]:
    """Load for `minutes`; by process its MB after each round, and what it grew by after the first minute."""
    ways = {way.name: way for way in journal.ways(town.lines)}
    began = time.monotonic()
    rounds: list[dict[str, Any]] = []
    while (passed := time.monotonic() - began) < minutes * 60:
        way = ways[_WAYS[len(rounds) % len(_WAYS)]]
        say(f"soak: {way.name}, {passed:.0f} s of {minutes * 60:.0f} s")
        one = journal.run_way(town, way, _ROUND_SECONDS, seed=len(rounds))
        rounds.append(
            {
                "second": round(time.monotonic() - began, 1),
                "way": way.name,
                "entries_per_second": journal.plain_figures(way, one)["entries_per_second"],
                **{name: rss_mb(town.platform.children[name].pid) for name in _PROCESSES},
            }
        )
    # Memory is compared after rounds of one kind, since a stream holds more than a unary call does.
    unary = [one for one in rounds if one["way"] == _WAYS[0] and one["second"] >= _FILLED_AFTER_SECONDS]
    if len(unary) < 2:
        raise ValueError(f"{minutes:g} minutes are too short: memory is compared after the first minute")
    return {
        "minutes": minutes,
        "rounds": rounds,
        "memory_mb": {
            name: {
                "after_the_first_minute": unary[0][name],
                "at_the_end": unary[-1][name],
                "most": max(one[name] for one in rounds),
            }
            for name in _PROCESSES
        },
        "unary_last_to_first": round(ratio(unary[-1]["entries_per_second"], unary[0]["entries_per_second"]), 3),
    }
