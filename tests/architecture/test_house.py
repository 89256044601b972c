"""The house rules that import-linter cannot say: what decides stays plain, money stays exact, names say something."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ("identity", "finance", "hr", "logistics")
# Beside the standard library. numpy where a domain works on columns.
_DOMAIN_MAY_IMPORT = ("numpy", "chassis.money", "chassis.dates", "chassis.errors", "chassis.fiscal_calendar")
_DECIDING = ("domain.py", "usecases.py", "store.py", "wire.py", "tables.py")
_EMPTY_WORDS = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)", re.IGNORECASE)
_EMPTY_CLASS_WORDS = re.compile(r"(Util|Utils|Helper|Manager|Common|Misc)$")
_POSTPONED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X{3})\b")


def _python(*folders: str) -> list[Path]:
    return sorted(
        path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts
    )


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that is imported, `from a import b` as both a and a.b where b may be a module."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def _shown(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def _file_of(module: str) -> Path | None:
    """The file of a module of ours, also when `module` names something inside it."""
    for name in (module, module.rpartition(".")[0]):
        path = ROOT / f"{name.replace('.', '/')}.py"
        if path.exists():
            return path
    return None


def test_a_domain_imports_only_plain_things():
    """So do the modules of its own service that it builds on."""
    bad, seen = [], set()
    waiting = [path for path in _python("services") if path.name == "domain.py"]
    assert waiting
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        service = ".".join(path.relative_to(ROOT).parts[:2])
        for line, module in _imports(path):
            own = _file_of(module) if _within(module, (service,)) else None
            if own is not None:
                waiting.append(own)
            elif module.partition(".")[0] not in sys.stdlib_module_names and not _within(module, _DOMAIN_MAY_IMPORT):
                bad.append(_shown(path, line, f"imports {module}"))

    assert bad == []


def test_a_domain_knows_no_clock_no_environment_and_no_chance():
    banned = {"os", "time", "random", "secrets", "socket", "subprocess", "threading", "logging", "pathlib"}
    calls = {"now", "today", "utcnow", "uuid4", "uuid1", "open", "print", "getenv"}
    bad = []
    for path in _python("services"):
        if path.name != "domain.py":
            continue
        bad += [_shown(path, line, f"imports {name}") for line, name in _imports(path) if name.split(".")[0] in banned]
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in calls:
                    bad.append(_shown(path, node.lineno, f"calls {name}()"))

    assert bad == []


def test_no_float_in_what_decides_about_money():
    files = [path for path in _python("services") if path.name in _DECIDING]
    files += [ROOT / "chassis" / "money.py", ROOT / "chassis" / "wire.py", ROOT / "chassis" / "dates.py"]
    bad = []
    for path in files:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                bad.append(_shown(path, node.lineno, f"{node.value} is a float"))
            elif isinstance(node, ast.Name) and node.id == "float":
                bad.append(_shown(path, node.lineno, "float"))
            elif isinstance(node, ast.Attribute) and node.attr in ("Float32", "Float64", "Float", "REAL", "float64"):
                bad.append(_shown(path, node.lineno, node.attr))

    assert bad == [], "amounts are whole minor units, rates and quantities Fraction or Decimal"


def test_names_say_what_things_are():
    bad = []
    for path in _python("chassis", "services", "cli", "tools", "tests", "benchmarks"):
        if any(_EMPTY_WORDS.search(part) for part in (path.stem, path.parent.name)):
            bad.append(_shown(path, 1, "a file name that says nothing"))
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef) and _EMPTY_CLASS_WORDS.search(node.name):
                bad.append(_shown(path, node.lineno, f"class {node.name}"))

    assert bad == []


def test_nothing_is_left_for_later_in_a_comment():
    bad = [
        _shown(path, number, line.strip())
        for path in [*_python("chassis", "services", "cli", "tools", "tests"), *(ROOT / "protos").rglob("*.proto")]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if _POSTPONED.search(line)
    ]

    assert bad == []


def test_every_module_and_public_thing_says_what_it_promises():
    """In the chassis and in every domain, on which all the rest stands."""
    bad = []
    for path in [*_python("chassis"), *(p for p in _python("services") if p.name == "domain.py")]:
        tree = _tree(path)
        if tree.body and ast.get_docstring(tree) is None:
            bad.append(_shown(path, 1, "the module has no docstring"))
        for node in tree.body:
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and ast.get_docstring(node) is None
            ):
                bad.append(_shown(path, node.lineno, f"{node.name} has no docstring"))

    assert bad == []


def test_sql_stays_in_stores():
    """Use cases, domains and entrypoints speak to stores; verify.py asks from outside, tables.py declares."""
    bad = []
    for path in _python("services"):
        if path.name not in ("domain.py", "usecases.py", "entrypoints.py", "wire.py"):
            continue
        for line, module in _imports(path):
            if module in ("sqlalchemy.text", "sqlalchemy.select", "sqlmodel.select", "sqlalchemy.insert"):
                bad.append(_shown(path, line, f"imports {module}"))

    assert bad == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_parts_of_the_house(service):
    folder = ROOT / "services" / service
    missing = [
        name
        for name in ("README.md", "__main__.py", "service.py", "tables.py", "migrations", "verify.py")
        if not (folder / name).exists()
    ]

    assert missing == []
    assert (ROOT / "deploy" / "policies" / f"{service}.cedar").exists()


def test_only_the_edges_of_a_service_know_the_wire():
    """nameko, gRPC and generated code; import-linter holds only the files with the usual names to it."""
    edges = ("entrypoints.py", "wire.py", "service.py", "__main__.py")
    bad = [
        _shown(path, line, f"imports {module}")
        for path in _python("services")
        if path.name not in edges and not path.name.endswith("_wire.py")
        for line, module in _imports(path)
        if module.partition(".")[0] in ("nameko", "grpc", "google", "kelola", "buf")
    ]

    assert bad == []
