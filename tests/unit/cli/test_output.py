"""Every command of `kelola` can answer in JSON."""

from __future__ import annotations

import typer

from cli.main import app


def _commands(group, prefix: str = ""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_command_offers_json():
    without = {
        name
        for name, command in _commands(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }

    assert without == set()
