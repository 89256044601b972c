"""The contracts as this checkout has them: every generated module, and the events among their messages."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from chassis.settings import ROOT


@cache
def modules() -> list[Any]:
    """Every generated message module, imported."""
    gen = ROOT / "gen"
    names = sorted(str(path.relative_to(gen).with_suffix("")).replace("/", ".") for path in _files(gen))
    return [importlib.import_module(name) for name in names]


def _files(gen: Path) -> list[Path]:
    return list((gen / "kelola").rglob("*_pb2.py"))


@cache
def event_classes() -> dict[str, Any]:
    """Event messages by full name: those with the option `kelola.type.v1.event`."""
    from google.protobuf import message_factory

    from kelola.type.v1 import options_pb2

    found = {}
    for module in modules():
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            if descriptor.GetOptions().HasExtension(options_pb2.event):
                found[descriptor.full_name] = message_factory.GetMessageClass(descriptor)
    return found
