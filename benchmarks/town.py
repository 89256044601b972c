"""Where the figures are taken: a platform of its own with a government whose budget is in force.

Everything is made through the public APIs, by the acts of the demo that come before the story itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from chassis.local.platform import Platform
from cli.connect import system_of
from cli.demo import budgeting, cast, foundation
from cli.demo.acting import Government
from cli.demo.foundation import Foundation
from cli.demo.story import move_the_clock
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc

TODAY = date(cast.FISCAL_YEAR, 1, 6)
# Of the demo's people only the officers are needed.
_SCALE = cast.Scale(officials=0, requisitions=0)
# An entry spends one or two rupiah, so that a line of this many carries hundreds of thousands of them.
_LINE_MIN = 1_000_000


@dataclass(frozen=True)
class Line:
    """A budget line that entries may spend."""

    budget_line_id: str
    agency_id: str
    fund_code: str
    original: int  # whole rupiah


@dataclass
class Town:
    """The running platform, and what was founded there."""

    platform: Platform
    government: Government
    foundation: Foundation
    lines: list[Line]

    def bearer(self, label: str) -> dict[str, str]:
        """Call metadata of an officer."""
        return dict(self.government.system.metadata(self.government.persons[label]))

    def address(self, service: str) -> str:
        """host:port of a service."""
        return self.platform.addresses[service]


@contextmanager
def founded(directory: Path, say: Callable[[str], None], *, started: Callable[[Platform], None]) -> Iterator[Town]:
    """Start the platform on the empty `directory`, found the government; `started` sees it before the first call."""
    before = {name: os.environ.get(name) for name in ("KELOLA_CIVIL_ZONE", "KELOLA_CLOCK_OFFSET_SECONDS")}
    move_the_clock(directory)
    try:
        with Platform(directory, say=say) as platform, system_of(platform) as system:
            started(platform)
            government = Government(system)
            say("the government, its officers, its budget of six units")
            base = foundation.lay(government, _SCALE)
            budgeting.bring_into_force(government, base)
            yield Town(platform, government, base, _lines(government, base))
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _lines(government: Government, base: Foundation) -> list[Line]:
    """Every line that takes entries and has room for many, widest first."""
    found = []
    for unit in cast.units():
        request = budget_pb2.ListBudgetLinesRequest(
            agency_id=base.agencies[unit.label], fiscal_year=cast.FISCAL_YEAR, page_size=500
        )
        stub = budget_pb2_grpc.BudgetServiceStub
        for line in government.pages(stub, "ListBudgetLines", request, by="auditor", rows="budget_lines"):
            if line.figures.original.units >= _LINE_MIN:
                found.append(Line(line.budget_line_id, line.agency_id, line.fund_code, line.figures.original.units))
    return sorted(found, key=lambda line: (-line.original, line.budget_line_id))
