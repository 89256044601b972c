"""What the books say in the end, read through the APIs as the auditor, and held against F1 to F7 (domain rules, §2).

F1 revised = original and what changed it; F2 what is revised is available or used; F3 no more asked for than released;
F4 movements add up to balances; F5 what is expended is owed; F6 what is paid or advanced is realised in the budget's
books; F7 transfers come to nothing, and at the year's end revised = paid + lapsed + carried, carried out = carried in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chassis.money import Money
from chassis.wire import from_money
from cli.demo.acting import DemoStopped
from cli.demo_year import cast
from cli.demo_year.year import BUDGET, Year, minor, shown
from kelola.finance.v1 import (
    account_pb2,
    budget_pb2,
    budget_year_end_pb2,
    budget_year_end_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
)

_BUCKETS = ("reserved", "obligated", "advanced", "expended", "ordered", "paid")
_FIGURES = ("original", "revised", "released", "frozen", "override", *_BUCKETS, "available")
# The chart's payables (GRNI, AP and RET among them), its prepayments, and its expenditure (Belanja).
_PAYABLES, _PREPAYMENTS, _EXPENDITURE = "2.1.06", "1.1.09.05", "5"
_VIREMENT, _CARRY = budget_pb2.FUNDS_MOVEMENT_KIND_VIREMENT, budget_pb2.FUNDS_MOVEMENT_KIND_CARRY


def read_the_books(year: Year, year_ends: Iterable[str]) -> dict[str, Any]:
    """Every line with its figures, the trial balances, what was carried; DemoStopped when an identity does not hold."""
    lines = [
        _line(year, unit, line)
        for fiscal_year in (cast.FISCAL_YEAR, cast.NEXT_YEAR)
        for unit in cast.LINES
        for line in year.budget_lines(unit, fiscal_year)
    ]
    carried = _f7(lines, [row for name in year_ends for row in _ended(year, name)])
    return {
        "lines": [_row(line) for line in lines],
        "execution": [_execution(lines, fiscal_year) for fiscal_year in (cast.FISCAL_YEAR, cast.NEXT_YEAR)],
        "carried": carried,
        "identities": _f5_and_f6(year, lines),
        "trial_balance": _trial_balances(year),
    }


def _line(year: Year, unit: str, line: Any) -> dict[str, Any]:
    """One line in minor units, with what its movements add up to; F1 to F4 are checked."""
    figures = {name: minor(getattr(line.figures, name)) for name in _FIGURES}
    changes = dict.fromkeys((*_BUCKETS, "authority", "override", "frozen", "virement", "carried_in"), 0)
    request = budget_pb2.ListFundsMovementsRequest(budget_line_id=line.budget_line_id, page_size=500)
    for movement in year.government.pages(BUDGET, "ListFundsMovements", request, by="auditor", rows="funds_movements"):
        for name in (*_BUCKETS, "authority", "override", "frozen"):
            changes[name] += minor(getattr(movement, f"{name}_change"))
        if movement.kind in (_VIREMENT, _CARRY):
            changes["virement" if movement.kind == _VIREMENT else "carried_in"] += minor(movement.authority_change)
    used = sum(figures[name] for name in _BUCKETS)
    closed = line.status == budget_pb2.BUDGET_LINE_STATUS_CLOSED
    _hold("F1", line, figures["revised"] == changes["authority"], figures, changes)
    _hold(
        "F2", line, figures["revised"] - figures["frozen"] + figures["override"] == figures["available"] + used, figures
    )
    _hold("F2", line, figures["available"] >= 0, figures)
    asked = sum(figures[name] for name in ("advanced", "ordered", "paid"))
    _hold("F3", line, asked <= figures["released"], figures)
    _hold("F4", line, all(figures[name] == changes[name] >= 0 for name in _BUCKETS), figures, changes)
    return {
        "year": line.fiscal_year,
        "unit": unit,
        "account": line.account_code,
        "line_no": line.line_no,
        "name": line.display_name,
        "budget_line_id": line.budget_line_id,
        "closed": closed,
        "figures": figures,
        "virement": changes["virement"],
        "carried_in": changes["carried_in"],
        "carried_out": 0,
        "lapsed": 0,
    }


def _ended(year: Year, name: str) -> Iterable[Any]:
    request = budget_year_end_pb2.ListBudgetYearEndLinesRequest(budget_year_end=name, page_size=500)
    return year.government.pages(
        budget_year_end_pb2_grpc.BudgetYearEndServiceStub,
        "ListBudgetYearEndLines",
        request,
        by="auditor",
        rows="budget_year_end_lines",
    )


def _f7(lines: list[dict[str, Any]], ended: list[Any]) -> dict[str, str]:
    """Note on each line what the year's end made of it; transfers and what was carried come out even."""
    by_id = {line["budget_line_id"]: line for line in lines}
    for row in ended:
        line = by_id[row.budget_line_id]
        line["carried_out"], line["lapsed"] = minor(row.carried), minor(row.lapsed)
        whole = line["figures"]["paid"] + line["lapsed"] + line["carried_out"]
        _hold("F7", row, line["closed"] and line["figures"]["revised"] == whole == minor(row.revised), line)
    if sum(line["virement"] for line in lines):
        raise DemoStopped("F7 does not hold: the year's transfers do not come to nothing")
    out, into = (sum(line[name] for line in lines) for name in ("carried_out", "carried_in"))
    by_next = {row.next_budget_line_id: minor(row.carried) for row in ended if minor(row.carried)}
    received = {line["budget_line_id"]: line["carried_in"] for line in lines if line["carried_in"]}
    if by_next != received or len(ended) != sum(line["closed"] for line in lines):
        raise DemoStopped(f"F7 does not hold: {out} was carried out, {into} carried in: {by_next}, {received}")
    return {"out": _text(out), "in": _text(into), "lapsed": _text(sum(line["lapsed"] for line in lines))}


def _f5_and_f6(year: Year, lines: list[dict[str, Any]]) -> list[dict[str, str]]:
    """By unit: E is what is owed, V is what is prepaid, P and V are what the budget's books call expenditure."""
    rows = []
    for unit in cast.LINES:
        accrual, _ = _balances(year, account_pb2.BASIS_ACCRUAL, agency_id=year.unit_id(unit))
        budget, _ = _balances(year, account_pb2.BASIS_BUDGET, agency_id=year.unit_id(unit))
        sums = {name: sum(one["figures"][name] for one in lines if one["unit"] == unit) for name in _FIGURES}
        owed, prepaid = -_under(accrual, _PAYABLES), _under(accrual, _PREPAYMENTS)
        realised = _under(budget, _EXPENDITURE)
        if (sums["expended"], sums["advanced"]) != (owed, prepaid):
            raise DemoStopped(f"F5 does not hold in {unit}: {sums}, owed {owed}, prepaid {prepaid}")
        if sums["paid"] + sums["advanced"] != realised:
            raise DemoStopped(f"F6 does not hold in {unit}: {sums}, realised {realised}")
        rows.append(
            {
                "unit": unit,
                "expended": _text(sums["expended"]),
                "owed": _text(owed),
                "advanced": _text(sums["advanced"]),
                "prepaid": _text(prepaid),
                "paid and advanced": _text(sums["paid"] + sums["advanced"]),
                "realised": _text(realised),
            }
        )
    return rows


def _trial_balances(year: Year) -> list[dict[str, str]]:
    """Debits and credits by basis and currency, of all books; DemoStopped when they do not balance.

    Entries balance in the currency of the books (domain rules, §1): a debt in dollars is paid off at another rate than
    it was made at, so what comes to nothing is what all currencies are worth together.
    """
    found = []
    for name, basis in account_pb2.Basis.items():
        if not basis:
            continue
        _, totals = _balances(year, basis)
        for total in totals:
            debit, credit = from_money(total.debit), from_money(total.credit)
            found.append(
                {
                    "basis": name.removeprefix("BASIS_"),
                    "currency": debit.currency,
                    "debit": str(debit),
                    "credit": str(credit),
                    "worth": shown(total.functional_balance),
                }
            )
        if sum(minor(total.functional_balance) for total in totals):
            raise DemoStopped(f"the trial balance of {name} does not come to nothing in {cast.CURRENCY}: {totals}")
    return found


def _balances(year: Year, basis: Any, *, agency_id: str = "") -> tuple[list[Any], Any]:
    """Every account of the trial balance before the closing of years, and its totals by currency."""
    rows: list[Any] = []
    request = ledger_pb2.GetTrialBalanceRequest(agency_id=agency_id, basis=basis, page_size=500, without_closing=True)
    while True:
        reply = year.government.read(ledger_pb2_grpc.LedgerServiceStub, "GetTrialBalance", request, by="auditor")
        rows += reply.rows
        request.page_token = reply.next_page_token
        if not reply.next_page_token:
            return rows, reply.totals


def _under(rows: Iterable[Any], prefix: str) -> int:
    """The functional balance of the accounts under a prefix, debit above zero."""
    return sum(
        minor(row.functional_balance)
        for row in rows
        if row.account_code == prefix or row.account_code.startswith(f"{prefix}.")
    )


def _execution(lines: list[dict[str, Any]], fiscal_year: int) -> dict[str, Any]:
    chosen = [line for line in lines if line["year"] == fiscal_year]
    sums = {name: _text(sum(line["figures"][name] for line in chosen)) for name in _FIGURES}
    return {"year": fiscal_year, "lines": len(chosen), **sums}


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line as the summary shows it."""
    named = {name: line[name] for name in ("year", "unit", "account", "line_no", "name", "closed")}
    more = {name: _text(line[name]) for name in ("virement", "carried_in", "carried_out", "lapsed")}
    return named | {name: _text(amount) for name, amount in line["figures"].items()} | more


def _hold(identity: str, line: Any, holds: bool, *figures: Any) -> None:
    if not holds:
        raise DemoStopped(f"{identity} does not hold on budget line {line.budget_line_id}: {figures}")


def _text(amount: int) -> str:
    return str(Money(amount, cast.CURRENCY))
