"""The services of this checkout, found by their folders below `services/`."""

from __future__ import annotations

import importlib
from pathlib import Path

from sqlmodel import SQLModel

from chassis import migrate
from chassis.settings import ServiceSettings

_SERVICES = Path(__file__).resolve().parent.parent.parent / "services"


class UnknownService(LookupError):
    """There is no such service in this checkout."""


def service_names() -> list[str]:
    """Every folder with a `__main__.py`; identity first, since the others check tokens against its keys."""
    names = sorted(path.parent.name for path in _SERVICES.glob("*/__main__.py"))
    return sorted(names, key=lambda name: name != "identity")


def table_base(service: str) -> type[SQLModel]:
    """The class that carries the service's registry and MetaData: the one in `tables.py` that is an SQLModel."""
    if not (_SERVICES / service / "tables.py").exists():
        raise UnknownService(f"there is no service {service!r}; there are: {', '.join(service_names()) or 'none'}")
    module = importlib.import_module(f"services.{service}.tables")
    bases = [
        found
        for found in vars(module).values()
        if isinstance(found, type) and SQLModel in found.__bases__ and found.__module__ == module.__name__
    ]
    if len(bases) != 1:
        raise UnknownService(f"services/{service}/tables.py defines {len(bases)} table bases; it must define one")
    return bases[0]


def upgrade(settings: ServiceSettings) -> None:
    """Bring the service's database to the newest revision; safe to run several times at once."""
    migrate.run(settings, table_base(settings.service))
