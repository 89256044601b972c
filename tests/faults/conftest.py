"""A platform of the fault tests' own, with a budget in force: its parts are killed at will."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chassis.local.broker import BrokerKind
from chassis.local.platform import Platform
from cli.connect import System, system_of
from cli.demo import budgeting, foundation, purchasing
from cli.demo import cast as roles
from cli.demo.acting import Government
from cli.demo.story import move_the_clock
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc


@dataclass(frozen=True)
class Town:
    """A running system with agencies, officers, a budget and a market."""

    platform: Platform
    system: System
    government: Government
    foundation: foundation.Foundation
    market: purchasing.Market
    lines: dict[str, list[Any]]  # agency label -> budget lines for goods, the widest first


@pytest.fixture(scope="module")
def town(scratch: Path, broker_kind: BrokerKind) -> Iterator[Town]:
    """Everything up, agencies founded, budget in force; shared by the fault tests of a module."""
    directory = scratch / "faults"
    with pytest.MonkeyPatch.context() as patch:
        # `verify` looks there for keys and databases.
        patch.setenv("KELOLA_HOME", str(directory))
        patch.setenv("KELOLA_CIVIL_ZONE", "UTC")
        patch.setenv("KELOLA_CLOCK_OFFSET_SECONDS", "0")
        move_the_clock(directory)
        with Platform(directory, broker=broker_kind) as platform, system_of(platform) as system:
            government = Government(system)
            base = foundation.lay(government, roles.Scale(officials=1))
            budgeting.bring_into_force(government, base)
            market = purchasing.open_market(government, base)
            yield Town(platform, system, government, base, market, _lines(government, base))


def _lines(government: Government, base: foundation.Foundation) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for unit in roles.units():
        request = budget_pb2.ListBudgetLinesRequest(
            agency_id=base.agencies[unit.label],
            fiscal_year=roles.FISCAL_YEAR,
            account_prefix="5.1.02.01.01",
            page_size=500,
        )
        lines = government.pages(
            budget_pb2_grpc.BudgetServiceStub, "ListBudgetLines", request, by="auditor", rows="budget_lines"
        )
        found[unit.label] = sorted(lines, key=lambda line: -line.figures.original.units)
    return found
