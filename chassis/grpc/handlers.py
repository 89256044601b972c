"""At the start: every RPC of a service's contract has exactly one handler, or the service does not start."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR


class HandlersIncomplete(Exception):
    """The service class and its contract do not fit; the message lists every misfit."""


def snake_case(name: str) -> str:
    """`CreateJournalEntry` is `create_journal_entry`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def check_handlers(service_cls: type, *, whole_package: bool) -> None:
    """Compare the class with the protos. Raises `HandlersIncomplete`.

    The protos are those that an `@rpc` names and those of the package `kelola.<name>.v1`: all of it when
    `whole_package`, else the files that are imported so far.
    """
    misfits = [*_hidden(service_cls)]
    declared: dict[str, ServiceDescriptor] = {}
    served: dict[str, list[str]] = {}
    for method_name, service in _rpcs(service_cls):
        declared[service.full_name] = service
        names = [method.full_name for method in service.methods if snake_case(method.name) == method_name]
        if not names:
            misfits.append(f"{method_name}: {service.full_name} has no such RPC")
        for name in names:
            served.setdefault(name, []).append(method_name)
    package = f"kelola.{getattr(service_cls, 'name', '')}.v1"
    for file in _files(package, whole_package):
        declared.update({service.full_name: service for service in file.services_by_name.values()})
    for service in declared.values():
        for method in service.methods:
            handlers = served.get(method.full_name, [])
            if not handlers:
                misfits.append(f"{method.full_name}: no handler; write {snake_case(method.name)} with @rpc")
            elif len(handlers) > 1:
                misfits.append(f"{method.full_name}: {len(handlers)} handlers, one is right")
    if misfits:
        raise HandlersIncomplete(f"{service_cls.__name__} does not fit its contract:\n  " + "\n  ".join(misfits))


def _rpcs(service_cls: type) -> Iterator[tuple[str, ServiceDescriptor]]:
    for name in dir(service_cls):
        for entrypoint in getattr(getattr(service_cls, name), ENTRYPOINT_EXTENSIONS_ATTR, ()):
            service = getattr(entrypoint, "service", None)
            if isinstance(service, ServiceDescriptor):
                yield name, service


def _hidden(service_cls: type) -> Iterator[str]:
    """Names that meet by inheritance and hide one another silently: an entrypoint's, or any of two sibling areas."""
    seen: dict[str, type] = {}
    for owner in service_cls.__mro__[:-1]:
        for name, value in vars(owner).items():
            hider = seen.get(name)
            if hider is None or (name.startswith("__") and name.endswith("__")):
                continue
            if getattr(value, ENTRYPOINT_EXTENSIONS_ATTR, None):
                yield f"{name}: {hider.__name__} hides the entrypoint of {owner.__name__}; rename one"
            elif callable(value) and not issubclass(hider, owner):
                yield f"{name}: {hider.__name__} hides the method of {owner.__name__}; rename one"
        seen.update({name: owner for name in vars(owner) if name not in seen})


def _files(package: str, whole: bool) -> Iterator[FileDescriptor]:
    if whole:
        try:
            root = importlib.import_module(package)
        except ImportError:
            return
        for module in pkgutil.iter_modules(root.__path__):
            if module.name.endswith("_pb2"):
                importlib.import_module(f"{package}.{module.name}")
    modules: list[Any] = list(sys.modules.values())
    for loaded in modules:
        file = getattr(loaded, "DESCRIPTOR", None)
        if isinstance(file, FileDescriptor) and file.package == package:
            yield file


__all__ = ["HandlersIncomplete", "check_handlers", "snake_case"]
