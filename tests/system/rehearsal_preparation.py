"""The second government prepares the budget of a far year, and changes how a line of this one is controlled."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from kelola.finance.v1 import budget_control_pb2, budget_pb2
from kelola.finance.v1 import budget_preparation_pb2 as pb
from tests.system.rehearsal import YEAR, Company, rupiah
from tests.system.rehearsal_finance import GOODS_ACCOUNT, UNIT, Budget

# A year of its own, so that its draft bothers nobody.
_YEAR = YEAR + 7
TEAM, AUTHORITY, ASKS = "budget_officer", "budget_authority", "budget_user"


def prepare_a_budget(company: Company) -> None:
    """Every RPC of BudgetPreparationService, with its makers and checkers."""
    _ceilings(company)
    request = _ask(company)
    _decide(company, request)
    _become_a_budget(company, request)


def _ceilings(company: Company) -> None:
    def proposed(number: str) -> pb.BudgetCeiling:
        document = pb.BudgetCeiling(
            agency_id=company.agencies["unit"],
            fiscal_year=_YEAR,
            document_number=number,
            legal_reference="KUA-PPAS Uji",
            effective_on=to_date(date(2025, 1, 1)),
            heads=[
                pb.BudgetCeilingHead(
                    organisation_code=UNIT, amount=rupiah(50_000_000), medium_term_amounts=[rupiah(60_000_000)]
                )
            ],
        )
        return company.act(pb.CreateBudgetCeilingRequest(budget_ceiling=document), by=TEAM)

    first = proposed("PPAS-UJI-1")
    approval = pb.ApproveBudgetCeilingRequest(name=first.name)
    company.refused_to_its_maker(approval, maker=TEAM, checker=AUTHORITY)
    company.act(approval, by=AUTHORITY)
    rejection = pb.RejectBudgetCeilingRequest(name=proposed("PPAS-UJI-2").name, reason="uji")
    company.refused_to_its_maker(rejection, maker=TEAM, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    company.act(pb.RecallBudgetCeilingRequest(name=proposed("PPAS-UJI-3").name, reason="uji"), by=TEAM)
    company.read(pb.GetBudgetCeilingRequest(name=first.name), by="auditor")
    company.read(pb.ListBudgetCeilingsRequest(agency_id=company.agencies["unit"], page_size=3), by="auditor")


def _ask(company: Company) -> pb.BudgetRequest:
    document = pb.BudgetRequest(
        agency_id=company.agencies["unit"],
        fiscal_year=_YEAR,
        organisation_code=UNIT,
        document_number="RKA-UJI",
        currency_code="IDR",
    )
    request: pb.BudgetRequest = company.act(pb.CreateBudgetRequestRequest(budget_request=document), by=ASKS)
    return _written(company, request, 20_000_000)


def _written(company: Company, request: pb.BudgetRequest, amount: int) -> pb.BudgetRequest:
    line = pb.BudgetRequestLine(
        fund_code=FUND,
        organisation_code=UNIT,
        account_code=GOODS_ACCOUNT,
        line_no=1,
        display_name="Alat tulis",
        amount=rupiah(amount),
        medium_term_amounts=[rupiah(amount)],
    )
    answer = company.act(pb.SetBudgetRequestLinesRequest(name=request.name, lines=[line]), by=ASKS)
    written: pb.BudgetRequest = answer.budget_request
    return written


def _submit(company: Company, request: pb.BudgetRequest) -> None:
    latest = request.latest_version
    company.act(
        pb.SubmitBudgetRequestRequest(
            name=request.name, control_line_count=latest.line_count, control_total=latest.total
        ),
        by=ASKS,
    )


def _next(company: Company, request: pb.BudgetRequest, amount: int) -> pb.BudgetRequest:
    opening = pb.OpenBudgetRequestVersionRequest(name=request.name, stage=pb.BUDGET_REQUEST_STAGE_FINAL)
    return _written(company, company.act(opening, by=ASKS).budget_request, amount)


def _decide(company: Company, request: pb.BudgetRequest) -> None:
    def act_of_another(message: Any, by: str) -> None:
        company.refused_to_its_maker(message, maker=ASKS, checker=by)
        company.act(message, by=by)

    _submit(company, request)
    company.act(pb.RecallBudgetRequestRequest(name=request.name, reason="uji"), by=ASKS)
    _submit(company, _next(company, request, 18_000_000))
    act_of_another(pb.ReturnBudgetRequestRequest(name=request.name, reason="uji"), TEAM)
    _submit(company, _next(company, request, 15_000_000))
    act_of_another(pb.ReviewBudgetRequestRequest(name=request.name, remark="uji"), TEAM)
    act_of_another(pb.ApproveBudgetRequestRequest(name=request.name), AUTHORITY)
    company.read(pb.GetBudgetRequestRequest(name=request.name), by="auditor")
    company.read(pb.ListBudgetRequestsRequest(agency_id=company.agencies["unit"], page_size=3), by="auditor")
    company.read(pb.ListBudgetRequestVersionsRequest(budget_request=request.name), by="auditor")
    company.read(pb.ListBudgetRequestLinesRequest(budget_request=request.name), by="auditor")
    company.read(
        pb.ListBudgetRequestDifferencesRequest(budget_request=request.name, from_version_number=1), by="auditor"
    )
    company.read(
        pb.ListBudgetCeilingFiguresRequest(
            agency_id=company.agencies["unit"], fiscal_year=_YEAR, currency_code="IDR", page_size=3
        ),
        by="auditor",
    )


def _become_a_budget(company: Company, request: pb.BudgetRequest) -> None:
    company.act(
        pb.AppropriateBudgetRequestRequest(
            name=request.name,
            document_number="DPA-RKA-UJI",
            control_line_count=1,
            control_total=rupiah(15_000_000),
        ),
        by=TEAM,
    )


def control_the_lines(company: Company, budget: Budget) -> None:
    """Every RPC of BudgetControlService; in the end the line is controlled as before."""

    def proposed(number: str, mode: budget_pb2.BudgetControlMode.ValueType) -> budget_control_pb2.BudgetControlChange:
        change = budget_control_pb2.BudgetControlChange(
            agency_id=company.agencies["unit"],
            fiscal_year=YEAR,
            document_number=number,
            legal_reference="Perkada Uji",
            explanation="uji",
            items=[budget_control_pb2.BudgetControlChangeItem(budget_line_id=budget.goods, control_mode=mode)],
        )
        return company.act(budget_control_pb2.CreateBudgetControlChangeRequest(budget_control_change=change), by=TEAM)

    warning = proposed("KENDALI-UJI-1", budget_pb2.BUDGET_CONTROL_MODE_WARNING)
    approval = budget_control_pb2.ApproveBudgetControlChangeRequest(name=warning.name)
    company.refused_to_its_maker(approval, maker=TEAM, checker=AUTHORITY)
    company.act(approval, by=AUTHORITY)
    stop = proposed("KENDALI-UJI-2", budget_pb2.BUDGET_CONTROL_MODE_HARD_STOP)
    company.act(budget_control_pb2.ApproveBudgetControlChangeRequest(name=stop.name), by=AUTHORITY)
    refused = proposed("KENDALI-UJI-3", budget_pb2.BUDGET_CONTROL_MODE_WARNING)
    rejection = budget_control_pb2.RejectBudgetControlChangeRequest(name=refused.name, reason="uji")
    company.refused_to_its_maker(rejection, maker=TEAM, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    taken_back = proposed("KENDALI-UJI-4", budget_pb2.BUDGET_CONTROL_MODE_WARNING)
    company.act(budget_control_pb2.RecallBudgetControlChangeRequest(name=taken_back.name, reason="uji"), by=TEAM)
    company.read(budget_control_pb2.GetBudgetControlChangeRequest(name=stop.name), by="auditor")
    company.read(
        budget_control_pb2.ListBudgetControlChangesRequest(
            agency_id=company.agencies["unit"], budget_line_id=budget.goods, page_size=3
        ),
        by="auditor",
    )
