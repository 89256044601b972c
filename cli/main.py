"""The `kelola` command. Each group is a file; what is heavy is imported by the command that needs it."""

from __future__ import annotations

import logging
import sys

import typer

from cli import call, events, load, platform, serve, trace, verify
from cli.demo import command
from cli.demo_year import command as year_command

app = typer.Typer(
    name="kelola",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they could show tokens and personal data
    help="Kelola: run it, call it, follow it, check it.",
)


@app.callback()
def quietly() -> None:
    """Keep our own libraries' notices off the screen; `serve` and `relay` set up their logs themselves."""
    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


app.command()(platform.run)
app.command()(platform.down)
app.command()(platform.status)
app.command()(call.services)
app.command()(call.call)
app.command()(call.token)
app.add_typer(load.app, name="load")
app.add_typer(events.app, name="events")
app.add_typer(trace.app, name="trace")
app.command()(verify.verify)
app.command()(command.demo)
app.command()(year_command.demo_year)
app.command()(serve.serve)
app.command()(serve.migrate)
app.command()(serve.relay)

if __name__ == "__main__":
    app()
