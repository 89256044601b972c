"""The second government changes its budget: supplementary, virement, freeze, override, and asks what would happen."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from kelola.finance.v1 import (
    budget_change_pb2,
    budget_override_pb2,
    budget_pb2,
    budget_year_end_pb2,
    budget_years_pb2,
)
from tests.system.rehearsal import TODAY, YEAR, Company, decimal, rupiah
from tests.system.rehearsal_finance import GOODS_ACCOUNT, UNIT, Budget

TRAVEL_ACCOUNT = "5.1.02.04.01"
# A year of its own with one line of nothing, so that its end bothers nobody.
_ENDED_YEAR = YEAR + 5
OFFICER, AUTHORITY = "budget_officer", "budget_authority"


def change_the_budget(company: Company, budget: Budget) -> None:
    """Each kind of change once, with its checker; an override opened and ended; what-if and period limits."""
    _rules(company)
    travel = _supplement(company, budget)
    _move(company, budget, travel)
    _freeze(company, budget)
    _override(company, budget)
    _ask(company, budget)
    _bind_years(company, budget)
    _end_a_year(company)


def _rules(company: Company) -> None:
    rule = budget_change_pb2.VirementRule(
        code="UJI-GOODS-TO-TRAVEL",
        from_prefix=GOODS_ACCOUNT,
        to_prefix=TRAVEL_ACCOUNT,
        equal_segments=[budget_change_pb2.EqualSegment(segment=budget_change_pb2.BUDGET_SEGMENT_ORGANISATION)],
        may_differ=[budget_change_pb2.BUDGET_SEGMENT_ACCOUNT, budget_change_pb2.BUDGET_SEGMENT_FUNCTION],
        share_max=decimal("0.5"),
        approver_role="finance.budget_authority",
        legal_source="none: a test's own rule",
        valid_from=to_date(date(YEAR, 1, 1)),
        valid_to=to_date(date(YEAR + 1, 1, 1)),
    )
    company.act(budget_change_pb2.BatchCreateVirementRulesRequest(virement_rules=[rule]), by="accountant")
    company.read(budget_change_pb2.ListVirementRulesRequest(page_size=3), by="auditor")


def _change(company: Company, kind: int, number: str, **what: Any) -> budget_change_pb2.BudgetChange:
    change = budget_change_pb2.BudgetChange(
        agency_id=company.agencies["unit"],
        fiscal_year=YEAR,
        kind=kind,
        document_number=number,
        legal_reference="Qanun Uji 1",
        explanation="uji",
        effective_on=TODAY,
        **what,
    )
    return company.act(budget_change_pb2.CreateBudgetChangeRequest(budget_change=change), by=OFFICER)


def _approved(company: Company, change: budget_change_pb2.BudgetChange) -> budget_change_pb2.BudgetChange:
    approval = budget_change_pb2.ApproveBudgetChangeRequest(name=change.name)
    company.refused_to_its_maker(approval, maker=OFFICER, checker=AUTHORITY)
    return company.act(approval, by=AUTHORITY).budget_change


def _supplement(company: Company, budget: Budget) -> str:
    new = budget_change_pb2.NewBudgetLine(
        fund_code=FUND, organisation_code=UNIT, account_code=TRAVEL_ACCOUNT, line_no=1, display_name="Perjalanan Uji"
    )
    lines = [
        budget_change_pb2.BudgetChangeLine(new_line=new, amount=rupiah(2_000_000)),
        budget_change_pb2.BudgetChangeLine(budget_line_id=budget.goods, amount=rupiah(5_000_000)),
    ]
    change = _change(company, budget_change_pb2.BUDGET_CHANGE_KIND_SUPPLEMENTARY, "PERUBAHAN-UJI", lines=lines)
    in_force = _approved(company, change)
    company.read(budget_change_pb2.GetBudgetChangeRequest(name=change.name), by="auditor")
    company.read(
        budget_change_pb2.ListBudgetChangesRequest(agency_id=company.agencies["unit"], page_size=3), by="auditor"
    )
    return in_force.lines[0].budget_line_id


def _move(company: Company, budget: Budget, travel: str) -> None:
    transfer = budget_change_pb2.VirementTransfer(
        from_budget_line_id=budget.goods, to_budget_line_id=travel, amount=rupiah(1_000_000)
    )
    virement = budget_change_pb2.BUDGET_CHANGE_KIND_VIREMENT
    _approved(company, _change(company, virement, "PERGESERAN-UJI", transfers=[transfer]))
    refused = _change(company, virement, "PERGESERAN-UJI-2", transfers=[transfer])
    rejection = budget_change_pb2.RejectBudgetChangeRequest(name=refused.name, reason="uji")
    company.refused_to_its_maker(rejection, maker=OFFICER, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    recalled = _change(company, virement, "PERGESERAN-UJI-3", transfers=[transfer])
    company.act(budget_change_pb2.RecallBudgetChangeRequest(name=recalled.name, reason="uji"), by=OFFICER)


def _freeze(company: Company, budget: Budget) -> None:
    lines = [budget_change_pb2.BudgetChangeLine(budget_line_id=budget.goods, amount=rupiah(3_000_000))]
    _approved(company, _change(company, budget_change_pb2.BUDGET_CHANGE_KIND_FREEZE, "BLOKIR-UJI", lines=lines))
    _approved(company, _change(company, budget_change_pb2.BUDGET_CHANGE_KIND_UNFREEZE, "BUKA-UJI", lines=lines))


def _override(company: Company, budget: Budget) -> None:
    def proposed(number: str) -> budget_override_pb2.BudgetOverride:
        override = budget_override_pb2.BudgetOverride(
            agency_id=company.agencies["unit"],
            fiscal_year=YEAR,
            document_number=number,
            authority_document="SK Uji 1",
            reason="uji",
            coverage="perubahan anggaran berikutnya",
            effective_on=TODAY,
            expires_on=to_date(date(YEAR, 3, 31)),
            items=[budget_override_pb2.BudgetOverrideItem(budget_line_id=budget.goods, amount=rupiah(1_000_000))],
        )
        return company.act(budget_override_pb2.CreateBudgetOverrideRequest(budget_override=override), by=OFFICER)

    first = proposed("LAMPAU-UJI")
    approval = budget_override_pb2.ApproveBudgetOverrideRequest(name=first.name)
    company.refused_to_its_maker(approval, maker=OFFICER, checker=AUTHORITY)
    company.act(approval, by=AUTHORITY)
    company.read(budget_override_pb2.GetBudgetOverrideRequest(name=first.name), by="auditor")
    company.read(
        budget_override_pb2.ListBudgetOverridesRequest(
            agency_id=company.agencies["unit"], status=budget_override_pb2.BUDGET_OVERRIDE_STATUS_OPEN
        ),
        by="auditor",
    )
    company.act(budget_override_pb2.CloseBudgetOverrideRequest(name=first.name), by=AUTHORITY)
    rejection = budget_override_pb2.RejectBudgetOverrideRequest(name=proposed("LAMPAU-UJI-2").name, reason="uji")
    company.refused_to_its_maker(rejection, maker=OFFICER, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    recall = budget_override_pb2.RecallBudgetOverrideRequest(name=proposed("LAMPAU-UJI-3").name)
    company.act(recall, by=OFFICER)
    company.read(
        budget_override_pb2.ListFundsOverLimitsRequest(agency_id=company.agencies["unit"], page_size=3), by="auditor"
    )


def _ask(company: Company, budget: Budget) -> None:
    item = budget_pb2.FundsItem(document_line_id=str(uuid4()), budget_line_id=budget.goods, amount=rupiah(1_000_000))
    company.read(
        budget_pb2.CheckFundsRequest(
            agency_id=company.agencies["unit"],
            document=budget_pb2.FundsDocument(
                kind=budget_pb2.FUNDS_DOCUMENT_KIND_REQUISITION, document_id=str(uuid4()), document_number="PR-TANYA"
            ),
            items=[item],
            effective_on=TODAY,
            step=budget_pb2.PERIOD_LIMIT_STEP_RESERVE,
        ),
        by="auditor",
    )
    # A limit of a year far away, so that it bothers nobody.
    limit = budget_pb2.PeriodLimit(
        agency_id=company.agencies["unit"],
        step=budget_pb2.PERIOD_LIMIT_STEP_OBLIGATE,
        legal_source="none: a test's own limit",
        valid_from=to_date(date(2099, 1, 1)),
    )
    company.act(budget_pb2.BatchCreatePeriodLimitsRequest(period_limits=[limit]), by=AUTHORITY)
    company.read(budget_pb2.ListPeriodLimitsRequest(agency_id=company.agencies["unit"]), by="auditor")


def _bind_years(company: Company, budget: Budget) -> None:
    def proposed(number: str) -> budget_years_pb2.MultiYearAuthorisation:
        slices = [
            budget_years_pb2.MultiYearSlice(fiscal_year=YEAR, amount=rupiah(1_000_000), budget_line_id=budget.goods),
            budget_years_pb2.MultiYearSlice(fiscal_year=YEAR + 1, amount=rupiah(2_000_000)),
        ]
        contract = budget_years_pb2.MultiYearAuthorisation(
            agency_id=company.agencies["unit"],
            document_number=number,
            legal_reference="Qanun Uji 2",
            explanation="uji",
            contract_id=str(uuid4()),
            contract_number=f"KTR-{number}",
            ceiling=rupiah(3_000_000),
            price=rupiah(3_000_000),
            effective_on=TODAY,
            slices=slices,
        )
        request = budget_years_pb2.CreateMultiYearAuthorisationRequest(multi_year_authorisation=contract)
        return company.act(request, by=OFFICER)

    first = proposed("MYC-UJI")
    approval = budget_years_pb2.ApproveMultiYearAuthorisationRequest(name=first.name)
    company.refused_to_its_maker(approval, maker=OFFICER, checker=AUTHORITY)
    company.act(approval, by=AUTHORITY)
    company.read(budget_years_pb2.GetMultiYearAuthorisationRequest(name=first.name), by="auditor")
    company.read(
        budget_years_pb2.ListMultiYearAuthorisationsRequest(
            agency_id=company.agencies["unit"], waiting_year=YEAR + 1, page_size=3
        ),
        by="auditor",
    )
    rejection = budget_years_pb2.RejectMultiYearAuthorisationRequest(name=proposed("MYC-UJI-2").name, reason="uji")
    company.refused_to_its_maker(rejection, maker=OFFICER, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    company.act(
        budget_years_pb2.RecallMultiYearAuthorisationRequest(name=proposed("MYC-UJI-3").name, reason="uji"), by=OFFICER
    )
    # Next year has no budget yet: its slice keeps the reason and goes on waiting.
    company.act(
        budget_years_pb2.OpenMultiYearSlicesRequest(
            agency_id=company.agencies["unit"], fiscal_year=YEAR + 1, effective_on=to_date(date(YEAR + 1, 1, 2))
        ),
        by=AUTHORITY,
    )


def _end_a_year(company: Company) -> None:
    agency_id = company.agencies["unit"]
    line = budget_pb2.AppropriationLine(
        fund_code=FUND, organisation_code=UNIT, account_code=TRAVEL_ACCOUNT, line_no=1, original=rupiah(0)
    )

    def drafted(number: str) -> budget_pb2.Appropriation:
        request = budget_pb2.ImportAppropriationRequest(
            agency_id=agency_id,
            fiscal_year=_ENDED_YEAR,
            document_number=number,
            lines=[line],
            control_total=rupiah(0),
        )
        return company.act(request, by=OFFICER).appropriation

    wrong = drafted("DPA-AKHIR-SALAH")
    company.act(budget_pb2.WithdrawAppropriationRequest(name=wrong.name, reason="uji"), by=OFFICER)
    draft = drafted("DPA-AKHIR-UJI")
    company.act(
        budget_pb2.ActivateAppropriationRequest(
            name=draft.name,
            control_line_count=1,
            control_total=rupiah(0),
            effective_on=to_date(date(_ENDED_YEAR, 1, 2)),
        ),
        by=AUTHORITY,
    )

    def proposed(number: str) -> budget_year_end_pb2.BudgetYearEnd:
        year_end = budget_year_end_pb2.BudgetYearEnd(
            agency_id=agency_id,
            fiscal_year=_ENDED_YEAR,
            document_number=number,
            explanation="uji",
            default_decision=budget_year_end_pb2.YEAR_END_DECISION_CARRY,
            opened_on=to_date(date(_ENDED_YEAR + 1, 1, 2)),
        )
        return company.act(budget_year_end_pb2.CreateBudgetYearEndRequest(budget_year_end=year_end), by=OFFICER)

    rejection = budget_year_end_pb2.RejectBudgetYearEndRequest(name=proposed("AKHIR-UJI-1").name, reason="uji")
    company.refused_to_its_maker(rejection, maker=OFFICER, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    company.act(budget_year_end_pb2.RecallBudgetYearEndRequest(name=proposed("AKHIR-UJI-2").name), by=OFFICER)
    last = proposed("AKHIR-UJI-3")
    approval = budget_year_end_pb2.ApproveBudgetYearEndRequest(name=last.name)
    company.refused_to_its_maker(approval, maker=OFFICER, checker=AUTHORITY)
    company.act(approval, by=AUTHORITY)
    company.read(budget_year_end_pb2.GetBudgetYearEndRequest(name=last.name), by="auditor")
    company.read(budget_year_end_pb2.ListBudgetYearEndsRequest(agency_id=agency_id, page_size=3), by="auditor")
    company.read(
        budget_year_end_pb2.ListBudgetYearEndLinesRequest(budget_year_end=last.name, page_size=3), by="auditor"
    )
