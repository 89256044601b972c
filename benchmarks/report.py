"""The figures as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.output import console, table


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    on = found["machine"]
    console.print(
        f"\n{on['cores']} cores ({on['cpu']}), Python {on['python']}, data on {on['data_filesystem']}, "
        f"load {on['load_average']} at the beginning and {on['load_average_at_the_end']} at the end",
        markup=False,
    )
    for name, rows in _tables(found):
        table([{key: _shown(value) for key, value in row.items()} for row in rows], list(rows[0]), title=name)
    console.print(f"{found['seconds']:g} s in all", style="dim")


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if "ping" in found:
        yield "Unary ping: the whole chain beside a bare grpcio server", list(_ping(found["ping"]))
    if "journal" in found:
        yield "Durable journal entries, beside raw_pg", list(_journal(found["journal"]))
    if "events" in found:
        yield (
            "Events, from the producer's transaction to the consumer's",
            [{name: row[name] for name in _EVENT_COLUMNS} for row in found["events"].values()],
        )
    if "book" in found:
        yield (
            "Reports of the large book, ms",
            [{"report": name, **ms} for name, ms in found["book"]["reports_ms"].items()],
        )
    if "soak" in found:
        yield "Soak: MB", [{"process": name, **mb} for name, mb in found["soak"]["memory_mb"].items()]
    if "memory_mb" in found:
        idle, after = found["memory_mb"]["idle"], found["memory_mb"]["after"]
        yield (
            "Resident memory, MB",
            [{"process": name, "idle": idle[name], "after": after[name]} for name in idle],
        )


_EVENT_COLUMNS = ("event", "to", "acts_per_second", "median_ms", "p99_ms", "max_ms", "count")


def _ping(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for callers, figures in found.items():
        for kind in ("chain", "bare"):
            side = figures[kind]
            yield {
                "callers": callers.removeprefix("callers_"),
                "server": kind,
                "calls/s": side["calls_per_second"],
                "ratio": figures["ratio"] if kind == "chain" else None,
                "median ms": side["median_ms"],
                "p99 ms": side["p99_ms"],
                "server CPU µs/call": side["server_cpu_us_per_call"],
                "client CPU µs/call": side["client_cpu_us_per_call"],
            }


def _journal(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, figures in found.items():
        if isinstance(figures, dict) and "entries_per_second" in figures:
            yield {
                "way": name,
                "entries/s": figures["entries_per_second"],
                "ratio to raw_pg": figures.get("ratio_to_raw_pg"),
                "callers": figures.get("callers"),
                "entries/call": figures.get("entries_per_call"),
                "call median ms": figures.get("call_median_ms"),
                "call p99 ms": figures.get("call_p99_ms"),
                **{
                    f"{who} CPU µs/entry": figures.get("cpu_us_per_entry", {}).get(who)
                    for who in ("service", "postgres", "relay")
                },
            }


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return value
