"""`kelola trace`: the journeys through the services, from the span files of the local platform."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import Json, console, fail, show, table

app = typer.Typer(no_args_is_help=True, help="List journeys, and draw one across services.")

_BAR_CHARACTERS = 32
_NANO = 1_000_000_000


@dataclass(frozen=True)
class Span:
    """One step of a journey. Times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    name: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]  # ids of traces


@app.command("list")
def list_traces(
    limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 20,
    document: Annotated[str | None, typer.Option(help="Only journeys of this document or agency id.")] = None,
    name: Annotated[str | None, typer.Option(help="Only journeys whose first span's name contains this.")] = None,
    as_json: Json = False,
) -> None:
    """List the newest journeys: when, which services, how long."""
    journeys = defaultdict(list)
    for span in spans(_folder()):
        journeys[span.trace_id].append(span)
    rows = []
    for trace_id, found in journeys.items():
        first = min(found, key=lambda span: (span.parent_id is not None, span.start))
        if name and name not in first.name:
            continue
        if document and not any(document in map(str, span.attributes.values()) for span in found):
            continue
        rows.append(
            {
                "trace_id": trace_id,
                "began": _time(min(span.start for span in found)),
                "first": first.name,
                "services": ", ".join(sorted({span.service for span in found})),
                "spans": len(found),
                "milliseconds": (max(span.end for span in found) - min(span.start for span in found)) // 1_000_000,
                "failed": sum(span.failed for span in found),
            }
        )
    rows = sorted(rows, key=lambda row: str(row["began"]), reverse=True)[:limit]
    columns = ["trace_id", "began", "first", "services", "spans", "milliseconds", "failed"]
    show(rows, as_json=as_json, human=lambda: table(rows, columns))


@app.command("show")
def show_trace(
    trace_id: Annotated[str, typer.Argument(help="A trace's id, or its beginning.")],
    attributes: Annotated[bool, typer.Option("--attributes", help="Print the spans' attributes too.")] = False,
    as_json: Json = False,
) -> None:
    """Draw one journey as a tree with bars over time."""
    found = [span for span in spans(_folder()) if span.trace_id.startswith(trace_id)]
    if not found:
        fail(f"no span of trace {trace_id} in {_folder()}; `kelola trace list` shows what there is", as_json=as_json)
    if len(ids := {span.trace_id for span in found}) > 1:
        fail(f"{trace_id} begins {len(ids)} traces; write more of it", as_json=as_json)
    ordered = tree(found)
    show(
        [{"depth": depth, **vars(span), "milliseconds": (span.end - span.start) / 1e6} for depth, span in ordered],
        as_json=as_json,
        human=lambda: _draw(ordered, attributes),
    )


def tree(found: list[Span]) -> list[tuple[int, Span]]:
    """(depth, span) from the roots down, siblings by start. A span whose parent is not here counts as a root."""
    known = {span.span_id for span in found}
    children: dict[str | None, list[Span]] = defaultdict(list)
    for span in sorted(found, key=lambda span: (span.start, span.end)):
        children[span.parent_id if span.parent_id in known else None].append(span)
    ordered: list[tuple[int, Span]] = []
    stack = [(0, span) for span in reversed(children[None])]
    while stack:
        depth, span = stack.pop()
        ordered.append((depth, span))
        stack += [(depth + 1, child) for child in reversed(children[span.span_id])]
    return ordered


def spans(folder: Path) -> Iterator[Span]:
    """The spans of every service's files; a line that is cut off (its process was killed) is passed over."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for text in lines:
                try:
                    document = json.loads(text)
                except json.JSONDecodeError:
                    continue
                yield from _spans_of(document)


def _spans_of(document: dict[str, Any]) -> Iterator[Span]:
    for resource_spans in document.get("resourceSpans", []):
        resource = _attributes(resource_spans.get("resource", {}).get("attributes", []))
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                yield Span(
                    trace_id=span["traceId"],
                    span_id=span["spanId"],
                    parent_id=span.get("parentSpanId") or None,
                    service=str(resource.get("service.name", "?")),
                    name=span["name"],
                    start=int(span["startTimeUnixNano"]),
                    end=int(span["endTimeUnixNano"]),
                    failed=span.get("status", {}).get("code") == 2,
                    attributes=_attributes(span.get("attributes", [])),
                    links=tuple(link["traceId"] for link in span.get("links", [])),
                )


def _attributes(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: next(iter(entry["value"].values()), None) for entry in entries}


def _draw(ordered: list[tuple[int, Span]], with_attributes: bool) -> None:
    start = min(span.start for _, span in ordered)
    whole = max(1, max(span.end for _, span in ordered) - start)
    width = max(len(span.service) for _, span in ordered)
    labels = max(len("  " * depth + span.name) for depth, span in ordered)
    console.print(f"trace {ordered[0][1].trace_id}, {_time(start)}, {whole / 1e6:,.1f} ms", style="bold")
    for depth, span in ordered:
        before = (span.start - start) * _BAR_CHARACTERS // whole
        length = max(1, (span.end - span.start) * _BAR_CHARACTERS // whole)
        bar = (" " * before + "━" * length)[:_BAR_CHARACTERS].ljust(_BAR_CHARACTERS)
        label = ("  " * depth + span.name).ljust(labels)
        text = f"{span.service.ljust(width)} {label} {bar} {(span.end - span.start) / 1e6:>10,.1f} ms"
        console.print(text, style="red" if span.failed else None, markup=False, soft_wrap=True)
        if with_attributes:
            for key, value in span.attributes.items():
                console.print(f"{' ' * width} {'  ' * depth}  {key} = {value}", style="dim", markup=False)


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // _NANO, UTC).isoformat(timespec="seconds")


def _folder() -> Path:
    from chassis.local.place import home

    return home() / "spans"
