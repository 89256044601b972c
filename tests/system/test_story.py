"""The story's small edition: its figures agree with one another, and telling it again changes nothing."""

from __future__ import annotations

from decimal import Decimal

from cli.demo import cast
from tests.system import books
from tests.system.conftest import SCALE
from tests.system.recording import Recording


def _amount(shown: str) -> Decimal:
    """`IDR 1 234.50` -> 1234.50."""
    return Decimal(shown.removeprefix("IDR").replace("\u00a0", "").replace(" ", ""))


def test_every_rpc_of_the_contracts_was_called_with_success(lived):
    assert lived.rehearsed.missing() == [], "an RPC without an example: add one to tests/system/rehearsal_*.py"


def test_the_budget_is_the_published_one_and_adds_up(lived):
    summary = lived.summary

    assert summary["budget"]["lines"] == 1_926
    assert sum(row["lines"] for row in summary["execution"]) == 1_926
    assert _amount(summary["execution_total"]["original"]) == summary["budget"]["total"]
    for figure, total in summary["execution_total"].items():
        assert sum(_amount(row[figure]) for row in summary["execution"]) == _amount(total), figure
    used = sum(
        _amount(summary["execution_total"][bucket])
        for bucket in ("reserved", "obligated", "advanced", "expended", "ordered", "paid")
    )
    assert _amount(summary["execution_total"]["revised"]) == _amount(summary["execution_total"]["available"]) + used


def test_the_books_balance_and_what_is_paid_is_the_budgets_realisation(lived):
    summary = lived.summary

    for balance in summary["trial_balance"].values():
        assert _amount(balance["debit"]) == _amount(balance["credit"]) != 0
        assert sum(_amount(row["balance"]) for row in balance["rows"]) == 0
    spent = sum(
        _amount(row["balance"])
        for row in summary["trial_balance"]["BASIS_BUDGET"]["rows"]
        if row["account"].startswith("5")
    )
    assert spent == _amount(summary["execution_total"]["paid"]) + _amount(summary["execution_total"]["advanced"])


def test_stock_is_worth_what_its_control_account_says(lived):
    assert [row for row in lived.summary["stock"] if row["stock_value"] != row["control_account"]] == []
    assert sum(_amount(row["stock_value"]) for row in lived.summary["stock"]) > 0


def test_everybody_hired_is_paid_and_the_payslip_adds_up(lived):
    summary = lived.summary

    assert sum(row["payslips"] for row in summary["payroll"]) == SCALE.officials
    assert {(row["exceptions"], row["state"]) for row in summary["payroll"]} == {(0, "PAID")}
    slip = summary["payslip"]
    assert _amount(slip["gross"]) - _amount(slip["deductions"]) == _amount(slip["net"]) > 0


def test_every_course_of_a_requisition_was_taken(lived):
    courses = lived.summary["requisitions"]

    assert sum(courses.values()) == SCALE.requisitions
    assert len(courses) == 4
    beyond = next(row for row in lived.summary["refusals"] if "figures" in row)
    figures = beyond["figures"]
    assert Decimal(figures["asked"]) > Decimal(figures["available"])
    assert Decimal(figures["asked"]) - Decimal(figures["available"]) == Decimal(figures["short_by"])


def test_told_again_the_story_changes_nothing_and_is_answered_as_before(lived):
    before = books.at_rest(lived.platform)
    again = Recording()
    lived.government.witness = again.witness(lived.government.persons)

    summary = lived.tell_again()

    lived.government.witness = lived.told.witness(lived.government.persons)
    assert books.changes(before, books.at_rest(lived.platform)) == {}
    assert again.answers == lived.told.answers
    assert len(again.answers) > SCALE.officials * 3 + SCALE.requisitions * 5
    assert summary | {"trace_of_one_requisition": ""} == lived.summary | {"trace_of_one_requisition": ""}
    assert summary["fiscal_year"] == cast.FISCAL_YEAR
