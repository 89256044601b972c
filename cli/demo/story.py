"""The whole story, act by act, and where it is told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from chassis import telemetry
from chassis.local.place import home
from chassis.local.platform import Platform
from chassis.settings import ROOT, ServiceSettings
from cli.connect import system_of
from cli.demo import budgeting, cast, closing, employment, foundation, paying, purchasing
from cli.demo.acting import Government, each

# The business day on which the story begins; the platform's clock is moved there once, and runs on from it.
_BEGINS = datetime(cast.FISCAL_YEAR, 1, 6, 8, 0, tzinfo=ZoneInfo("Asia/Jakarta"))
WHOLE = cast.Scale()
SUMMARY = ROOT / "build" / "demo" / "summary.json"


def move_the_clock(directory: Path) -> None:
    """Let the business clock of the platform on `directory` begin at the story's first day; kept for later runs."""
    file = directory / "clock.json"
    if not file.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        offset = _BEGINS - datetime.now(UTC)
        document = {"civil_zone": "Asia/Jakarta", "clock_offset_seconds": int(offset / timedelta(seconds=1))}
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(document), encoding="utf-8")
        fresh.rename(file)
    kept = json.loads(file.read_text(encoding="utf-8"))
    os.environ["KELOLA_CIVIL_ZONE"] = kept["civil_zone"]
    os.environ["KELOLA_CLOCK_OFFSET_SECONDS"] = str(kept["clock_offset_seconds"])


def play(say: Callable[[str], None], scale: cast.Scale = WHOLE, summary_file: Path = SUMMARY) -> dict[str, Any]:
    """Start the platform, live the month, read the books; returns the summary and writes it to `summary_file`."""
    began = time.monotonic()
    directory = home()
    move_the_clock(directory)
    with Platform(directory, say=say) as platform:
        telemetry.start(ServiceSettings(service="demo", trace_dir=directory / "spans"))
        with system_of(platform) as system:
            government = Government(system)
            summary = live(government, say, scale)
        telemetry.flush()
        summary |= closing.after_the_fact(summary["trace_of_one_requisition"])
    summary["seconds"] = round(time.monotonic() - began, 1)
    summary_file.parent.mkdir(parents=True, exist_ok=True)
    summary_file.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def live(government: Government, say: Callable[[str], None], scale: cast.Scale = WHOLE) -> dict[str, Any]:
    """All acts, in their order. Safe to repeat: what happened before is answered from then."""
    say(f"identity: {len(cast.units())} agencies, officers, {scale.officials} officials")
    base = foundation.lay(government, scale)
    say("finance: the chart, the calendar, the budget of six units, its activation and first release")
    budget = budgeting.bring_into_force(government, base)
    say(f"hr: {scale.officials} posts filled and their year obligated")
    employed = employment.hire(government, base, scale)
    say("hr: the payroll of January, computed and approved")
    employed = employment.run_payroll(government, base, employed)
    say("finance: the payroll paid")
    each(
        list(employed.payroll_runs.items()),
        lambda run: paying.pay_payroll(government, base, *run),
        workers=3,
    )
    say(f"logistics: {scale.requisitions} requisitions, from request to payment")
    market = purchasing.open_market(government, base)
    outcomes = purchasing.live_through(government, base, market, purchasing.plans(government, base, scale))
    purchasing.issue_some_stock(government, base, market)
    say("the books")
    return closing.read_the_books(government, base, budget, employed, outcomes)
