"""The end: what the books say, read through the APIs as the auditor; and what was promised, checked against them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from chassis.local.place import home
from chassis.money import Money
from chassis.wire import from_money
from cli import trace as traces
from cli.demo import cast
from cli.demo.acting import DemoStopped, Government
from cli.demo.budgeting import Budget
from cli.demo.employment import Employment
from cli.demo.foundation import Foundation
from cli.demo.purchasing import Course, Outcome
from cli.events import topics
from cli.verify import reports
from kelola.finance.v1 import (
    account_pb2,
    budget_pb2,
    budget_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    payables_pb2,
    payables_pb2_grpc,
)
from kelola.hr.v1 import payroll_pb2, payroll_pb2_grpc
from kelola.logistics.v1 import stock_pb2, stock_pb2_grpc

_CURRENCY = "IDR"
# The class of the chart's expenditure accounts (Belanja).
_EXPENDITURE = "5"
_FIGURES = (
    "original", "revised", "released", "reserved", "obligated", "advanced", "expended", "ordered", "paid", "available",
)  # fmt: skip
_JOURNEY_SERVICES = {"demo", "finance", "logistics"}
_TRACE_SECONDS = 20.0


def read_the_books(
    government: Government, foundation: Foundation, budget: Budget, employed: Employment, outcomes: list[Outcome]
) -> dict[str, Any]:
    """The figures of the month. DemoStopped when two that must agree do not."""
    execution, totals = _execution(government)
    trial = {name: _trial_balance(government, basis) for name, basis in account_pb2.Basis.items() if basis}
    realised = _realised(totals, government)
    return {
        "government": "Pemerintah Aceh",
        "fiscal_year": cast.FISCAL_YEAR,
        "currency": _CURRENCY,
        "budget": {"lines": budget.lines, "total": budget.total, "accounts_added": budget.accounts_added},
        "execution": execution,
        "execution_total": _figures(totals),
        "budget_realisation": realised,
        "trial_balance": trial,
        "stock": [_stock(government, foundation, unit.label) for unit in cast.units()],
        "payroll": [_payroll(government, label, run) for label, run in employed.payroll_runs.items()],
        "payslip": _one_payslip(government, foundation, employed),
        "requisitions": dict(Counter(outcome.plan.course.value for outcome in outcomes)),
        "refusals": [_refusal(outcome) for outcome in outcomes if outcome.plan.course is not Course.PAID],
        "trace_of_one_requisition": next(o.trace_id for o in outcomes if o.plan.course is Course.PAID),
    }


def _execution(government: Government) -> tuple[list[dict[str, Any]], Any]:
    """Budget execution by unit, and the figures of all units together; F2 is checked on every line."""
    rows = []
    stub = budget_pb2_grpc.BudgetServiceStub
    for line in _report(government, budget_pb2.EXECUTION_REPORT_LEVEL_LINE):
        _f2(line)
    for row in _report(government, budget_pb2.EXECUTION_REPORT_LEVEL_UNIT):
        rows.append({"unit": row.organisation_code, "lines": row.line_count, **_figures(row.figures)})
    totals = government.read(
        stub,
        "GetExecutionReport",
        budget_pb2.GetExecutionReportRequest(
            fiscal_year=cast.FISCAL_YEAR, level=budget_pb2.EXECUTION_REPORT_LEVEL_UNIT
        ),
        by="auditor",
    ).totals
    return rows, totals


def _realised(totals: Any, government: Government) -> str:
    """What the books of the BUDGET basis call expenditure; DemoStopped unless it is paid + advanced (F6)."""
    rows, _ = _balances(government, account_pb2.BASIS_BUDGET)
    spent = sum(from_money(row.balance).minor for row in rows if row.account_code.split(".")[0] == _EXPENDITURE)
    settled = from_money(totals.paid).minor + from_money(totals.advanced).minor
    if spent != settled:
        raise DemoStopped(f"budget realisation is {spent} in the books, paid and advanced are {settled}")
    return str(Money(spent, _CURRENCY))


def _report(government: Government, level: budget_pb2.ExecutionReportLevel.ValueType) -> Iterable[Any]:
    request = budget_pb2.GetExecutionReportRequest(fiscal_year=cast.FISCAL_YEAR, level=level, page_size=500)
    return government.pages(budget_pb2_grpc.BudgetServiceStub, "GetExecutionReport", request, by="auditor", rows="rows")


def _f2(row: Any) -> None:
    """Identity F2 of a line, by the figures that the API shows."""
    figures = {name: from_money(getattr(row.figures, name)).minor for name in (*_FIGURES, "frozen", "override")}
    used = sum(figures[name] for name in ("reserved", "obligated", "advanced", "expended", "ordered", "paid"))
    if figures["revised"] - figures["frozen"] + figures["override"] != figures["available"] + used:
        raise DemoStopped(f"F2 does not hold on line {row.budget_line_id}: {figures}")
    if figures["available"] < 0:
        raise DemoStopped(f"line {row.budget_line_id} is overspent: {figures}")


def _figures(figures: Any) -> dict[str, str]:
    return {name: _shown(getattr(figures, name)) for name in _FIGURES}


def _balances(government: Government, basis: account_pb2.Basis.ValueType) -> tuple[list[Any], Any]:
    """Every account of the trial balance, and its totals."""
    rows: list[Any] = []
    request = ledger_pb2.GetTrialBalanceRequest(basis=basis, currency=_CURRENCY, page_size=500)
    reply: Any = None
    while reply is None or reply.next_page_token:
        request.page_token = reply.next_page_token if reply is not None else ""
        reply = government.read(ledger_pb2_grpc.LedgerServiceStub, "GetTrialBalance", request, by="auditor")
        rows += reply.rows
    return rows, reply.totals


def _trial_balance(government: Government, basis: account_pb2.Basis.ValueType) -> dict[str, Any]:
    balances, totals = _balances(government, basis)
    rows = [
        {
            "account": row.account_code,
            "name": row.display_name,
            "debit": _shown(row.debit),
            "credit": _shown(row.credit),
            "balance": _shown(row.balance),
        }
        for row in balances
    ]
    debit = sum((from_money(total.debit).minor for total in totals), 0)
    credit = sum((from_money(total.credit).minor for total in totals), 0)
    if debit != credit or not rows:
        raise DemoStopped(f"the trial balance is off or empty: debit {debit}, credit {credit}, {len(rows)} accounts")
    return {"rows": rows, "debit": str(Money(debit, _CURRENCY)), "credit": str(Money(credit, _CURRENCY))}


def _stock(government: Government, foundation: Foundation, label: str) -> dict[str, Any]:
    """Stock value = balance of its control account, at the last movement that finance has posted."""
    agency_id = foundation.agencies[label]
    stub = stock_pb2_grpc.StockServiceStub

    def look() -> tuple[Any, Any]:
        control = government.read(
            payables_pb2_grpc.PayablesServiceStub,
            "GetStockControl",
            payables_pb2.GetStockControlRequest(agency_id=agency_id),
            by="auditor",
        )
        valued = government.read(
            stub,
            "GetStockValuation",
            stock_pb2.GetStockValuationRequest(
                agency_id=agency_id, stock_movement_number=control.stock_movement_number, page_size=500
            ),
            by="auditor",
        )
        latest = government.read(
            stub, "GetStockValuation", stock_pb2.GetStockValuationRequest(agency_id=agency_id), by="auditor"
        )
        return control, (valued, latest.stock_movement_number)

    control, (valued, latest) = government.wait(
        look,
        until=lambda seen: seen[0].stock_movement_number == seen[1][1],
        what=f"the stock movements of {label} in finance",
    )
    value = sum((from_money(total).minor for total in valued.totals), 0)
    booked = from_money(control.balance).minor if control.HasField("balance") else 0
    if value != booked:
        raise DemoStopped(f"stock of {label} is worth {value}, its control account says {booked}")
    return {
        "unit": label,
        "stock_movement_number": latest,
        "stock_value": str(Money(value, _CURRENCY)),
        "control_account": str(Money(booked, _CURRENCY)),
    }


def _payroll(government: Government, label: str, payroll_run_id: str) -> dict[str, Any]:
    stub = payroll_pb2_grpc.PayrollServiceStub
    request = payroll_pb2.GetPayrollRunRequest(name=f"payrollRuns/{payroll_run_id}")
    run = government.wait(
        lambda: government.read(stub, "GetPayrollRun", request, by="auditor"),
        until=lambda seen: seen.state == payroll_pb2.PAYROLL_RUN_STATE_PAID,
        what=f"the news of the payment of {label}'s payroll in hr",
    )
    return {
        "unit": label,
        "payslips": run.payslip_count,
        "exceptions": run.exception_count,
        "gross": _shown(run.gross),
        "tax_allowance": _shown(run.tax_allowance),
        "deductions": _shown(run.deductions),
        "net": _shown(run.net),
        "employer_parts": _shown(run.employer_parts),
        "state": payroll_pb2.PayrollRunState.Name(run.state).removeprefix("PAYROLL_RUN_STATE_"),
    }


def _one_payslip(government: Government, foundation: Foundation, employed: Employment) -> dict[str, Any]:
    label, run = next(iter(employed.payroll_runs.items()))
    slip = next(
        iter(
            government.pages(
                payroll_pb2_grpc.PayrollServiceStub,
                "ListPayslips",
                payroll_pb2.ListPayslipsRequest(
                    agency_id=foundation.agencies[label], payroll_run_id=run, employee_id=employed.employees[label][0]
                ),
                by="payroll_officer",
                rows="payslips",
            )
        )
    )
    slip = government.read(
        payroll_pb2_grpc.PayrollServiceStub,
        "GetPayslip",
        payroll_pb2.GetPayslipRequest(name=slip.name),
        by="payroll_officer",
    )
    return {
        "unit": label,
        "year": slip.year,
        "month": slip.month,
        "lines": [
            {
                "component": line.component,
                "side": payroll_pb2.PayslipSide.Name(line.side).removeprefix("PAYSLIP_SIDE_"),
                "amount": _shown(line.amount),
            }
            for line in slip.lines
        ],
        "gross": _shown(slip.gross),
        "deductions": _shown(slip.deductions),
        "net": _shown(slip.net),
    }


def _refusal(outcome: Outcome) -> dict[str, Any]:
    return {
        "requisition": outcome.plan.number,
        "unit": outcome.plan.agency_label,
        "course": outcome.plan.course.value,
        "message": outcome.message,
        **({"figures": dict(outcome.refusal)} if outcome.refusal else {}),
    }


def after_the_fact(trace_id: str) -> dict[str, Any]:
    """What needs the whole month written: the invariants, the events by topic, the trace from request to payment."""
    checked = reports()
    problems = [
        f"{report.service} {problem.invariant}: {problem.what}"
        for report in checked
        for problem in (*report.problems, *report.waiting)
    ]
    if problems:
        raise DemoStopped(
            "kelola verify --strict found what does not hold, or waits for a person:\n  " + "\n  ".join(problems)
        )
    return {
        "verify": {report.service: {"problems": 0, **report.figures} for report in checked},
        "events_by_topic": topics(),
        "trace": _journey(trace_id),
    }


def _journey(trace_id: str) -> list[dict[str, Any]]:
    """The spans of one requisition; the services write theirs within a moment."""
    end = time.monotonic() + _TRACE_SECONDS
    while True:
        found = [span for span in traces.spans(home() / "spans") if span.trace_id == trace_id]
        if {span.service for span in found} >= _JOURNEY_SERVICES:
            break
        if time.monotonic() > end:
            raise DemoStopped(f"the trace {trace_id} has spans of {sorted({span.service for span in found})} alone")
        time.sleep(0.5)
    return [
        {
            "depth": depth,
            "service": span.service,
            "name": span.name,
            "milliseconds": round((span.end - span.start) / 1e6, 1),
        }
        for depth, span in traces.tree(found)
    ]


def _shown(amount: Any) -> str:
    return str(from_money(amount)) if amount.currency_code else str(Money(0, _CURRENCY))
