"""The published budget goes in whole, through the public API, and its accounts with it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from chassis.settings import ROOT
from chassis.testing import call_as
from cli.connect import System
from cli.load.accounts import ensure
from cli.load.budget import appropriation, given_lines, published
from cli.load.loader import Loader
from cli.load.published_budget import BudgetFileRefused, PublishedLine, by_unit
from kelola.finance.v1 import account_pb2
from tests.integration.finance.books import FUND, YEAR, Books

BUDGET = ROOT / "data" / "real" / "regional_budget_2025_six_units.csv"
TOTALS = ROOT / "data" / "real" / "regional_budget_2025_six_units_totals.csv"


def system_of(books: Books, token: str, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setenv("KELOLA_TOKEN", token)
    return System({"finance": books.service.address}, None)


def line(account_code: str) -> PublishedLine:
    return PublishedLine(2, "1.02.01", "Dinas Kesehatan", "1.02", "Kesehatan", account_code, "A name", 1, 5)


def test_accounts_that_the_chart_lacks_stop_the_load_with_a_list_or_are_added(
    books: Books, monkeypatch: pytest.MonkeyPatch
):
    system = system_of(books, books.token([uuid4()]), monkeypatch)
    code = f"5.1.02.03.{uuid4().int % 10**6:06}.0001"
    lines = [line(code), line("5.1.02.01.01")]

    with pytest.raises(BudgetFileRefused, match=code.replace(".", r"\.")):
        ensure(system, "accountant", lines, add=False)
    added = ensure(system, "accountant", lines, add=True)
    again = ensure(system, "accountant", lines, add=True)

    assert (added, again) == (2, 0), "the level between is added too"
    request = account_pb2.ListAccountsRequest(code_prefix=code.rpartition(".")[0])
    token = books.token([uuid4()])
    made = call_as(books.accounts.ListAccounts, request, token).accounts
    assert [(one.code, one.parent_code, one.control) for one in made] == [
        (code.rpartition(".")[0], "5.1.02.03", True),
        (code, code.rpartition(".")[0], True),
    ]
    system.close()


def test_every_line_of_the_published_budget_goes_in_and_the_sums_are_those_of_the_control_totals(
    books: Books, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    lines = published(BUDGET, None, TOTALS)
    assert lines is not None
    units = by_unit(lines)
    agencies = {unit: books.agency() for unit in units}
    ids = [agency.agency_id for agency in agencies.values()]
    system = system_of(books, books.token(ids, "finance.accountant", "finance.budget_officer"), monkeypatch)
    ensure(system, "accountant", lines, add=True)

    for unit, its_lines in units.items():
        batch = appropriation(str(agencies[unit].agency_id), YEAR, f"DPA-{unit}", "IDR", 500)
        rows = given_lines(BUDGET, its_lines, FUND, "IDR")
        result = Loader(system, batch, "budget_officer").load(rows, tmp_path / "errors", show_progress=False)
        assert (result.loaded, result.refused) == (len(its_lines), 0)
    system.close()

    stored = sums_of(books, ids)
    with TOTALS.open(encoding="utf-8", newline="") as content:
        expected = {row["unit_code"]: (int(row["rows"]), int(row["amount_idr"])) for row in csv.DictReader(content)}
    assert {unit: stored[agency.agency_id][:2] for unit, agency in agencies.items()} == expected
    assert sum(count for count, _, _ in stored.values()) == 1_926
    assert sum(zeros for _, _, zeros in stored.values()) == 10, "lines of nothing are lines too"


def test_the_lines_of_a_project_are_loaded_with_its_last_year(
    books: Books, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    agency = books.agency()
    system = system_of(books, books.token([agency.agency_id], "finance.budget_officer"), monkeypatch)
    rows = given_lines(BUDGET, [line("5.1.02.01.01"), replace(line("5.1.02.01.01"), line_no=2)], FUND, "IDR")

    # One line a call: the second finds the draft that the first opened, and its span.
    batch = appropriation(str(agency.agency_id), YEAR, "DPA-P", "IDR", 1, YEAR + 2)
    result = Loader(system, batch, "budget_officer").load(rows, tmp_path / "errors", show_progress=False)
    system.close()

    assert (result.loaded, result.refused) == (2, 0)
    kept = agency.row(
        "select array_agg(distinct array[fiscal_year, last_fiscal_year]) from budget_line where agency_id = %s",
        agency.agency_id,
    )
    assert kept == ([[YEAR, YEAR + 2]],)
    with pytest.raises(ValueError, match=f"--last-fiscal-year {YEAR} is not after --fiscal-year {YEAR}"):
        appropriation(str(agency.agency_id), YEAR, "DPA-P", "IDR", 1, YEAR)


def sums_of(books: Books, agencies: list[UUID]) -> dict[UUID, tuple[int, int, int]]:
    """Lines, whole rupiah and lines of nothing of each agency, from the database itself."""
    with psycopg.connect(books.superuser_url) as connection:
        rows = connection.execute(
            "select agency_id, count(*), sum(original_minor), count(*) filter (where original_minor = 0)"
            " from budget_line where agency_id = any (%s) group by agency_id",
            (agencies,),
        ).fetchall()
    assert all(amount % 100 == 0 for _, _, amount, _ in rows)
    return {agency_id: (count, int(amount) // 100, zeros) for agency_id, count, amount, zeros in rows}
