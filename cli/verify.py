"""`kelola verify`: do the books hold? Every invariant of every service, asked of the databases from outside."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import verify_between
from cli.output import Json, console, fail, show, table

if TYPE_CHECKING:
    from chassis.verify import Report


def verify(
    service: Annotated[list[str] | None, typer.Argument(help="Only these services.")] = None, as_json: Json = False
) -> None:
    """Check all invariants; exit 1 and a list when one fails."""
    try:
        checked = reports(service)
    except LookupError as missing:
        fail(str(missing), as_json=as_json, status=2)
    problems = [
        {"service": report.service, "invariant": problem.invariant, "what": problem.what}
        for report in checked
        for problem in report.problems
    ]
    figures = [{"service": report.service, **report.figures, "problems": len(report.problems)} for report in checked]

    def human() -> None:
        table(figures, list(dict.fromkeys(name for row in figures for name in row)))
        if problems:
            table(problems, ["service", "invariant", "what"], title="What does not hold")
        else:
            console.print("all invariants hold", style="green")

    document = {
        "holds": not problems,
        "problems": problems,
        "services": [row for row in figures if row["service"] != verify_between.NAME],
        "between": next((row for row in figures if row["service"] == verify_between.NAME), None),
    }
    show(document, as_json=as_json, human=human)
    if problems:
        raise typer.Exit(1)


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
            own = None
            # Where the local platform keeps what a service's own check needs (identity: the sealing keys).
            os.environ["KELOLA_DATA_DIR"] = given or str(home() / name)
            if find_spec(f"services.{name}.verify") is not None:
                own = importlib.import_module(f"services.{name}.verify").problems
            checked.append(verify_service(name, reader_url(name), own=own, audit_keys=_audit_keys(name)))
    finally:
        if given is None:
            os.environ.pop("KELOLA_DATA_DIR", None)
    if services is None and "KELOLA_DATABASE_READER_URL" not in os.environ:
        checked.append(verify_between.report({name: reader_url(name) for name in names}))
    return checked


def _known_services() -> list[str]:
    """Those of the running local platform; else every service of this checkout."""
    from chassis.local.services import service_names
    from cli.connect import NotRunning, running_system

    try:
        return list(running_system().databases) or service_names()
    except NotRunning:
        return service_names()


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
