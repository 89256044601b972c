"""A published budget goes in whole or not at all, to the rupiah."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.settings import ROOT
from cli.load import published_budget as published

REAL = ROOT / "data" / "real" / "regional_budget_2025_six_units.csv"
TOTALS = ROOT / "data" / "real" / "regional_budget_2025_six_units_totals.csv"
HEAD = "unit_code,unit_name,function_code,function_name,account_code,account_name,amount_idr"


def budget(tmp_path: Path, *rows: str) -> Path:
    file = tmp_path / "budget.csv"
    file.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    return file


def test_the_real_budget_has_its_1_926_lines_and_meets_its_control_totals():
    lines = published.read(REAL)

    published.check_totals(lines, TOTALS)
    assert len(lines) == 1_926
    assert sum(line.amount for line in lines) == 1_524_387_513_468
    assert len({(line.unit_code, line.function_code, line.account_code, line.line_no) for line in lines}) == 1_926


def test_equal_keys_are_separate_lines(tmp_path):
    file = budget(tmp_path, "1,A,1.02,F,5.1,Pay,10", "1,A,1.02,F,5.1,Pay,10", "1,A,1.02,F,5.1,Pay,0")

    assert [(line.line_no, line.amount) for line in published.read(file)] == [(1, 10), (2, 10), (3, 0)]


def test_every_unreadable_row_is_named(tmp_path):
    file = budget(tmp_path, "1,A,1.02,F,5.1,Pay,1.5", "1,A,1.02,F,,Pay,3", "1,A,1.02,F,5.1,Pay,-2")

    with pytest.raises(published.BudgetFileRefused, match=r"(?s)3 rows.*line 2.*'1.5'.*line 3.*account_code.*line 4"):
        published.read(file)


def test_a_missing_column_is_named(tmp_path):
    file = tmp_path / "budget.csv"
    file.write_text("unit_code,amount\n1,2\n", encoding="utf-8")

    with pytest.raises(published.BudgetFileRefused, match="account_code"):
        published.read(file)


def test_a_total_that_is_one_rupiah_off_stops_the_load(tmp_path):
    totals = tmp_path / "totals.csv"
    totals.write_text("unit_code,unit_name,rows,amount_idr\n1,A,1,11\n", encoding="utf-8")

    with pytest.raises(published.BudgetFileRefused, match="sum 10, the control total says 11"):
        published.check_totals(published.read(budget(tmp_path, "1,A,1.02,F,5.1,Pay,10")), totals)


def test_a_unit_without_control_total_stops_the_load(tmp_path):
    totals = tmp_path / "totals.csv"
    totals.write_text("unit_code,unit_name,rows,amount_idr\n", encoding="utf-8")

    with pytest.raises(published.BudgetFileRefused, match="unit 1 has no control total"):
        published.check_totals(published.read(budget(tmp_path, "1,A,1.02,F,5.1,Pay,10")), totals)


def test_missing_levels_come_parents_first_with_their_names(tmp_path):
    lines = published.read(budget(tmp_path, "1,A,1.02,F,5.1.01.02,Extra pay,10"))

    missing = published.missing_accounts(lines, {"5": 0, "5.1": 0})

    assert list(missing.items()) == [("5.1.01", "5.1.01"), ("5.1.01.02", "Extra pay")]
    with pytest.raises(published.BudgetFileRefused, match="--unknown add"):
        published.refuse_unknown(missing)


def test_a_code_of_another_chart_is_refused(tmp_path):
    lines = published.read(budget(tmp_path, "1,A,1.02,F,X.1,Pay,10"))

    with pytest.raises(published.BudgetFileRefused, match="first level X"):
        published.missing_accounts(lines, {"5": 0})
