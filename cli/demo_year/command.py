"""`kelola demo-year`: live the year and show each act and the books as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import Json, console, fail, show, table


def demo_year(
    summary_file: Annotated[Path, typer.Option("--summary", help="Where the figures go; bank files beside it.")] = Path(
        "build/demo-year/summary.json"
    ),
    as_json: Json = False,
) -> None:
    """A small government lives a fiscal year and opens the next; figures and bank files in build/demo-year/."""
    from chassis.local.child import ChildFailed
    from chassis.local.platform import AlreadyRunning, Interrupted, signals
    from cli.demo.acting import DemoStopped
    from cli.demo_year import story

    def say(step: str) -> None:
        if not as_json:
            console.print(f"  {step} …", style="dim", markup=False)

    def tell(title: str, rows: list[dict[str, Any]]) -> None:
        if not as_json:
            _table(title, rows)

    try:
        with signals():
            summary = story.play(say, tell, summary_file)
    except (AlreadyRunning, ChildFailed, DemoStopped, LookupError) as stopped:
        fail(str(stopped), as_json=as_json)
    except Interrupted as interrupted:
        raise typer.Exit(128 + interrupted.number) from None
    show(summary, as_json=as_json, human=lambda: _books(summary, summary_file))


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    """An act's rows; every invariant was looked at before it is shown."""
    table(rows, list(dict.fromkeys(column for row in rows for column in row)), title=f"{title}  ·  verify holds")


def _books(summary: dict[str, Any], summary_file: Path) -> None:
    moved = [
        line for line in summary["lines"] if line["revised"] != line["original"] or line["available"] != line["revised"]
    ]
    columns = [
        "year",
        "unit",
        "account",
        "original",
        "revised",
        "obligated",
        "expended",
        "paid",
        "lapsed",
        "carried_out",
    ]
    table(moved, columns, title=f"Lines that moved, of {len(summary['lines'])} (F1 to F4 and F7 hold on each)")
    for name in ("execution", "identities", "trial_balance"):
        rows = summary[name]
        table(rows, list(rows[0]), title=name.replace("_", " ").capitalize())
    carried = summary["carried"]
    console.print(
        f"carried out {carried['out']} = carried in {carried['in']}; lapsed {carried['lapsed']}", markup=False
    )
    console.print(
        f"{len(summary['acts'])} acts, every invariant held after each; {summary['seconds']:g} s; "
        f"figures and bank files: {summary_file.parent}",
        style="green",
    )
