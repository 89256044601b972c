"""The command: every invariant of every service, asked of the databases from outside."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Json, console, fail, show, table
from cli.verify import acknowledged, between

if TYPE_CHECKING:
    from chassis.verify import Problem, Report


def verify(
    service: Annotated[list[str] | None, typer.Argument(help="Only these services.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Parked events and stuck sagas fail too: nothing may wait for a person.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check all invariants (I1 to I11); exit 1 and a list when one fails."""
    try:
        checked = reports(service)
    except LookupError as missing:
        fail(str(missing), as_json=as_json, status=2)
    problems = [row for report in checked for row in _rows(report, report.problems)]
    waiting = [row for report in checked for row in _rows(report, report.waiting)]
    remarks = [{"service": report.service, "what": what} for report in checked for what in report.remarks]
    figures = [{"service": report.service, **report.figures, "problems": len(report.problems)} for report in checked]
    holds = not problems and not (strict and waiting)

    def human() -> None:
        apart = [row for row in figures if row["service"] == between.NAME]
        for rows in ([row for row in figures if row not in apart], apart):
            if rows:
                table(rows, list(dict.fromkeys(name for row in rows for name in row)))
        for title, facts in (
            ("What does not hold", problems),
            ("What waits for a person", waiting),
            ("What could not be compared", remarks),
        ):
            if facts:
                table(facts, list(facts[0]), title=title)
        if holds:
            console.print("all invariants hold", style="green")

    document = {
        "holds": holds,
        "problems": problems,
        "waiting": waiting,
        "not_compared": remarks,
        "services": [row for row in figures if row["service"] != between.NAME],
        "between": next((row for row in figures if row["service"] == between.NAME), None),
    }
    show(document, as_json=as_json, human=human)
    if not holds:
        raise typer.Exit(1)


def _rows(report: Report, problems: list[Problem]) -> list[dict[str, str]]:
    return [{"service": report.service, "invariant": each.invariant, "what": each.what} for each in problems]


def reports(services: list[str] | None = None) -> list[Report]:
    """What `verify` finds in these services (all of them by default); LookupError when a database is not known."""
    from chassis.local.place import home
    from chassis.verify import verify as verify_service
    from cli.connect import reader_url

    checked = []
    names = services or _known_services()
    given = os.environ.get("KELOLA_DATA_DIR")
    try:
        for name in names:
            own, more = None, [acknowledged.check]
            # Where the local platform keeps what a service's own check needs (identity: the sealing keys).
            os.environ["KELOLA_DATA_DIR"] = given or str(home() / name)
            if find_spec(f"services.{name}.verify") is not None:
                module = importlib.import_module(f"services.{name}.verify")
                own, more = module.problems, [module.effects, acknowledged.check]
            checked.append(
                verify_service(
                    name,
                    reader_url(name),
                    own=own,
                    more=more,
                    audit_keys=_audit_keys(name),
                    audit_head_file=_audit_head_file(name),
                )
            )
    finally:
        if given is None:
            os.environ.pop("KELOLA_DATA_DIR", None)
    if services is None and "KELOLA_DATABASE_READER_URL" not in os.environ:
        checked.append(between.report({name: reader_url(name) for name in names}))
    return checked


def _known_services() -> list[str]:
    """Those of the running local platform; else every service of this checkout."""
    from chassis.local.services import service_names
    from cli.connect import NotRunning, running_system

    try:
        return list(running_system().databases) or service_names()
    except NotRunning:
        return service_names()


def _audit_head_file(service: str) -> Path:
    """The file of audit heads that is kept outside of the database: KELOLA_AUDIT_HEAD_FILE, or the local platform's."""
    from chassis.local.place import home
    from chassis.local.platform import audit_head_file

    given = os.environ.get("KELOLA_AUDIT_HEAD_FILE")
    return Path(given) if given else audit_head_file(home(), service)


def _audit_keys(service: str) -> Mapping[str, Any] | None:
    """The public key that signs the service's audit heads, by its id; None where it is not known here."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from joserfc.util import urlsafe_b64decode

    from chassis import audit
    from chassis.local.place import home

    file = home() / "keys" / "services.jwks.json"
    if not file.exists():
        return None
    keys = [
        Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(entry["x"].encode()))
        for entry in json.loads(file.read_text(encoding="utf-8"))["keys"]
        if entry["kid"] == service
    ]
    return {audit.key_id(key): key for key in keys} or None
