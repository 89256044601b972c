"""Act two: the chart of accounts, the calendar, and the real budget: imported, activated, released by quarter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from google.type import decimal_pb2

from chassis.money import Money, exponent
from chassis.wire import to_date, to_money
from cli.demo import cast
from cli.demo.acting import Government, each
from cli.demo.foundation import Foundation
from cli.load import published_budget
from cli.load.chart import BATCH_MAX, dimension_value, regional
from cli.load.published_budget import PublishedLine
from cli.load.virement import virement_rules
from kelola.finance.v1 import (
    account_pb2,
    account_pb2_grpc,
    budget_change_pb2,
    budget_change_pb2_grpc,
    budget_pb2,
    budget_pb2_grpc,
    fiscal_calendar_pb2,
    fiscal_calendar_pb2_grpc,
)

_CURRENCY = "IDR"
FUND = "APBA"
_IN_FORCE_ON = date(cast.FISCAL_YEAR, 1, 2)
_MONTHS = 12

Row = TypeVar("Row")


@dataclass(frozen=True)
class Budget:
    """What later acts refer to. Amounts are whole units of the currency."""

    lines: int
    total: int
    accounts_added: int


def bring_into_force(government: Government, foundation: Foundation) -> Budget:
    """Load chart and calendar, import every unit's lines, check the control totals, activate, release a quarter."""
    lines = published_budget.read(cast.BUDGET_FILE)
    published_budget.check_totals(lines, cast.TOTALS_FILE)
    added = load_chart(government, lines)
    for label, agency_id in foundation.agencies.items():
        if label != cast.GOVERNMENT:
            open_year(government, label, agency_id, cast.FISCAL_YEAR)
    units = published_budget.by_unit(lines)
    each(
        list(units),
        lambda unit: _unit_budget(government, foundation.agencies[unit], unit, units[unit]),
        workers=3,
    )
    return Budget(len(lines), sum(line.amount for line in lines), added)


def load_chart(government: Government, lines: list[PublishedLine]) -> int:
    """Load the pack's chart with what these lines need beyond it; how many accounts were added."""
    pack = regional(funds=[(FUND, "Anggaran Pendapatan dan Belanja Aceh")])
    names = {account.code: account for account in pack.accounts}
    missing = published_budget.missing_accounts(lines, names)
    extra = [pack.account(code, name, code.rpartition(".")[0]) for code, name in missing.items()]
    accounts = account_pb2_grpc.AccountServiceStub
    for number, part in enumerate(_parts([*pack.accounts, *extra], BATCH_MAX)):
        government.do(
            accounts,
            "BatchCreateAccounts",
            account_pb2.BatchCreateAccountsRequest(accounts=part),
            by="accountant",
            step=f"chart/{number}",
        )
    government.do(
        accounts,
        "BatchCreateAccountMappings",
        account_pb2.BatchCreateAccountMappingsRequest(account_mappings=pack.mappings),
        by="accountant",
        step="account-mappings",
    )
    government.do(
        budget_change_pb2_grpc.BudgetChangeServiceStub,
        "BatchCreateVirementRules",
        budget_change_pb2.BatchCreateVirementRulesRequest(virement_rules=virement_rules()),
        by="accountant",
        step="virement-rules",
    )
    known = {(value.kind, value.code) for value in pack.dimension_values}
    units = {("ORGANISATION", line.unit_code, line.unit_name) for line in lines}
    functions = {("FUNCTION", line.function_code, line.function_name) for line in lines}
    published = [
        value
        for kind, code, name in sorted(units | functions)
        if (value := dimension_value(kind, code, name, pack.valid_from)) and (value.kind, code) not in known
    ]
    for number, batch in enumerate(_parts([*pack.dimension_values, *published], BATCH_MAX)):
        government.do(
            accounts,
            "BatchCreateDimensionValues",
            account_pb2.BatchCreateDimensionValuesRequest(dimension_values=batch),
            by="accountant",
            step=f"dimensions/{number}",
        )
    return len(extra)


def open_year(government: Government, label: str, agency_id: str, year: int) -> None:
    """Create a fiscal year of an agency and open its twelve months."""
    calendar = fiscal_calendar_pb2_grpc.FiscalCalendarServiceStub
    government.do(
        calendar,
        "CreateFiscalYear",
        fiscal_calendar_pb2.CreateFiscalYearRequest(
            fiscal_year=fiscal_calendar_pb2.FiscalYear(agency_id=agency_id, year=year, functional_currency=_CURRENCY)
        ),
        by="accountant",
        step=f"fiscal-year/{year}/{label}",
    )
    government.do(
        calendar,
        "OpenFiscalPeriods",
        fiscal_calendar_pb2.OpenFiscalPeriodsRequest(
            agency_id=agency_id, year=year, first_number=1, last_number=_MONTHS
        ),
        by="accountant",
        step=f"open-periods/{year}/{label}",
    )


def _unit_budget(government: Government, agency_id: str, unit: str, lines: list[PublishedLine]) -> None:
    budget = budget_pb2_grpc.BudgetServiceStub
    appropriation: Any = None
    for number, part in enumerate(_parts(lines, BATCH_MAX)):
        appropriation = government.do(
            budget,
            "ImportAppropriation",
            budget_pb2.ImportAppropriationRequest(
                agency_id=agency_id,
                fiscal_year=cast.FISCAL_YEAR,
                appropriation_id=appropriation.appropriation_id if appropriation is not None else "",
                document_number=f"DPA-{unit}-{cast.FISCAL_YEAR}",
                lines=[appropriation_line(line) for line in part],
                control_total=_money(sum(line.amount for line in part)),
            ),
            by="budget_officer",
            step=f"appropriation/{unit}/{number}",
        ).appropriation
    government.do(
        budget,
        "ActivateAppropriation",
        budget_pb2.ActivateAppropriationRequest(
            name=appropriation.name,
            control_line_count=len(lines),
            control_total=_money(sum(line.amount for line in lines)),
            effective_on=to_date(_IN_FORCE_ON),
        ),
        by="budget_authority",
        step=f"activate/{unit}",
    )
    government.do(
        budget,
        "AllotFunds",
        budget_pb2.AllotFundsRequest(
            agency_id=agency_id,
            fiscal_year=cast.FISCAL_YEAR,
            document_number=f"SPD-{unit}-{cast.FISCAL_YEAR}-1",
            month_from=1,
            month_to=3,
            organisation_code=unit,
            cumulative_share=decimal_pb2.Decimal(value="0.25"),
            effective_on=to_date(_IN_FORCE_ON),
        ),
        by="budget_authority",
        step=f"allot/{unit}/1",
    )


def appropriation_line(line: PublishedLine) -> budget_pb2.AppropriationLine:
    """A published line as an import takes it."""
    return budget_pb2.AppropriationLine(
        fund_code=FUND,
        organisation_code=line.unit_code,
        account_code=line.account_code,
        function_code=line.function_code,
        line_no=line.line_no,
        display_name=line.account_name,
        original=_money(line.amount),
    )


def _money(amount: int) -> Any:
    return to_money(Money(amount * 10 ** exponent(_CURRENCY), _CURRENCY))


def _parts(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
