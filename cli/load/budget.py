"""An appropriation's lines: the first call opens the draft, the next ones add to it, each with its control total."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.load import published_budget
from cli.load.fields import money
from cli.load.loader import Batch, Given, Row
from cli.load.published_budget import PublishedLine

_NANO = 10**9


def appropriation(
    agency_id: str,
    fiscal_year: int,
    document_number: str,
    currency: str,
    size: int,
    last_fiscal_year: int | None = None,
) -> Batch:
    """How `ImportAppropriation` takes the lines of one DPA; of a project with `last_fiscal_year`, the end of its span.

    Raises ValueError for a last year that is not after the first: every row would be refused for it.
    """
    known: dict[str, Any] = {"lines": 0}
    fixed: dict[str, Any] = {"agency_id": agency_id, "fiscal_year": fiscal_year, "document_number": document_number}
    if last_fiscal_year is not None:
        if last_fiscal_year <= fiscal_year:
            raise ValueError(
                f"--last-fiscal-year {last_fiscal_year} is not after --fiscal-year {fiscal_year}: a project's lines "
                "are usable to the end of a later year; leave it out for a budget of one year"
            )
        fixed["last_fiscal_year"] = last_fiscal_year

    def complete(request: Row, lines: Sequence[Row]) -> None:
        nanos = sum(_nanos(line.get("original", {})) for line in lines)
        request["control_total"] = {"currency_code": currency, "units": str(nanos // _NANO), "nanos": nanos % _NANO}
        if "appropriation_id" in known:
            request["appropriation_id"] = known["appropriation_id"]

    def learn(answer: Row) -> None:
        known["appropriation_id"] = answer["appropriation"]["appropriation_id"]
        known["lines"] += len(answer.get("budget_line_ids", []))

    return Batch(
        "BudgetService/ImportAppropriation",
        "lines",
        fixed,
        size=size,
        complete=complete,
        learn=learn,
        facts=lambda: dict(known),
    )


def published(file: Path, unit: str | None, totals: Path | None) -> list[PublishedLine] | None:
    """The lines of a budget in the form in which governments publish it; None when the file has another form.

    With `totals` the whole file is compared with its control totals first, to the unit of the currency. Raises
    BudgetFileRefused with a list of what is wrong.
    """
    with file.open(encoding="utf-8-sig") as content:
        if "unit_code" not in content.readline().split(","):
            return None
    lines = published_budget.read(file)
    if totals is not None:
        published_budget.check_totals(lines, totals)
    return [line for line in lines if unit is None or line.unit_code == unit]


def given_lines(file: Path, lines: Sequence[PublishedLine], fund_code: str, currency: str) -> Given:
    """Published lines as rows of `ImportAppropriation`, each with its line of the file."""
    rows = [
        (
            line.row,
            {
                "fund_code": fund_code,
                "organisation_code": line.unit_code,
                "function_code": line.function_code,
                "account_code": line.account_code,
                "line_no": line.line_no,
                "display_name": line.account_name,
                "original": money(str(line.amount), currency),
            },
        )
        for line in lines
    ]
    return Given(file.name, rows, currency)


def _nanos(amount: Row) -> int:
    return int(amount.get("units", 0)) * _NANO + int(amount.get("nanos", 0))
