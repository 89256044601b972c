"""The second government's rules about combinations, the chart of a far year, and its reports by class."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import account_pb2, carry_over_pb2, combination_rule_pb2, reporting_class_pb2
from tests.system.rehearsal import JANUARY_FIRST, YEAR, Company

# Codes of its own and a day far off, so that no rule binds anybody else's line and no code of the chart ends.
_CODE, _NEXT_CODE = "UJI-GABUNGAN", "UJI-GABUNGAN-BARU"
_FAR_DAY = to_date(date(YEAR + 9, 1, 1))
_SCHEME = "UJI"
ACCOUNTANT, AUTHORITY = "accountant", "budget_authority"
_PROGRAM = combination_rule_pb2.CLASSIFICATION_SEGMENT_PROGRAM


def classify(company: Company) -> None:
    """Call every RPC of CombinationRuleService, CarryOverService and ReportingClassService."""
    values = [dimension_value("PROGRAM", code, code, date(YEAR, 1, 1)) for code in (_CODE, _NEXT_CODE)]
    company.act(account_pb2.BatchCreateDimensionValuesRequest(dimension_values=values), by=ACCOUNTANT)
    _rule(company)
    _carry_over(company)
    _report(company)


def _rule(company: Company) -> None:
    rule = combination_rule_pb2.CombinationRule(
        code="UJI-1",
        conditions=[combination_rule_pb2.CombinationCondition(segment=_PROGRAM, code=_CODE)],
        segment=combination_rule_pb2.CLASSIFICATION_SEGMENT_LOCATION,
        effect=combination_rule_pb2.COMBINATION_EFFECT_MUST_BE_GIVEN,
        legal_source="Perda Uji",
        valid_from=JANUARY_FIRST,
    )
    made: Any = company.act(
        combination_rule_pb2.BatchCreateCombinationRulesRequest(combination_rules=[rule]), by=ACCOUNTANT
    ).combination_rules[0]
    company.act(combination_rule_pb2.EndCombinationRuleRequest(name=made.name, valid_to=_FAR_DAY), by=ACCOUNTANT)
    company.read(combination_rule_pb2.GetCombinationRuleRequest(name=made.name), by=ACCOUNTANT)
    company.read(combination_rule_pb2.ListCombinationRulesRequest(page_size=3), by=ACCOUNTANT)


def _carry_over(company: Company) -> None:
    agency_id = company.agencies["unit"]
    succession = carry_over_pb2.CodeSuccession(
        segment=_PROGRAM,
        old_code=_CODE,
        new_code=_NEXT_CODE,
        effective_on=_FAR_DAY,
        is_default=True,
        legal_source="Perda Uji",
    )
    company.act(carry_over_pb2.BatchCreateCodeSuccessionsRequest(code_successions=[succession]), by=ACCOUNTANT)
    company.read(carry_over_pb2.ListCodeSuccessionsRequest(page_size=3), by=ACCOUNTANT)
    # No code has ended before this year: nothing goes over.
    year = {"agency_id": agency_id, "year": YEAR}
    company.read(carry_over_pb2.ListUncarriedCodesRequest(**year), by=ACCOUNTANT)
    company.act(carry_over_pb2.CarryOverBalancesRequest(**year), by=AUTHORITY)
    company.read(carry_over_pb2.ListBalanceCarryOversRequest(agency_id=agency_id, page_size=3), by=ACCOUNTANT)


def _report(company: Company) -> None:
    agency_id = company.agencies["unit"]
    made = reporting_class_pb2.ReportingClass(scheme=_SCHEME, code="1", display_name="Kelas uji")
    company.act(reporting_class_pb2.BatchCreateReportingClassesRequest(reporting_classes=[made]), by=ACCOUNTANT)
    mapping = reporting_class_pb2.ClassMapping(
        scheme=_SCHEME,
        segment=_PROGRAM,
        segment_code=_CODE,
        class_code="1",
        legal_source="Perda Uji",
        valid_from=JANUARY_FIRST,
    )
    company.act(reporting_class_pb2.BatchCreateClassMappingsRequest(class_mappings=[mapping]), by=ACCOUNTANT)
    company.read(reporting_class_pb2.ListReportingClassesRequest(scheme=_SCHEME, page_size=3), by=ACCOUNTANT)
    company.read(reporting_class_pb2.ListClassMappingsRequest(scheme=_SCHEME, page_size=3), by=ACCOUNTANT)
    company.read(
        reporting_class_pb2.GetExecutionByClassRequest(agency_id=agency_id, fiscal_year=YEAR, scheme=_SCHEME),
        by="auditor",
    )
    company.read(
        reporting_class_pb2.GetTurnoverByClassRequest(
            agency_id=agency_id, basis=account_pb2.BASIS_ACCRUAL, scheme=_SCHEME
        ),
        by="auditor",
    )
