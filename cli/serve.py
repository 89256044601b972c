"""`kelola serve`, `migrate`, `relay`: one service's processes, as they run in production too.

Settings come from the environment (KELOLA_…, see chassis/settings.py); outside the local platform each of these
is what a container runs.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Annotated

import typer

from cli.output import Json, console, fail, show

Service = Annotated[str, typer.Argument(help="identity, finance, hr or logistics.")]
# What these processes answer is their log. A container's is read by machines, a terminal's by a person.
JsonLog = Annotated[
    bool,
    typer.Option("--json", help="Log one JSON document a line, also on a terminal; elsewhere that is what it does."),
]


def serve(service: Service, as_json: JsonLog = False) -> None:
    """Serve one service's RPCs and consume its events, until SIGTERM. Logs to stderr: lines of text on a terminal."""
    _known(service, as_json=as_json)
    _choose_log_format(as_json)
    os.environ["KELOLA_SERVICE"] = service
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


def migrate(
    service: Service,
    admin_url: Annotated[
        str | None,
        typer.Option(
            envvar="KELOLA_DATABASE_ADMIN_URL", help="An administrator's URL: makes the roles and the database first."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring one service's database to the newest schema. Safe to repeat, and at once from several places."""
    _known(service, as_json=as_json)
    from chassis.local.services import upgrade
    from chassis.migrate import provision
    from chassis.settings import ServiceSettings

    settings = ServiceSettings(service=service)
    if admin_url:
        provision(admin_url, settings)
    upgrade(settings)
    show(
        {"service": service, "migrated": True},
        as_json=as_json,
        human=lambda: console.print(f"the database of {service} is at the newest schema"),
    )


def relay(service: Service, as_json: JsonLog = False) -> None:
    """Send one service's events from its outbox to the broker, until SIGTERM. One at a time works, others wait.

    Logs to stderr: lines of text on a terminal.
    """
    _known(service, as_json=as_json)
    _choose_log_format(as_json)
    from chassis import relay as relays
    from chassis.settings import ServiceSettings

    raise typer.Exit(relays.serve(ServiceSettings(service=service)))


def _choose_log_format(as_json: bool) -> None:
    """Text where a person looks, unless JSON is asked for or KELOLA_LOG_FORMAT says something else."""
    if as_json:
        os.environ["KELOLA_LOG_FORMAT"] = "json"
    elif sys.stderr.isatty():
        os.environ.setdefault("KELOLA_LOG_FORMAT", "text")


def _known(service: str, *, as_json: bool) -> None:
    from chassis.local.services import service_names

    if service not in service_names():
        fail(f"there is no service {service!r}; there are: {', '.join(service_names())}", as_json=as_json, status=2)
