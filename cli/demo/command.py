"""`kelola demo`: play the story and show the books as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import Json, console, fail, show, table
from cli.verify import between

_TRACE_LINES = 60


def demo(
    officials: Annotated[int, typer.Option(min=6, max=400, help="How many are hired and paid.")] = 200,
    requisitions: Annotated[int, typer.Option(min=10, max=60, help="How many requisitions run.")] = 40,
    summary_file: Annotated[Path, typer.Option("--summary", help="Where the figures go.")] = Path(
        "build/demo/summary.json"
    ),
    as_json: Json = False,
) -> None:
    """A regional government lives a month of its life, through the public APIs; figures in build/demo/summary.json."""
    from chassis.local.child import ChildFailed
    from chassis.local.platform import AlreadyRunning, Interrupted, signals
    from cli.demo import cast, story
    from cli.demo.acting import DemoStopped

    def say(step: str) -> None:
        if not as_json:
            console.print(f"  {step} …", style="dim", markup=False)

    try:
        with signals():
            summary = story.play(say, cast.Scale(officials, requisitions), summary_file)
    except (AlreadyRunning, ChildFailed, DemoStopped, LookupError) as stopped:
        fail(str(stopped), as_json=as_json)
    except Interrupted as interrupted:
        raise typer.Exit(128 + interrupted.number) from None
    show(summary, as_json=as_json, human=lambda: _tables(summary))


def _tables(summary: dict[str, Any]) -> None:
    slip = summary["payslip"]
    table(slip["lines"], ["component", "side", "amount"], title=f"One payslip, {slip['year']}-{slip['month']:02d}")
    console.print(f"gross {slip['gross']}, deductions {slip['deductions']}, net {slip['net']}\n")
    columns = ["unit", "payslips", "exceptions", "gross", "deductions", "net", "employer_parts", "state"]
    table(summary["payroll"], columns, title="Payroll of January")
    table(
        summary["refusals"],
        ["requisition", "unit", "course", "message"],
        title=f"Requisitions: {', '.join(f'{count} {course}' for course, count in summary['requisitions'].items())}",
    )
    table(
        [*summary["execution"], {"unit": "all", **summary["execution_total"]}],
        ["unit", "lines", *summary["execution_total"]],
        title=f"Budget execution {summary['fiscal_year']} (F2 holds on all {summary['budget']['lines']} lines)",
    )
    console.print(f"paid + advanced = budget realisation in the books: {summary['budget_realisation']}\n", markup=False)
    for basis, balance in summary["trial_balance"].items():
        table(
            balance["rows"],
            ["account", "name", "debit", "credit", "balance"],
            title=f"Trial balance, {basis}: debits {balance['debit']} = credits {balance['credit']}",
        )
    table(summary["stock"], ["unit", "stock_movement_number", "stock_value", "control_account"], title="Stock")
    events = [{"topic": topic, "events": count} for topic, count in summary["events_by_topic"].items()]
    table(events, ["topic", "events"], title="Events by topic")
    spans = summary["trace"]
    console.print(f"One requisition, one trace: {len(spans)} spans over {', '.join(_services(spans))}", style="bold")
    for span in spans[:_TRACE_LINES]:
        label = "  " * span["depth"] + span["name"]
        console.print(f"{span['service']:<10} {label:<90} {span['milliseconds']:>9,.1f} ms", markup=False)
    if len(spans) > _TRACE_LINES:
        console.print(f"… {len(spans) - _TRACE_LINES} more: kelola trace show {summary['trace_of_one_requisition']}")
    for names in ([each for each in summary["verify"] if each != between.NAME], [between.NAME]):
        rows = [{"service": name, **summary["verify"][name]} for name in names]
        table(rows, list(dict.fromkeys(column for row in rows for column in row)))
    console.print(f"all invariants hold; {summary['seconds']:g} s", style="green")


def _services(spans: list[dict[str, Any]]) -> list[str]:
    return sorted({span["service"] for span in spans})
