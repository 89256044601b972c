"""`kelola load journal`: the journal of another system, through the ledger's import stream (docs/journal-import.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.output import Json, console, fail, show

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines, one entry a line.")]
Map = Annotated[
    Path, typer.Option("--map", exists=True, dir_okay=False, help="What its words mean here: TOML, or .json.")
]
Agency = Annotated[str | None, typer.Option(help="The agency whose books it becomes (UUID); else the map's.")]
As = Annotated[str, typer.Option("--as", help="The person who loads (UUID), or `operator`.")]
ErrorFile = Annotated[Path | None, typer.Option(help="Where refused lines go (default: FILE.errors.jsonl).")]


def journal(
    file: File,
    map_file: Map,
    agency: Agency = None,
    person: As = "operator",
    error_file: ErrorFile = None,
    as_json: Json = False,
) -> None:
    """Load a journal of outside origin. May be repeated: what went in before is not posted again."""
    import grpc
    from rich.markup import escape

    from cli.connect import NotRunning, refusal, running_system
    from cli.load import journal_map
    from cli.load.journal_load import JournalLoader

    errors_to = error_file or file.with_name(f"{file.name}.errors.jsonl")
    if errors_to.resolve() == file.resolve():
        fail("the error file is the file itself; name another with --error-file", as_json=as_json, status=2)
    try:
        wanted = journal_map.read(map_file)
        agency_id = UUID(agency) if agency else wanted.agency_id
        if agency_id is None:
            fail("no agency: give --agency, or agency_id in the map", as_json=as_json, status=2)
        with running_system() as system:
            loader = JournalLoader(system, person, agency_id, wanted)
            outcome = loader.load(file, errors_to, show_progress=not as_json)
    except (NotRunning, ValueError) as refused:
        # Names of another system may hold what a terminal would take for markup.
        fail(str(refused) if as_json else escape(str(refused)), as_json=as_json, status=2)
    except grpc.RpcError as error:
        said = refusal(error)
        fail(f"{said.pop('code')}: {said.pop('message')}; what was loaded stays, load it again", as_json=as_json)

    found = outcome.found
    summary: dict[str, Any] = {
        "posted": outcome.posted,
        "refused": outcome.refused,
        "accounts_added": outcome.accounts_added,
        "years_added": outcome.years_added,
        "equal_entries": found.equal_entries,
        "zero_lines": found.zero_lines,
        "cut_descriptions": found.cut_descriptions,
        "debits_minor": dict(sorted(found.debits.items())),
    } | ({"error_file": str(errors_to)} if outcome.refused else {})

    def human() -> None:
        for name, value in summary.items():
            console.print(f"{name.replace('_', ' ')}: {value}", markup=False)

    show(summary, as_json=as_json, human=human)
    if outcome.refused:
        raise typer.Exit(1)
