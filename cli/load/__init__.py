"""`kelola load`: many rows of a file through the services' batch RPCs, with progress and an error file.

Each row is a CSV line or a JSON line. A load may be repeated: the request ids come from the rows themselves, so
what went in before is answered from the first time. A refused batch is halved until the rows at fault stand alone;
these go to the error file, with the reason, in a form that can be put right and loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.settings import ROOT
from cli.load.journal import journal
from cli.load.loader import Batch, Given, Loader, Rows
from cli.output import Json, console, fail, show

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cli.connect import System

app = typer.Typer(no_args_is_help=True, help="Load many rows of a file.")
app.command()(journal)


class Unknown(StrEnum):
    """What becomes of accounts that the chart lacks."""

    STOP = "stop"
    ADD = "add"


File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a header line, or JSON lines.")]
As = Annotated[str, typer.Option("--as", help="The person who loads (UUID), or `operator`.")]
ErrorFile = Annotated[Path | None, typer.Option(help="Where refused rows go (default: FILE.errors.jsonl).")]
Currency = Annotated[str, typer.Option(help="Of amounts that are given as plain numbers.")]
Size = Annotated[int, typer.Option(min=1, max=1000, help="Rows in one call.")]


@app.command("rows")
def load_rows(
    method: Annotated[str, typer.Argument(help="A batch RPC, AccountService/BatchCreateAccounts for instance.")],
    rows_field: Annotated[str, typer.Argument(help="The request's repeated field: accounts. `-`: one row a call.")],
    file: File,
    person: As = "operator",
    given: Annotated[list[str] | None, typer.Option("--set", help="A field of every call: agency_id=…")] = None,
    currency: Currency = "IDR",
    size: Size = 500,
    error_file: ErrorFile = None,
    as_json: Json = False,
) -> None:
    """Load rows through any batch RPC. Columns are field names (`a.b` for nested ones)."""
    fixed = dict(part.split("=", 1) for part in given or [])
    batch = Batch(method, None if rows_field == "-" else rows_field, fixed, size=1 if rows_field == "-" else size)
    _run([(batch, Rows(file, currency))], person, error_file or _beside(file), as_json)


@app.command()
def chart(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A country pack's folder of CSV files.")
    ] = ROOT / "data" / "id",
    person: As = "operator",
    error_file: ErrorFile = None,
    as_json: Json = False,
) -> None:
    """Load a country pack's classification: chart, dimensions, mapping, rules, classes (default: Indonesia)."""
    from google.protobuf.json_format import MessageToDict

    from cli.load.chart import BATCH_MAX, regional
    from cli.load.classes import class_mappings, combination_rules, reporting_classes
    from cli.load.virement import virement_rules

    pack = regional(folder)
    parts: list[tuple[str, str, Sequence[Message]]] = [
        ("AccountService/BatchCreateAccounts", "accounts", pack.accounts),
        ("AccountService/BatchCreateDimensionValues", "dimension_values", pack.dimension_values),
        ("AccountService/BatchCreateAccountMappings", "account_mappings", pack.mappings),
        ("BudgetChangeService/BatchCreateVirementRules", "virement_rules", virement_rules(folder)),
        ("CombinationRuleService/BatchCreateCombinationRules", "combination_rules", combination_rules(folder)),
        ("ReportingClassService/BatchCreateReportingClasses", "reporting_classes", reporting_classes(folder)),
        ("ReportingClassService/BatchCreateClassMappings", "class_mappings", class_mappings(folder)),
    ]
    loads = []
    for method, rows_field, messages in parts:
        rows = [
            (number, MessageToDict(message, preserving_proto_field_name=True))
            for number, message in enumerate(messages, start=1)
        ]
        loads.append((Batch(method, rows_field, size=BATCH_MAX), Given(rows_field, rows)))
    _run(loads, person, error_file or Path("chart.errors.jsonl"), as_json)


@app.command()
def budget(
    file: File,
    agency: Annotated[str, typer.Option(help="The agency whose budget it is (UUID).")],
    document_number: Annotated[str, typer.Option(help="The number of the DPA.")],
    fiscal_year: Annotated[int, typer.Option(help="The budget year; of a project, its first.")],
    last_fiscal_year: Annotated[
        int | None,
        typer.Option(
            help="Of a project: the last budget year of its span. Its lines are usable to the end of that year."
        ),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Of a published budget: only the lines of this unit.")] = None,
    fund: Annotated[str, typer.Option(help="Of a published budget: the fund of its lines.")] = "",
    totals: Annotated[Path | None, typer.Option(help="Of a published budget: control totals by unit (CSV).")] = None,
    unknown: Annotated[Unknown, typer.Option(help="Accounts that the chart lacks: stop with a list, or add them.")] = (
        Unknown.STOP
    ),
    person: As = "operator",
    currency: Currency = "IDR",
    size: Size = 500,
    error_file: ErrorFile = None,
    as_json: Json = False,
) -> None:
    """Load an appropriation's lines, as a draft: fields of AppropriationLine, or a budget as published.

    With --last-fiscal-year all its lines are a project's: one authority over the years from --fiscal-year to that one.
    """
    from cli.load.budget import appropriation, given_lines, published

    try:
        batch = appropriation(agency, fiscal_year, document_number, currency, size, last_fiscal_year)
        lines = published(file, unit, totals)
    except ValueError as refused:
        fail(str(refused), as_json=as_json, status=2)

    def chart_first(system: System) -> dict[str, Any]:
        from cli.load.accounts import ensure

        return {"accounts_added": ensure(system, person, lines or [], add=unknown is Unknown.ADD)}

    rows = Rows(file, currency) if lines is None else given_lines(file, lines, fund, currency)
    _run([(batch, rows)], person, error_file or _beside(file), as_json, first=None if lines is None else chart_first)


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.errors.jsonl")


def _run(
    loads: Sequence[tuple[Batch, Rows | Given]],
    person: str,
    errors_to: Path,
    as_json: bool,
    *,
    first: Callable[[System], dict[str, Any]] | None = None,
) -> None:
    import grpc

    from cli.connect import NotRunning, refusal, running_system

    loaded, refused = 0, 0
    facts: dict[str, Any] = {}
    try:
        with running_system() as system:
            facts |= first(system) if first is not None else {}
            for batch, rows in loads:
                result = Loader(system, batch, person).load(rows, errors_to, show_progress=not as_json)
                loaded, refused = loaded + result.loaded, refused + result.refused
                facts |= dict(result.facts)
                if result.refused:
                    break  # what follows may rest on it
    except (NotRunning, LookupError, ValueError) as missing:
        fail(str(missing), as_json=as_json, status=2)
    except grpc.RpcError as error:
        said = refusal(error)
        fail(f"{said.pop('code')}: {said.pop('message')}; what was loaded stays, load it again", as_json=as_json)

    def human() -> None:
        told = "".join(f", {name} {value}" for name, value in facts.items())
        console.print(f"{loaded} rows loaded, {refused} refused{told}", markup=False)
        if refused:
            console.print(f"refused rows with their reasons: {errors_to}", style="red", markup=False)

    summary = {"loaded": loaded, "refused": refused, **facts}
    show(summary | ({"error_file": str(errors_to)} if refused else {}), as_json=as_json, human=human)
    if refused:
        raise typer.Exit(1)
