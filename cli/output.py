"""What commands print: tables for people, JSON with `--json`, and errors with the words of the refusal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

# A pipe has no width: then nothing is wrapped or cut.
_WIDE_COLUMNS = 220
console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE_COLUMNS)
errors = Console(stderr=True, highlight=False)


def show(value: Any, *, as_json: bool, human: Callable[[], None]) -> None:
    """`value` as one JSON document, or whatever `human` prints."""
    if as_json:
        print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    else:
        human()


def line(value: Any) -> None:
    """`value` as one JSON line, at once: streams and followed topics are read by pipes."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, title: str | None = None) -> None:
    """Print rows as a table; numbers stand right."""
    kept = list(rows)
    made = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numeric = bool(kept) and all(isinstance(row.get(column), int | None) for row in kept)
        made.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in kept:
        made.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    console.print(made)


def fail(message: str, *, as_json: bool = False, status: int = 1, as_line: bool = False, **details: Any) -> NoReturn:
    """End the command: the message on stderr (as JSON on stdout with `--json`), exit `status`.

    `as_line` is for commands that have printed JSON lines before: their error is one more line.
    """
    if as_json and as_line:
        line({"error": message, **details})
    elif as_json:
        print(json.dumps({"error": message, **details}, indent=2, ensure_ascii=False, default=str))
    else:
        errors.print(f"[bold red]error:[/] {message}", markup=True, soft_wrap=True)
        for name, value in details.items():
            errors.print(f"  {name}: {value}", markup=False, soft_wrap=True)
    sys.stdout.flush()
    raise typer.Exit(status)
