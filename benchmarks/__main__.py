"""Take the figures: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import book, events, journal, machine, memory, ping, soak, town
from benchmarks.figures import ratio
from benchmarks.report import show
from chassis.local.platform import Platform, signals
from chassis.settings import ROOT

RESULT = ROOT / "build" / "bench.json"
PARTS = ("ping", "journal", "events", "memory", "book", "soak")
# A book of ten million lines takes minutes to write, a soak lasts ten: these are asked for by name.
USUAL = PARTS[:-2]


@dataclass(frozen=True)
class Length:
    """How long each part is measured: seconds of one load, how often, and how many events at which rate."""

    ping_seconds: float
    journal_seconds: float
    ping_rounds: int
    journal_rounds: int
    events: int
    events_per_second: float


WHOLE = Length(ping_seconds=4, journal_seconds=4, ping_rounds=3, journal_rounds=2, events=400, events_per_second=25)
QUICK = Length(ping_seconds=1.5, journal_seconds=2, ping_rounds=1, journal_rounds=1, events=100, events_per_second=25)


def main(arguments: list[str]) -> int:
    """Measure, write the file, print the table."""
    options = _options(arguments)
    length = QUICK if options.quick else WHOLE
    began = time.monotonic()
    home: Path = options.home
    home.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks", *arguments]),
        "length": vars(length),
        "machine": {**machine.facts(), "data_filesystem": machine.require_disk(home.parent)},
    }

    def say(step: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {step}", flush=True)

    if "ping" in options.parts:
        found["ping"] = ping.measure(say, seconds=length.ping_seconds, rounds=length.ping_rounds)
    if set(options.parts) - {"ping"}:
        _on_the_platform(home, options, length, found, say)
    if "ping" in found and "journal" in found:
        # What the entry itself costs beside the chain that every call passes.
        entries = found["journal"]["unary_64_spread"]["entries_per_second"]
        found["unary_to_ping"] = round(ratio(entries, found["ping"]["callers_64"]["chain"]["calls_per_second"]), 3)
    found["machine"]["load_average_at_the_end"] = machine.load()
    found["seconds"] = round(time.monotonic() - began, 1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    show(found)
    print(f"\nwritten to {options.out}")
    return 0


def _on_the_platform(
    home: Path, options: argparse.Namespace, length: Length, found: dict[str, Any], say: Callable[[str], None]
) -> None:
    """The parts that need the four services, on a platform that is made for them and thrown away."""
    idle: dict[str, float] = {}
    parts: list[str] = options.parts

    def started(platform: Platform) -> None:
        idle.update(memory.of(platform))

    if home.exists():
        raise SystemExit(f"{home} is there already: the figures need an empty home; remove it, or name another")
    try:
        with town.founded(home, say, started=started) as place:
            if "journal" in parts:
                found["journal"] = journal.measure(
                    place, say, seconds=length.journal_seconds, rounds=length.journal_rounds
                )
            if "events" in parts:
                rate: dict[str, Any] = {"count": length.events, "per_second": length.events_per_second}
                found["events"] = {
                    "legal_entities": events.legal_entities(place, say, **rate),
                    "stock_movements": events.stock_movements(place, say, **rate),
                }
            if "book" in parts:
                found["book"] = book.measure(place, say, lines=options.book_lines, seconds=length.journal_seconds)
            if "soak" in parts:
                found["soak"] = soak.measure(place, say, minutes=options.soak_minutes)
            if "memory" in parts:
                found["memory_mb"] = {"idle": idle, "after": memory.of(place.platform)}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"what to measure: {', '.join(PARTS)} (default: those up to memory)")
    parser.add_argument("--quick", action="store_true", help="shorter loads, once each: a first impression")
    parser.add_argument("--book-lines", type=int, default=1_000_000, help="how many lines the large book of `book` has")
    parser.add_argument("--soak-minutes", type=float, default=10, help="how long `soak` loads the service")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the figures go (default: build/bench.json)")
    parser.add_argument(
        "--home",
        type=Path,
        default=ROOT / "build" / "bench-home",
        help="where the data lies meanwhile: a folder that is not there yet, on a disk",
    )
    options = parser.parse_args(arguments)
    options.parts = options.parts or list(USUAL)
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    with signals():
        sys.exit(main(sys.argv[1:]))
