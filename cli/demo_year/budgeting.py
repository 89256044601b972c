"""How the budget changes within the year: a virement, an override that a refused contract needs, the supplement."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from cli.demo_year import cast
from cli.demo_year.year import Year, rupiah, shown
from kelola.finance.v1 import (
    budget_change_pb2,
    budget_change_pb2_grpc,
    budget_override_pb2,
    budget_override_pb2_grpc,
)

_CHANGES = budget_change_pb2_grpc.BudgetChangeServiceStub
_OVERRIDES = budget_override_pb2_grpc.BudgetOverrideServiceStub
MOVED = 25_000_000
PAPER, ADVICE_MORE = 25_000_000, 1_500_000_000


def move_between_lines(year: Year, *, on: date) -> list[dict[str, Any]]:
    """Travel gives to stationery, another object of one type: so the regional secretary approves (the pack's rule)."""
    change = _change(
        year,
        "PERGESERAN-1",
        budget_change_pb2.BUDGET_CHANGE_KIND_VIREMENT,
        "Perjalanan dikurangi untuk alat tulis",
        on,
        approver="regional_secretary",
        transfers=[
            budget_change_pb2.VirementTransfer(
                from_budget_line_id=year.line(cast.TRAVEL),
                to_budget_line_id=year.line(cast.STATIONERY),
                amount=rupiah(MOVED),
            )
        ],
    )
    return [
        {
            "document": change.document_number,
            "from": cast.TRAVEL[0],
            "to": cast.STATIONERY[0],
            "amount": shown(change.transfers[0].amount),
            "decided by": "regional secretary",
        }
    ]


def supplement(year: Year, short: int, *, on: date) -> list[dict[str, Any]]:
    """The supplementary budget: what the override gave is covered, advice costs more, paper gets a line."""
    paper = budget_change_pb2.NewBudgetLine(
        fund_code=FUND,
        organisation_code=cast.HEALTH,
        function_code=next(line for line in cast.published()[cast.HEALTH]).function_code,
        account_code=cast.PAPER[0],
        line_no=cast.PAPER[1],
        display_name="Belanja Kertas dan Cover",
    )
    change = _change(
        year,
        "APBA-P-1",
        budget_change_pb2.BUDGET_CHANGE_KIND_SUPPLEMENTARY,
        "Perubahan anggaran",
        on,
        approver="budget_authority",
        lines=[
            budget_change_pb2.BudgetChangeLine(budget_line_id=year.line(cast.MEALS), amount=rupiah(short)),
            budget_change_pb2.BudgetChangeLine(budget_line_id=year.line(cast.ADVICE), amount=rupiah(ADVICE_MORE)),
            budget_change_pb2.BudgetChangeLine(new_line=paper, amount=rupiah(PAPER)),
        ],
    )
    year.learn_lines(cast.HEALTH, cast.FISCAL_YEAR)
    return [{"document": change.document_number, "increase": shown(change.increase), "lines": len(change.lines)}]


def override(year: Year, amount: int, *, on: date) -> Any:
    """An override proposed by the budget officer and opened by the budget authority; `amount` is whole rupiah."""
    proposed = year.government.do(
        _OVERRIDES,
        "CreateBudgetOverride",
        budget_override_pb2.CreateBudgetOverrideRequest(
            budget_override=budget_override_pb2.BudgetOverride(
                agency_id=year.unit_id(cast.HEALTH),
                fiscal_year=cast.FISCAL_YEAR,
                document_number="LAMPAU-1",
                authority_document="Keputusan Gubernur 1/2025",
                reason="Konsumsi siaga bencana",
                coverage="perubahan anggaran berikutnya",
                effective_on=to_date(on),
                expires_on=to_date(date(cast.FISCAL_YEAR, 12, 31)),
                items=[
                    budget_override_pb2.BudgetOverrideItem(budget_line_id=year.line(cast.MEALS), amount=rupiah(amount))
                ],
            )
        ),
        by="budget_officer",
        step="override",
    )
    return year.government.do(
        _OVERRIDES,
        "ApproveBudgetOverride",
        budget_override_pb2.ApproveBudgetOverrideRequest(name=proposed.name),
        by="budget_authority",
        step="override/approve",
    ).budget_override


def status_of(year: Year, given: Any) -> str:
    """Where the override stands now."""
    seen = year.government.read(
        _OVERRIDES,
        "GetBudgetOverride",
        budget_override_pb2.GetBudgetOverrideRequest(name=given.name),
        by="auditor",
    )
    return budget_override_pb2.BudgetOverrideStatus.Name(seen.status).removeprefix("BUDGET_OVERRIDE_STATUS_")


def _change(
    year: Year, number: str, kind: Any, why: str, on: date, *, approver: str, **what: Any
) -> budget_change_pb2.BudgetChange:
    """A change that the budget officer proposes and another person approves."""
    proposed = year.government.do(
        _CHANGES,
        "CreateBudgetChange",
        budget_change_pb2.CreateBudgetChangeRequest(
            budget_change=budget_change_pb2.BudgetChange(
                agency_id=year.unit_id(cast.HEALTH),
                fiscal_year=cast.FISCAL_YEAR,
                kind=kind,
                document_number=number,
                legal_reference="Qanun Aceh 1/2025",
                explanation=why,
                effective_on=to_date(on),
                **what,
            )
        ),
        by="budget_officer",
        step=f"change/{number}",
    )
    approved: budget_change_pb2.BudgetChange = year.government.do(
        _CHANGES,
        "ApproveBudgetChange",
        budget_change_pb2.ApproveBudgetChangeRequest(name=proposed.name),
        by=approver,
        step=f"change/{number}/approve",
    ).budget_change
    return approved
