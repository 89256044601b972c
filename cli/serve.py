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


def serve(service: Service) -> None:
    """Serve one service's RPCs and consume its events, until SIGTERM."""
    _known(service)
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
    _known(service)
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


def relay(service: Service) -> None:
    """Send one service's events from its outbox to the broker, until SIGTERM. One at a time works, others wait."""
    _known(service)
    from chassis import relay as relays
    from chassis.settings import ServiceSettings

    raise typer.Exit(relays.serve(ServiceSettings(service=service)))


def _known(service: str) -> None:
    from chassis.local.services import service_names

    if service not in service_names():
        fail(f"there is no service {service!r}; there are: {', '.join(service_names())}", status=2)
