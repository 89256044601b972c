"""The first year's budget is prepared: ceilings, each unit's request, reviewed and approved, turned into a draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from cli.demo_year.year import Year, rupiah, shown
from cli.load.published_budget import PublishedLine
from kelola.finance.v1 import budget_preparation_pb2 as preparation_pb2
from kelola.finance.v1 import budget_preparation_pb2_grpc as preparation_pb2_grpc

_PREPARATION = preparation_pb2_grpc.BudgetPreparationServiceStub
# What a unit may ask for is its lines' sum rounded up to the next ten million.
_CEILING_STEP = 10_000_000


def prepare(
    year: Year, budget: Mapping[str, Sequence[PublishedLine]], fiscal_year: int
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Each unit's draft appropriation by unit, and a row a unit."""
    drafts, rows = {}, []
    for unit, lines in budget.items():
        total = sum(line.amount for line in lines)
        ceiling = -(-total // _CEILING_STEP) * _CEILING_STEP
        _limit(year, unit, ceiling, fiscal_year)
        drafts[unit] = _request(year, unit, lines, rupiah(total), fiscal_year)
        rows.append(
            {"unit": unit, "lines": len(lines), "ceiling": shown(rupiah(ceiling)), "asked": shown(rupiah(total))}
        )
    return drafts, rows


def _limit(year: Year, unit: str, ceiling: int, fiscal_year: int) -> None:
    """The most that the unit may ask for: the budget team proposes it, the budget authority approves."""
    proposed = year.government.do(
        _PREPARATION,
        "CreateBudgetCeiling",
        preparation_pb2.CreateBudgetCeilingRequest(
            budget_ceiling=preparation_pb2.BudgetCeiling(
                agency_id=year.unit_id(unit),
                fiscal_year=fiscal_year,
                document_number=f"PPAS-{unit}-{fiscal_year}",
                legal_reference=f"KUA-PPAS {fiscal_year}",
                effective_on=to_date(date(fiscal_year, 1, 2)),
                heads=[preparation_pb2.BudgetCeilingHead(organisation_code=unit, amount=rupiah(ceiling))],
            )
        ),
        by="budget_officer",
        step=f"ceiling/{unit}/{fiscal_year}",
    )
    year.government.do(
        _PREPARATION,
        "ApproveBudgetCeiling",
        preparation_pb2.ApproveBudgetCeilingRequest(name=proposed.name),
        by="budget_authority",
        step=f"ceiling/{unit}/{fiscal_year}/approve",
    )


def _request(year: Year, unit: str, lines: Sequence[PublishedLine], total: Any, fiscal_year: int) -> str:
    """The unit asks, first and then finally; what was approved becomes a draft appropriation: its name."""
    step = f"budget-request/{unit}/{fiscal_year}"
    asked = year.government.do(
        _PREPARATION,
        "CreateBudgetRequest",
        preparation_pb2.CreateBudgetRequestRequest(
            budget_request=preparation_pb2.BudgetRequest(
                agency_id=year.unit_id(unit),
                fiscal_year=fiscal_year,
                organisation_code=unit,
                document_number=f"RKA-{unit}-{fiscal_year}",
                currency_code="IDR",
            )
        ),
        by="budget_user",
        step=step,
    )
    year.government.do(
        _PREPARATION,
        "SetBudgetRequestLines",
        preparation_pb2.SetBudgetRequestLinesRequest(name=asked.name, lines=[_line(line) for line in lines]),
        by="budget_user",
        step=f"{step}/lines",
    )
    _decide(year, asked.name, len(lines), total, f"{step}/first")
    year.government.do(
        _PREPARATION,
        "OpenBudgetRequestVersion",
        preparation_pb2.OpenBudgetRequestVersionRequest(
            name=asked.name, stage=preparation_pb2.BUDGET_REQUEST_STAGE_FINAL
        ),
        by="budget_user",
        step=f"{step}/final",
    )
    _decide(year, asked.name, len(lines), total, f"{step}/final")
    draft = year.government.do(
        _PREPARATION,
        "AppropriateBudgetRequest",
        preparation_pb2.AppropriateBudgetRequestRequest(
            name=asked.name,
            document_number=f"DPA-{unit}-{fiscal_year}",
            control_line_count=len(lines),
            control_total=total,
        ),
        by="budget_officer",
        step=f"{step}/appropriate",
    )
    return f"appropriations/{draft.appropriation_id}"


def _decide(year: Year, name: str, line_count: int, total: Any, step: str) -> None:
    """The open version submitted by the unit, reviewed by the budget team, approved by the budget authority."""
    year.government.do(
        _PREPARATION,
        "SubmitBudgetRequest",
        preparation_pb2.SubmitBudgetRequestRequest(name=name, control_line_count=line_count, control_total=total),
        by="budget_user",
        step=f"{step}/submit",
    )
    year.government.do(
        _PREPARATION,
        "ReviewBudgetRequest",
        preparation_pb2.ReviewBudgetRequestRequest(name=name),
        by="budget_officer",
        step=f"{step}/review",
    )
    year.government.do(
        _PREPARATION,
        "ApproveBudgetRequest",
        preparation_pb2.ApproveBudgetRequestRequest(name=name),
        by="budget_authority",
        step=f"{step}/approve",
    )


def _line(line: PublishedLine) -> preparation_pb2.BudgetRequestLine:
    """A published line as a unit asks for it; it expects to need as much in the year after."""
    return preparation_pb2.BudgetRequestLine(
        fund_code=FUND,
        organisation_code=line.unit_code,
        account_code=line.account_code,
        function_code=line.function_code,
        line_no=line.line_no,
        display_name=line.account_name,
        amount=rupiah(line.amount),
        medium_term_amounts=[rupiah(line.amount)],
    )
